import BackpropTensors

/// What ``SimpleRNNCell`` has of its own.
public struct SimpleRNNOptions: Codable, Hashable, Sendable {
  public var units: Int
}

/// activation(x · kernel + bias + h · recurrent kernel): output and new state. Keras' `SimpleRNNCell`.
public final class SimpleRNNCell: KernelCell, ConfigurableLayer, @unchecked Sendable {
  public typealias Configuration = Joined<RecurrentCellOptions, SimpleRNNOptions>

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(
      configuration.first, units: configuration.units, name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    _ units: Int, options: RecurrentCellOptions = RecurrentCellOptions(), name: String? = nil,
    dtype: DTypePolicy = .default
  ) {
    self.init(configuration: Joined(options, SimpleRNNOptions(units: units)), name: name, dtype: dtype)
  }

  override var operation: RecurrentCell? { options.activation.isExactly(.tanh) ? .simple : nil }
  override var ignoresFullDropout: Bool { false }

  override func step(_ projected: Tensor, _ states: [Tensor], _ masks: CellMasks) -> (Tensor, [Tensor]) {
    let h = options.activation(projected + recurrentProduct(states[0], masks.states))
    return (h, [h])
  }
}

/// The plain recurrent layer (Elman, 1990): [batch, steps, features] → [batch, units].
///
/// ```swift
/// SimpleRNN(32, returnSequences: true)      // → [batch, steps, 32]
/// ```
///
/// Keras' `SimpleRNN`.
public final class SimpleRNN: RecurrentLayer, ConfigurableLayer, @unchecked Sendable {
  public typealias Configuration = Joined<SimpleRNNCell.Configuration, RecurrenceOptions>

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    let cell = SimpleRNNCell(configuration: configuration.first, trainable: trainable, dtype: dtype)
    super.init(cell, configuration.recurrence, name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters: as ``LSTM`` has them.
  public convenience init(
    _ units: Int, activation: ActivationFunction = .tanh, useBias: Bool = true,
    kernelInitializer: Initializer = .glorotUniform, recurrentInitializer: Initializer = .orthogonal,
    biasInitializer: Initializer = .zeros, kernelRegularizer: Regularizer? = nil,
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
    let recurrence = RecurrenceOptions(
      returnSequences: returnSequences, returnState: returnState, goBackwards: goBackwards,
      stateful: stateful, unroll: unroll, zeroOutputForMask: zeroOutputForMask,
      activityRegularizer: activityRegularizer)
    let cell = SimpleRNNCell.Configuration(options, SimpleRNNOptions(units: units))
    self.init(configuration: Joined(cell, recurrence), name: name, trainable: trainable, dtype: dtype)
  }
}
