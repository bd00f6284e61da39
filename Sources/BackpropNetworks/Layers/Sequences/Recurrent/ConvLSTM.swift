import BackpropTensors

/// What convolutional cells have of their own.
public struct ConvLSTMOptions: Codable, Hashable, Sendable {
  public var filters: Int
  public var kernelSize: [Int]
  public var strides: [Int]
  public var padding: WindowPadding
  public var dataFormat: String?
  public var dilationRate: [Int]
  public var recurrentActivation: ActivationFunction
  /// The forget gate's bias starts as 1.
  public var unitForgetBias: Bool
}

/// A step of an LSTM whose products are convolutions (Shi et al., 2015). Keras' `ConvLSTMCell`.
///
/// The input's convolution has strides, padding and dilation; the state's keeps its size.
public final class ConvLSTMCell: KernelCell, @unchecked Sendable {
  public typealias Configuration = Joined<RecurrentCellOptions, ConvLSTMOptions>

  public let configuration: Configuration
  private let axes: Int

  init(
    _ configuration: Configuration, axes: Int, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy
  ) {
    self.configuration = configuration
    self.axes = axes
    super.init(
      configuration.first, units: configuration.filters, name: name, trainable: trainable, dtype: dtype)
  }

  override var gates: Int { 4 }
  override var maskCount: Int { 4 }
  override var stepRank: Int? { axes + 2 }
  override var onesOfBias: Range<Int>? { configuration.unitForgetBias ? units..<2 * units : nil }
  override var furtherActivations: [ActivationFunction] { [configuration.recurrentActivation] }
  public override var stateCount: Int { 2 }

  override func kernelShape(_ input: Shape) -> Shape {
    Shape(configuration.kernelSize + [input[-1], 4 * units])
  }
  override var recurrentKernelShape: Shape { Shape(configuration.kernelSize + [units, 4 * units]) }

  public override func stateShapes(for step: Shape) -> [Shape] {
    let c = configuration
    let spatial = step.dimensions.dropFirst().dropLast()
    let results = zip(spatial, spatial.indices).map { size, place -> Int in
      let axis = place - 1
      let reach = (c.kernelSize[axis] - 1) * c.dilationRate[axis] + 1
      let amounts = c.padding.amounts(
        input: size, window: c.kernelSize[axis], stride: c.strides[axis], dilation: c.dilationRate[axis])
      return (size + amounts.before + amounts.after - reach) / c.strides[axis] + 1
    }
    let state = Shape([step[0]] + results + [units])
    return [state, state]
  }

  override func checkStep(_ step: Shape) throws {
    let c = configuration
    try checkChannelsLast(c.dataFormat)
    try checkAxes(
      [("kernelSize", c.kernelSize), ("strides", c.strides), ("dilationRate", c.dilationRate)], axes: axes)
    try checkNotBoth(strides: c.strides, dilationRate: c.dilationRate)
    guard c.padding != .causal else {
      throw ModelError(
        .argument, at: path, "padding 'causal' isn't for recurrent layers; there is 'valid' and 'same'")
    }
    guard units > 0 else { throw ModelError(.argument, at: path, "filters must be positive, got \(units)") }
    try checkWindows(
      step, size: c.kernelSize, strides: c.strides, padding: c.padding, dilation: c.dilationRate)
  }

  override func projected(_ input: Tensor, _ masks: [Tensor]) -> Tensor {
    // A sequence's steps are so many images.
    let isSequence = input.rank == axes + 3
    let images = isSequence ? Self.images(input) : input
    let kernels = masks.isEmpty ? [kernel.value] : kernel.value.parts(4, axis: -1)
    let c = configuration
    let products = kernels.enumerated().map { gate, kernel -> Tensor in
      var images = images
      if !masks.isEmpty {
        let masked = input * masks[gate]
        images = isSequence ? Self.images(masked) : masked
      }
      return images.convolved(
        with: kernel, strides: c.strides, padding: c.padding, dilation: c.dilationRate)
    }
    var result = Tensor.concatenate(products, axis: -1)
    if let bias { result = result + bias.value }
    guard isSequence else { return result }
    return result.reshaped(to: Shape([input.shape[0], input.shape[1]] + result.shape.dimensions.dropFirst()))
  }

  private static func images(_ sequence: Tensor) -> Tensor {
    let shape = sequence.shape
    return sequence.reshaped(to: Shape([shape[0] * shape[1]] + shape.dimensions.dropFirst(2)))
  }

  override func step(_ projected: Tensor, _ states: [Tensor], _ masks: CellMasks) -> (Tensor, [Tensor]) {
    let h = states[0]
    let product: Tensor
    if masks.states.isEmpty {
      product = h.convolved(with: recurrentKernel.value, padding: .same)
    } else {
      let kernels = recurrentKernel.value.parts(4, axis: -1)
      let products = zip(masks.states, kernels).map { (h * $0).convolved(with: $1, padding: .same) }
      product = Tensor.concatenate(products, axis: -1)
    }
    let gates = (projected + product).parts(4, axis: -1)
    let gate = configuration.recurrentActivation
    let c = gate(gates[1]) * states[1] + gate(gates[0]) * options.activation(gates[2])
    let after = gate(gates[3]) * options.activation(c)
    return (after, [after, c])
  }
}

/// What ``ConvLSTM1D``, ``ConvLSTM2D`` and ``ConvLSTM3D`` share.
public class ConvLSTM: RecurrentLayer, @unchecked Sendable {
  public typealias Configuration = Joined<ConvLSTMCell.Configuration, RecurrenceOptions>

  public let configuration: Configuration

  class var axes: Int { 2 }

  override var stepAxes: String {
    String(
      Self.imageAxes(Self.axes).replacing("steps", with: "positions").dropFirst("[batch, ".count).dropLast())
  }

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    let cell = ConvLSTMCell(
      configuration.first, axes: Self.axes, name: "conv_lstm_cell", trainable: trainable, dtype: dtype)
    super.init(cell, configuration.recurrence, name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - filters: channels of output and state.
  ///   - kernelSize, strides, dilationRate: one number for all spatial axes or a list.
  ///   - dropout: and what follows: as ``LSTM`` has them.
  public convenience init(
    _ filters: Int, kernelSize: OneOrMany<Int>, strides: OneOrMany<Int> = 1, padding: WindowPadding = .valid,
    dilationRate: OneOrMany<Int> = 1, activation: ActivationFunction = .tanh,
    recurrentActivation: ActivationFunction = .sigmoid, useBias: Bool = true,
    kernelInitializer: Initializer = .glorotUniform, recurrentInitializer: Initializer = .orthogonal,
    biasInitializer: Initializer = .zeros, unitForgetBias: Bool = true, kernelRegularizer: Regularizer? = nil,
    recurrentRegularizer: Regularizer? = nil, biasRegularizer: Regularizer? = nil,
    activityRegularizer: Regularizer? = nil, kernelConstraint: Constraint? = nil,
    recurrentConstraint: Constraint? = nil, biasConstraint: Constraint? = nil, dropout: Double = 0,
    recurrentDropout: Double = 0, returnSequences: Bool = false, returnState: Bool = false,
    goBackwards: Bool = false, stateful: Bool = false, zeroOutputForMask: Bool = false, seed: Int? = nil,
    name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let options = RecurrentCellOptions(
      activation: activation, useBias: useBias, kernelInitializer: kernelInitializer,
      recurrentInitializer: recurrentInitializer, biasInitializer: biasInitializer,
      kernelRegularizer: kernelRegularizer, recurrentRegularizer: recurrentRegularizer,
      biasRegularizer: biasRegularizer, kernelConstraint: kernelConstraint,
      recurrentConstraint: recurrentConstraint, biasConstraint: biasConstraint, dropout: dropout,
      recurrentDropout: recurrentDropout, seed: seed)
    let axes = Self.axes
    let own = ConvLSTMOptions(
      filters: filters, kernelSize: kernelSize.over(axes), strides: strides.over(axes), padding: padding,
      dataFormat: "channels_last", dilationRate: dilationRate.over(axes),
      recurrentActivation: recurrentActivation, unitForgetBias: unitForgetBias)
    let recurrence = RecurrenceOptions(
      returnSequences: returnSequences, returnState: returnState, goBackwards: goBackwards,
      stateful: stateful, zeroOutputForMask: zeroOutputForMask, activityRegularizer: activityRegularizer)
    let cell = ConvLSTMCell.Configuration(options, own)
    self.init(configuration: Joined(cell, recurrence), name: name, trainable: trainable, dtype: dtype)
  }
}

/// [batch, steps, positions, channels] → [batch, positions′, filters]. Keras' `ConvLSTM1D`.
public final class ConvLSTM1D: ConvLSTM, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }

  package override var sampleInputs: [TensorType]? { [TensorType([2, 3, 4, 2], .float32)] }
}

/// Videos: [batch, steps, height, width, channels] → [batch, height′, width′, filters]. Keras' `ConvLSTM2D`.
///
/// ```swift
/// ConvLSTM2D(16, kernelSize: 3, padding: .same, returnSequences: true)
/// ```
public final class ConvLSTM2D: ConvLSTM, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }

  package override var sampleInputs: [TensorType]? { [TensorType([2, 3, 4, 4, 2], .float32)] }
}

/// [batch, steps, depth, height, width, channels] → [batch, depth′, height′, width′, filters]. Keras' `ConvLSTM3D`.
public final class ConvLSTM3D: ConvLSTM, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 3 }

  package override var sampleInputs: [TensorType]? { [TensorType([2, 2, 3, 3, 3, 2], .float32)] }
}
