import BackpropTensors

/// What ``LSTMCell`` has of its own.
public struct LSTMOptions: Codable, Hashable, Sendable {
  public var units: Int
  public var recurrentActivation: ActivationFunction
  /// The forget gate's bias starts as 1.
  public var unitForgetBias: Bool
}

/// A step with a memory behind gates (Hochreiter and Schmidhuber, 1997). Keras' `LSTMCell`.
///
/// Gates lie side by side in the weights as Keras has them: input, forget, candidate, output. The states are h and c.
public final class LSTMCell: KernelCell, ConfigurableLayer, @unchecked Sendable {
  public typealias Configuration = Joined<RecurrentCellOptions, LSTMOptions>

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(
      configuration.first, units: configuration.units, name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    _ units: Int, recurrentActivation: ActivationFunction = .sigmoid, unitForgetBias: Bool = true,
    options: RecurrentCellOptions = RecurrentCellOptions(), name: String? = nil, dtype: DTypePolicy = .default
  ) {
    let own = LSTMOptions(
      units: units, recurrentActivation: recurrentActivation, unitForgetBias: unitForgetBias)
    self.init(configuration: Joined(options, own), name: name, dtype: dtype)
  }

  override var gates: Int { 4 }
  override var onesOfBias: Range<Int>? { configuration.unitForgetBias ? units..<2 * units : nil }
  override var furtherActivations: [ActivationFunction] { [configuration.recurrentActivation] }
  public override var stateSizes: [Int] { [units, units] }

  override var operation: RecurrentCell? {
    let isDefault =
      options.activation.isExactly(.tanh) && configuration.recurrentActivation.isExactly(.sigmoid)
    return isDefault ? .lstm : nil
  }

  override func step(_ projected: Tensor, _ states: [Tensor], _ masks: CellMasks) -> (Tensor, [Tensor]) {
    let gates = (projected + recurrentProduct(states[0], masks.states)).parts(4, axis: -1)
    let gate = configuration.recurrentActivation
    let c = gate(gates[1]) * states[1] + gate(gates[0]) * options.activation(gates[2])
    let h = gate(gates[3]) * options.activation(c)
    return (h, [h, c])
  }
}

/// The recurrent layer that remembers over long sequences: [batch, steps, features] → [batch, units].
///
/// ```swift
/// Embedding(20_000, 128, maskZero: true)
/// LSTM(64, returnSequences: true)      // [batch, steps, 64]
/// LSTM(64)                             // [batch, 64]
/// ```
///
/// Steps that a mask leaves out change neither state nor output. An initial state is given after the sequence:
/// `lstm([x, h, c])`; as in Keras a mask that comes with the sequence has no effect beside it, one that is given by
/// `CallContext(mask:)` has. Keras' `LSTM`; Hochreiter and Schmidhuber (1997).
public final class LSTM: RecurrentLayer, ConfigurableLayer, @unchecked Sendable {
  public typealias Configuration = Joined<LSTMCell.Configuration, RecurrenceOptions>

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    let cell = LSTMCell(configuration: configuration.first, trainable: trainable, dtype: dtype)
    super.init(cell, configuration.recurrence, name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - recurrentActivation: the gates'.
  ///   - unitForgetBias: the forget gate's bias starts as 1.
  ///   - dropout, recurrentDropout: the share of inputs and of the state that training drops, the same at each step.
  ///   - returnSequences: all steps' outputs: [batch, steps, units].
  ///   - returnState: the final h and c too, after the output.
  ///   - goBackwards: the last step first; the outputs are in that order too.
  ///   - stateful: a batch goes on from the state in which the one before ended, until ``RecurrentLayer/resetState()``.
  ///   - unroll: changes no number.
  ///   - zeroOutputForMask: outputs of steps that don't count are 0, not the output before.
  public convenience init(
    _ units: Int, activation: ActivationFunction = .tanh, recurrentActivation: ActivationFunction = .sigmoid,
    useBias: Bool = true, kernelInitializer: Initializer = .glorotUniform,
    recurrentInitializer: Initializer = .orthogonal, biasInitializer: Initializer = .zeros,
    unitForgetBias: Bool = true, kernelRegularizer: Regularizer? = nil,
    recurrentRegularizer: Regularizer? = nil, biasRegularizer: Regularizer? = nil,
    activityRegularizer: Regularizer? = nil, kernelConstraint: Constraint? = nil,
    recurrentConstraint: Constraint? = nil, biasConstraint: Constraint? = nil, dropout: Double = 0,
    recurrentDropout: Double = 0, returnSequences: Bool = false, returnState: Bool = false,
    goBackwards: Bool = false, stateful: Bool = false, unroll: Bool = false, zeroOutputForMask: Bool = false,
    seed: Int? = nil, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let options = RecurrentCellOptions(
      activation: activation, useBias: useBias, kernelInitializer: kernelInitializer,
      recurrentInitializer: recurrentInitializer, biasInitializer: biasInitializer,
      kernelRegularizer: kernelRegularizer, recurrentRegularizer: recurrentRegularizer,
      biasRegularizer: biasRegularizer, kernelConstraint: kernelConstraint,
      recurrentConstraint: recurrentConstraint, biasConstraint: biasConstraint, dropout: dropout,
      recurrentDropout: recurrentDropout, seed: seed)
    let own = LSTMOptions(
      units: units, recurrentActivation: recurrentActivation, unitForgetBias: unitForgetBias)
    let recurrence = RecurrenceOptions(
      returnSequences: returnSequences, returnState: returnState, goBackwards: goBackwards,
      stateful: stateful, unroll: unroll, zeroOutputForMask: zeroOutputForMask,
      activityRegularizer: activityRegularizer)
    let cell = LSTMCell.Configuration(options, own)
    self.init(configuration: Joined(cell, recurrence), name: name, trainable: trainable, dtype: dtype)
  }
}
