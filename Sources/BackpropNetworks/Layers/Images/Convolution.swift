import BackpropTensors

/// What ``Conv1D``, ``Conv2D`` and ``Conv3D`` are made from.
public struct ConvolutionConfiguration: Codable, Hashable, Sendable {
  public var filters: Int
  public var kernelSize: [Int]
  public var strides: [Int]
  public var padding: WindowPadding
  public var dataFormat: String?
  public var dilationRate: [Int]
  public var groups: Int
  public var activation: ActivationFunction
  public var useBias: Bool
  public var kernelInitializer: Initializer
  public var biasInitializer: Initializer
  public var kernelRegularizer: Regularizer?
  public var biasRegularizer: Regularizer?
  public var activityRegularizer: Regularizer?
  public var kernelConstraint: Constraint?
  public var biasConstraint: Constraint?
}

/// Kernels that move over images: activation(x ∗ kernel + bias). ``Conv1D``, ``Conv2D`` and ``Conv3D`` say over how many
/// axes.
public class Convolution: Layer, @unchecked Sendable {
  public let configuration: ConvolutionConfiguration
  private var kernel: Weight!
  private var bias: Weight?

  class var axes: Int { 2 }

  public required init(
    configuration: ConvolutionConfiguration, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - filters: kernels, and so channels of the result.
  ///   - kernelSize, strides, dilationRate: one number for all spatial axes or a list.
  ///   - groups: channels are cut into so many parts, each with kernels of its own.
  public convenience init(
    _ filters: Int, kernelSize: OneOrMany<Int>, strides: OneOrMany<Int> = 1, padding: WindowPadding = .valid,
    dilationRate: OneOrMany<Int> = 1, groups: Int = 1, activation: ActivationFunction = .linear,
    useBias: Bool = true, kernelInitializer: Initializer = .glorotUniform,
    biasInitializer: Initializer = .zeros,
    kernelRegularizer: Regularizer? = nil, biasRegularizer: Regularizer? = nil,
    activityRegularizer: Regularizer? = nil, kernelConstraint: Constraint? = nil,
    biasConstraint: Constraint? = nil, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    let axes = Self.axes
    let configuration = ConvolutionConfiguration(
      filters: filters, kernelSize: kernelSize.over(axes), strides: strides.over(axes), padding: padding,
      dataFormat: "channels_last", dilationRate: dilationRate.over(axes), groups: groups,
      activation: activation,
      useBias: useBias, kernelInitializer: kernelInitializer, biasInitializer: biasInitializer,
      kernelRegularizer: kernelRegularizer, biasRegularizer: biasRegularizer,
      activityRegularizer: activityRegularizer, kernelConstraint: kernelConstraint,
      biasConstraint: biasConstraint)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  private func checkArguments() throws {
    let c = configuration
    try checkChannelsLast(c.dataFormat)
    try checkAxes(
      [("kernelSize", c.kernelSize), ("strides", c.strides), ("dilationRate", c.dilationRate)],
      axes: Self.axes)
    guard c.filters > 0 else {
      throw ModelError(.argument, at: path, "filters must be positive, got \(c.filters)")
    }
    guard c.groups > 0, c.filters % c.groups == 0 else {
      throw ModelError(.argument, at: path, "\(c.filters) filters can't be shared by \(c.groups) groups")
    }
    try checkNotBoth(strides: c.strides, dilationRate: c.dilationRate)
    guard c.padding != .causal || Self.axes == 1 else {
      throw ModelError(.argument, at: path, "causal padding is for Conv1D; there is 'valid' and 'same'")
    }
    try c.activation.check(at: path)
  }

  public override func build(_ input: Shape) throws {
    let c = configuration
    try checkArguments()
    try checkImages([input], axes: Self.axes)
    guard input[-1] % c.groups == 0 else {
      throw ModelError(
        .shape, at: path, "the \(input[-1]) channels of \(input) can't be shared by \(c.groups) groups")
    }
    try checkSize(input)
    kernel = addWeight(
      "kernel", shape: Shape(c.kernelSize + [input[-1] / c.groups, c.filters]),
      initializer: c.kernelInitializer,
      regularizer: c.kernelRegularizer, constraint: c.kernelConstraint)
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
    try checkImages(inputs, axes: Self.axes, channels: kernel.shape[-2] * configuration.groups)
    try checkSize(inputs[0])
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let c = configuration
    let result = input.convolved(
      with: kernel.value, strides: c.strides, padding: c.padding, dilation: c.dilationRate, groups: c.groups)
    return finished(result, bias, c.activation, c.activityRegularizer, context)
  }
}

/// A convolution over sequences: [batch, steps, channels] → [batch, steps′, filters]. Keras' `Conv1D`; the kernel is
/// [size, channels / groups, filters].
///
/// ```swift
/// Conv1D(64, kernelSize: 3, padding: .causal, dilationRate: 2, activation: .relu)
/// ```
public final class Conv1D: Convolution, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }
}

/// A convolution over images: [batch, height, width, channels] → [batch, height′, width′, filters]. Keras' `Conv2D`; the
/// kernel is [height, width, channels / groups, filters].
///
/// ```swift
/// Conv2D(32, kernelSize: 3, activation: .relu)      // [n, 28, 28, 1] → [n, 26, 26, 32]
/// ```
public final class Conv2D: Convolution, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}

/// A convolution over volumes: [batch, depth, height, width, channels] → [batch, depth′, height′, width′, filters].
/// Keras' `Conv3D`; the kernel is [depth, height, width, channels / groups, filters].
public final class Conv3D: Convolution, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 3 }
}
