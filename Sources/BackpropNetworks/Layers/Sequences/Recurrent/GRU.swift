import BackpropTensors

/// What ``GRUCell`` has of its own.
public struct GRUOptions: Codable, Hashable, Sendable {
  public var units: Int
  public var recurrentActivation: ActivationFunction
  /// The reset gate works on the product of the state with the kernel, not on the state.
  public var resetAfter: Bool
}

/// A step that mixes the state with a new one by a gate (Cho et al., 2014). Keras' `GRUCell`.
///
/// Gates lie side by side in the weights as Keras has them: update, reset, candidate. With `resetAfter` (Keras' default,
/// and that of cuDNN) the bias has two rows: the input's and the state's.
public final class GRUCell: KernelCell, ConfigurableLayer, @unchecked Sendable {
  public typealias Configuration = Joined<RecurrentCellOptions, GRUOptions>

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(
      configuration.first, units: configuration.units, name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    _ units: Int, recurrentActivation: ActivationFunction = .sigmoid, resetAfter: Bool = true,
    options: RecurrentCellOptions = RecurrentCellOptions(), name: String? = nil, dtype: DTypePolicy = .default
  ) {
    let own = GRUOptions(units: units, recurrentActivation: recurrentActivation, resetAfter: resetAfter)
    self.init(configuration: Joined(options, own), name: name, dtype: dtype)
  }

  override var gates: Int { 3 }
  override var biasShape: Shape { configuration.resetAfter ? [2, 3 * units] : [3 * units] }
  override var furtherActivations: [ActivationFunction] { [configuration.recurrentActivation] }

  override var operation: RecurrentCell? {
    let isDefault =
      options.activation.isExactly(.tanh) && configuration.recurrentActivation.isExactly(.sigmoid)
    return isDefault ? .gru(resetAfter: configuration.resetAfter) : nil
  }

  override var inputBias: Tensor? { configuration.resetAfter ? biasRow(0) : bias?.value }

  override var recurrentBias: Tensor? { configuration.resetAfter ? biasRow(1) : nil }

  private func biasRow(_ row: Int) -> Tensor? {
    bias?.value.sliced(axis: 0, from: row, count: 1).reshaped(to: [3 * units])
  }

  override func step(_ projected: Tensor, _ states: [Tensor], _ masks: CellMasks) -> (Tensor, [Tensor]) {
    let h = states[0]
    let x = projected.parts(3, axis: -1)
    let gate = configuration.recurrentActivation
    let update: Tensor
    let candidate: Tensor
    if configuration.resetAfter {
      var product = recurrentProduct(h, masks.states)
      if let recurrentBias { product = product + recurrentBias }
      let inner = product.parts(3, axis: -1)
      update = gate(x[0] + inner[0])
      candidate = options.activation(x[2] + gate(x[1] + inner[1]) * inner[2])
    } else {
      let kernels = recurrentKernel.value.parts(3, axis: 1)
      func masked(_ gate: Int) -> Tensor {
        guard let first = masks.states.first else { return h }
        return h * (masks.states.count > 1 ? masks.states[gate] : first)
      }
      update = gate(x[0] + masked(0).matmul(kernels[0]))
      let reset = gate(x[1] + masked(1).matmul(kernels[1]))
      candidate = options.activation(x[2] + (reset * masked(2)).matmul(kernels[2]))
    }
    let mixed = update * h + (1 - update) * candidate
    return (mixed, [mixed])
  }
}

/// The gated recurrent layer: [batch, steps, features] → [batch, units].
///
/// ```swift
/// GRU(64, returnSequences: true)      // → [batch, steps, 64]
/// ```
///
/// Masks, initial state and arguments are as with ``LSTM``; there is one state. Keras' `GRU`; Cho et al. (2014).
public final class GRU: RecurrentLayer, ConfigurableLayer, @unchecked Sendable {
  public typealias Configuration = Joined<GRUCell.Configuration, RecurrenceOptions>

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    let cell = GRUCell(configuration: configuration.first, trainable: trainable, dtype: dtype)
    super.init(cell, configuration.recurrence, name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - recurrentActivation: the gates'.
  ///   - dropout, recurrentDropout: the share of inputs and of the state that training drops, the same at each step.
  ///   - returnSequences: all steps' outputs: [batch, steps, units].
  ///   - resetAfter: the reset gate works on the product of the state with the kernel, not on the state.
  ///   - returnState: the final state too, after the output.
  ///   - goBackwards: the last step first; the outputs are in that order too.
  ///   - stateful: a batch goes on from the state in which the one before ended, until ``RecurrentLayer/resetState()``.
  ///   - unroll: changes no number.
  ///   - zeroOutputForMask: outputs of steps that don't count are 0, not the output before.
  public convenience init(
    _ units: Int, activation: ActivationFunction = .tanh, recurrentActivation: ActivationFunction = .sigmoid,
    useBias: Bool = true, kernelInitializer: Initializer = .glorotUniform,
    recurrentInitializer: Initializer = .orthogonal, biasInitializer: Initializer = .zeros,
    kernelRegularizer: Regularizer? = nil,
    recurrentRegularizer: Regularizer? = nil, biasRegularizer: Regularizer? = nil,
    activityRegularizer: Regularizer? = nil, kernelConstraint: Constraint? = nil,
    recurrentConstraint: Constraint? = nil, biasConstraint: Constraint? = nil, dropout: Double = 0,
    recurrentDropout: Double = 0, resetAfter: Bool = true, returnSequences: Bool = false,
    returnState: Bool = false,
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
    let own = GRUOptions(
      units: units, recurrentActivation: recurrentActivation, resetAfter: resetAfter)
    let recurrence = RecurrenceOptions(
      returnSequences: returnSequences, returnState: returnState, goBackwards: goBackwards,
      stateful: stateful, unroll: unroll, zeroOutputForMask: zeroOutputForMask,
      activityRegularizer: activityRegularizer)
    let cell = GRUCell.Configuration(options, own)
    self.init(configuration: Joined(cell, recurrence), name: name, trainable: trainable, dtype: dtype)
  }
}
