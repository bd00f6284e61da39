import BackpropTensors

/// What ``Conv1DTranspose``, ``Conv2DTranspose`` and ``Conv3DTranspose`` are made from.
public struct ConvolutionTransposeConfiguration: Codable, Hashable, Sendable {
  public var filters: Int
  public var kernelSize: [Int]
  public var strides: [Int]
  public var padding: WindowPadding
  public var outputPadding: [Int]?
  public var dataFormat: String?
  public var dilationRate: [Int]
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

/// The reverse movement of a convolution, from small images to large ones ("deconvolution"): each position of the input
/// adds a kernel, scaled, to the result. ``Conv1DTranspose``, ``Conv2DTranspose`` and ``Conv3DTranspose`` say over how
/// many axes.
public class ConvolutionTranspose: Layer, @unchecked Sendable {
  public let configuration: ConvolutionTransposeConfiguration
  private var kernel: Weight!
  private var bias: Weight?

  class var axes: Int { 2 }

  public required init(
    configuration: ConvolutionTransposeConfiguration, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameter outputPadding: positions at the end of each axis of the result beyond those that the kernel reaches;
  ///   nil: so many that `same` gives `strides` times the input's size.
  public convenience init(
    _ filters: Int, kernelSize: OneOrMany<Int>, strides: OneOrMany<Int> = 1, padding: WindowPadding = .valid,
    outputPadding: OneOrMany<Int>? = nil, dilationRate: OneOrMany<Int> = 1,
    activation: ActivationFunction = .linear, useBias: Bool = true,
    kernelInitializer: Initializer = .glorotUniform, biasInitializer: Initializer = .zeros,
    kernelRegularizer: Regularizer? = nil, biasRegularizer: Regularizer? = nil,
    activityRegularizer: Regularizer? = nil, kernelConstraint: Constraint? = nil,
    biasConstraint: Constraint? = nil, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    let axes = Self.axes
    let configuration = ConvolutionTransposeConfiguration(
      filters: filters, kernelSize: kernelSize.over(axes), strides: strides.over(axes), padding: padding,
      outputPadding: outputPadding?.over(axes), dataFormat: "channels_last",
      dilationRate: dilationRate.over(axes),
      activation: activation, useBias: useBias, kernelInitializer: kernelInitializer,
      biasInitializer: biasInitializer, kernelRegularizer: kernelRegularizer,
      biasRegularizer: biasRegularizer,
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
    guard c.padding != .causal else {
      throw ModelError(.argument, at: path, "padding is 'valid' or 'same', got 'causal'")
    }
    try checkNotBoth(strides: c.strides, dilationRate: c.dilationRate)
    if let padding = c.outputPadding {
      try checkAxes([("outputPadding", padding)], axes: Self.axes, least: 0)
      guard zip(padding, c.strides).allSatisfy({ $0 < $1 }) else {
        throw ModelError(
          .argument, at: path, "outputPadding must be below the strides \(c.strides), got \(padding)")
      }
    }
    try c.activation.check(at: path)
  }

  public override func build(_ input: Shape) throws {
    let c = configuration
    try checkArguments()
    try checkImages([input], axes: Self.axes)
    kernel = addWeight(
      "kernel", shape: Shape(c.kernelSize + [c.filters, input[-1]]), initializer: c.kernelInitializer,
      regularizer: c.kernelRegularizer, constraint: c.kernelConstraint)
    guard c.useBias else { return }
    bias = addWeight(
      "bias", shape: [c.filters], initializer: c.biasInitializer, regularizer: c.biasRegularizer,
      constraint: c.biasConstraint)
  }

  /// Spatial sizes of the result, and the convolution that leads from them to the input's.
  private func geometry(of input: Shape) -> (sizes: [Int], options: ConvolutionOptions) {
    let c = configuration
    var sizes: [Int] = []
    for axis in 0..<Self.axes {
      let reach = (c.kernelSize[axis] - 1) * c.dilationRate[axis] + 1
      let (stride, steps) = (c.strides[axis], (input[axis + 1] - 1) * c.strides[axis])
      switch (c.padding, c.outputPadding?[axis]) {
      case (.same, nil): sizes.append(steps + stride)
      case (.same, let extra?): sizes.append(steps + reach % 2 + extra)
      case (_, let extra?): sizes.append(steps + reach + extra)
      case (_, nil): sizes.append(steps + max(reach, stride))
      }
    }
    let amounts = (0..<Self.axes).map { axis in
      c.padding.amounts(
        input: sizes[axis], window: c.kernelSize[axis], stride: c.strides[axis],
        dilation: c.dilationRate[axis])
    }
    return (
      sizes,
      ConvolutionOptions(
        strides: c.strides, dilation: c.dilationRate, before: amounts.map(\.before),
        after: amounts.map(\.after))
    )
  }

  public override func check(_ inputs: [Shape]) throws {
    try checkImages(inputs, axes: Self.axes, channels: kernel.shape[-1])
    let c = configuration
    let (sizes, options) = geometry(of: inputs[0])
    let spatial = Array(inputs[0].dimensions.dropFirst().dropLast())
    let results = sizes.contains { $0 <= 0 } ? nil : try? options.results(of: sizes, size: c.kernelSize)
    guard results == spatial else {
      throw ModelError(
        .shape, at: path,
        "no convolution with kernel \(c.kernelSize), strides \(c.strides) and outputPadding "
          + "\(c.outputPadding.map { "\($0)" } ?? "nil") leads from results of \(sizes) back to \(inputs[0])")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let c = configuration
    let (sizes, options) = geometry(of: input.shape)
    let result = input.transposedConvolved(with: kernel.value, options, input: sizes)
    return finished(result, bias, c.activation, c.activityRegularizer, context)
  }
}

/// A transposed convolution over sequences: [batch, steps, channels] → [batch, steps′, filters]. Keras'
/// `Conv1DTranspose`; the kernel is [size, filters, channels].
public final class Conv1DTranspose: ConvolutionTranspose, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }
}

/// A transposed convolution over images: [batch, height, width, channels] → [batch, height′, width′, filters]. Keras'
/// `Conv2DTranspose`; the kernel is [height, width, filters, channels].
///
/// ```swift
/// Conv2DTranspose(16, kernelSize: 3, strides: 2, padding: .same)      // [n, 7, 7, 32] → [n, 14, 14, 16]
/// ```
public final class Conv2DTranspose: ConvolutionTranspose, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}

/// A transposed convolution over volumes. Keras' `Conv3DTranspose`; the kernel is [depth, height, width, filters,
/// channels].
public final class Conv3DTranspose: ConvolutionTranspose, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 3 }
}
