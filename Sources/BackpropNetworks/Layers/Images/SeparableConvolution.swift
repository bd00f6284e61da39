import BackpropTensors

/// What ``SeparableConv1D`` and ``SeparableConv2D`` are made from.
public struct SeparableConvolutionConfiguration: Codable, Hashable, Sendable {
  public var depthMultiplier: Int
  public var filters: Int
  public var kernelSize: [Int]
  public var strides: [Int]
  public var padding: WindowPadding
  public var dataFormat: String?
  public var dilationRate: [Int]
  public var activation: ActivationFunction
  public var useBias: Bool
  public var depthwiseInitializer: Initializer
  public var pointwiseInitializer: Initializer
  public var biasInitializer: Initializer
  public var depthwiseRegularizer: Regularizer?
  public var pointwiseRegularizer: Regularizer?
  public var biasRegularizer: Regularizer?
  public var activityRegularizer: Regularizer?
  public var depthwiseConstraint: Constraint?
  public var pointwiseConstraint: Constraint?
  public var biasConstraint: Constraint?
}

/// A kernel for each channel by itself, then one of size 1 over all of them: far fewer numbers than a full convolution.
/// ``SeparableConv1D`` and ``SeparableConv2D`` say over how many axes.
public class SeparableConvolution: Layer, @unchecked Sendable {
  public let configuration: SeparableConvolutionConfiguration
  private var depthwise: Weight!
  private var pointwise: Weight!
  private var bias: Weight?

  class var axes: Int { 2 }

  public required init(
    configuration: SeparableConvolutionConfiguration, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    _ filters: Int, kernelSize: OneOrMany<Int>, strides: OneOrMany<Int> = 1, padding: WindowPadding = .valid,
    dilationRate: OneOrMany<Int> = 1, depthMultiplier: Int = 1, activation: ActivationFunction = .linear,
    useBias: Bool = true, depthwiseInitializer: Initializer = .glorotUniform,
    pointwiseInitializer: Initializer = .glorotUniform, biasInitializer: Initializer = .zeros,
    depthwiseRegularizer: Regularizer? = nil, pointwiseRegularizer: Regularizer? = nil,
    biasRegularizer: Regularizer? = nil, activityRegularizer: Regularizer? = nil,
    depthwiseConstraint: Constraint? = nil, pointwiseConstraint: Constraint? = nil,
    biasConstraint: Constraint? = nil, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    let axes = Self.axes
    let configuration = SeparableConvolutionConfiguration(
      depthMultiplier: depthMultiplier, filters: filters, kernelSize: kernelSize.over(axes),
      strides: strides.over(axes), padding: padding, dataFormat: "channels_last",
      dilationRate: dilationRate.over(axes), activation: activation, useBias: useBias,
      depthwiseInitializer: depthwiseInitializer, pointwiseInitializer: pointwiseInitializer,
      biasInitializer: biasInitializer, depthwiseRegularizer: depthwiseRegularizer,
      pointwiseRegularizer: pointwiseRegularizer, biasRegularizer: biasRegularizer,
      activityRegularizer: activityRegularizer, depthwiseConstraint: depthwiseConstraint,
      pointwiseConstraint: pointwiseConstraint, biasConstraint: biasConstraint)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  public override func build(_ input: Shape) throws {
    let c = configuration
    try checkDepthwise(
      c.kernelSize, c.strides, c.padding, c.dilationRate, c.depthMultiplier, c.dataFormat, axes: Self.axes)
    guard c.filters > 0 else {
      throw ModelError(.argument, at: path, "filters must be positive, got \(c.filters)")
    }
    try c.activation.check(at: path)
    try checkImages([input], axes: Self.axes)
    try checkSize(input)
    depthwise = addWeight(
      "depthwise_kernel", shape: Shape(c.kernelSize + [input[-1], c.depthMultiplier]),
      initializer: c.depthwiseInitializer, regularizer: c.depthwiseRegularizer,
      constraint: c.depthwiseConstraint)
    let ones = Array(repeating: 1, count: Self.axes)
    pointwise = addWeight(
      "pointwise_kernel", shape: Shape(ones + [input[-1] * c.depthMultiplier, c.filters]),
      initializer: c.pointwiseInitializer, regularizer: c.pointwiseRegularizer,
      constraint: c.pointwiseConstraint)
    guard c.useBias else { return }
    bias = addWeight(
      "bias", shape: [c.filters], initializer: c.biasInitializer, regularizer: c.biasRegularizer,
      constraint: c.biasConstraint)
  }

  private func checkSize(_ input: Shape) throws {
    let c = configuration
    try checkWindows(
      input, size: c.kernelSize, strides: c.strides, padding: c.padding, dilation: c.dilationRate)
  }

  public override func check(_ inputs: [Shape]) throws {
    try checkImages(inputs, axes: Self.axes, channels: depthwise.shape[-2])
    try checkSize(inputs[0])
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let c = configuration
    let separate = input.depthwiseConvolved(
      with: depthwise.value, strides: c.strides, padding: c.padding, dilation: c.dilationRate)
    let result = separate.convolved(with: pointwise.value)
    return finished(result, bias, c.activation, c.activityRegularizer, context)
  }
}

/// A separable convolution over sequences: [batch, steps, channels] → [batch, steps′, filters]. Keras' `SeparableConv1D`.
public final class SeparableConv1D: SeparableConvolution, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }
}

/// A separable convolution over images: [batch, height, width, channels] → [batch, height′, width′, filters]. Keras'
/// `SeparableConv2D`.
public final class SeparableConv2D: SeparableConvolution, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}
