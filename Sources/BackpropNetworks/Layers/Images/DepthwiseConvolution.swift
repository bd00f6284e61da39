import BackpropTensors

/// What ``DepthwiseConv1D`` and ``DepthwiseConv2D`` are made from.
public struct DepthwiseConvolutionConfiguration: Codable, Hashable, Sendable {
  public var depthMultiplier: Int
  public var kernelSize: [Int]
  public var strides: [Int]
  public var padding: WindowPadding
  public var dataFormat: String?
  public var dilationRate: [Int]
  public var activation: ActivationFunction
  public var useBias: Bool
  public var depthwiseInitializer: Initializer
  public var biasInitializer: Initializer
  public var depthwiseRegularizer: Regularizer?
  public var biasRegularizer: Regularizer?
  public var activityRegularizer: Regularizer?
  public var depthwiseConstraint: Constraint?
  public var biasConstraint: Constraint?
}

/// Kernels for each channel by itself: `depthMultiplier` results of each. ``DepthwiseConv1D`` and ``DepthwiseConv2D`` say
/// over how many axes.
public class DepthwiseConvolution: Layer, @unchecked Sendable {
  public let configuration: DepthwiseConvolutionConfiguration
  private var kernel: Weight!
  private var bias: Weight?

  class var axes: Int { 2 }

  public required init(
    configuration: DepthwiseConvolutionConfiguration, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    kernelSize: OneOrMany<Int>, strides: OneOrMany<Int> = 1, padding: WindowPadding = .valid,
    depthMultiplier: Int = 1, dilationRate: OneOrMany<Int> = 1, activation: ActivationFunction = .linear,
    useBias: Bool = true, depthwiseInitializer: Initializer = .glorotUniform,
    biasInitializer: Initializer = .zeros, depthwiseRegularizer: Regularizer? = nil,
    biasRegularizer: Regularizer? = nil, activityRegularizer: Regularizer? = nil,
    depthwiseConstraint: Constraint? = nil, biasConstraint: Constraint? = nil, name: String? = nil,
    trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let axes = Self.axes
    let configuration = DepthwiseConvolutionConfiguration(
      depthMultiplier: depthMultiplier, kernelSize: kernelSize.over(axes), strides: strides.over(axes),
      padding: padding, dataFormat: "channels_last", dilationRate: dilationRate.over(axes),
      activation: activation, useBias: useBias, depthwiseInitializer: depthwiseInitializer,
      biasInitializer: biasInitializer, depthwiseRegularizer: depthwiseRegularizer,
      biasRegularizer: biasRegularizer, activityRegularizer: activityRegularizer,
      depthwiseConstraint: depthwiseConstraint, biasConstraint: biasConstraint)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  public override func build(_ input: Shape) throws {
    let c = configuration
    try checkDepthwise(
      c.kernelSize, c.strides, c.padding, c.dilationRate, c.depthMultiplier, c.dataFormat, axes: Self.axes)
    try c.activation.check(at: path)
    try checkImages([input], axes: Self.axes)
    try checkSize(input)
    kernel = addWeight(
      "kernel", shape: Shape(c.kernelSize + [input[-1], c.depthMultiplier]),
      initializer: c.depthwiseInitializer,
      regularizer: c.depthwiseRegularizer, constraint: c.depthwiseConstraint)
    guard c.useBias else { return }
    bias = addWeight(
      "bias", shape: [input[-1] * c.depthMultiplier], initializer: c.biasInitializer,
      regularizer: c.biasRegularizer, constraint: c.biasConstraint)
  }

  private func checkSize(_ input: Shape) throws {
    let c = configuration
    try checkWindows(
      input, size: c.kernelSize, strides: c.strides, padding: c.padding, dilation: c.dilationRate)
  }

  public override func check(_ inputs: [Shape]) throws {
    try checkImages(inputs, axes: Self.axes, channels: kernel.shape[-2])
    try checkSize(inputs[0])
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let c = configuration
    let result = input.depthwiseConvolved(
      with: kernel.value, strides: c.strides, padding: c.padding, dilation: c.dilationRate)
    return finished(result, bias, c.activation, c.activityRegularizer, context)
  }
}

extension Layer {
  /// Refuses arguments that no depthwise kernel can have.
  func checkDepthwise(
    _ kernelSize: [Int], _ strides: [Int], _ padding: WindowPadding, _ dilationRate: [Int], _ multiplier: Int,
    _ dataFormat: String?, axes: Int
  ) throws {
    try checkChannelsLast(dataFormat)
    try checkAxes(
      [("kernelSize", kernelSize), ("strides", strides), ("dilationRate", dilationRate)], axes: axes)
    guard multiplier > 0 else {
      throw ModelError(.argument, at: path, "depthMultiplier must be positive, got \(multiplier)")
    }
    guard padding != .causal else {
      throw ModelError(.argument, at: path, "padding is 'valid' or 'same', got 'causal'")
    }
  }
}

extension Tensor {
  /// With a kernel [spatial…, channels, multiplier]: channel c gives the results c · multiplier and following.
  func depthwiseConvolved(with kernel: Tensor, strides: [Int], padding: WindowPadding, dilation: [Int])
    -> Tensor
  {
    let spatial = Array(kernel.shape.dimensions.dropLast(2))
    let grouped = kernel.reshaped(to: Shape(spatial + [1, kernel.shape[-2] * kernel.shape[-1]]))
    return convolved(
      with: grouped, strides: strides, padding: padding, dilation: dilation, groups: kernel.shape[-2])
  }
}

/// A convolution of each channel of [batch, steps, channels] by itself. Keras' `DepthwiseConv1D`; the kernel is [size,
/// channels, depthMultiplier].
public final class DepthwiseConv1D: DepthwiseConvolution, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }
}

/// A convolution of each channel of [batch, height, width, channels] by itself. Keras' `DepthwiseConv2D`; the kernel is
/// [height, width, channels, depthMultiplier].
public final class DepthwiseConv2D: DepthwiseConvolution, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}
