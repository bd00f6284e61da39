import BackpropTensors

/// What adaptive pooling layers are made from.
public struct AdaptivePoolingConfiguration: Codable, Hashable, Sendable {
  public var outputSize: [Int]
  public var dataFormat: String?
}

/// Images of any size to a fixed one: window i of n over a length is ⌊i·length/n⌋ ..< ⌈(i+1)·length/n⌉. What adaptive max
/// and average pooling share.
public class AdaptivePooling: Layer, @unchecked Sendable {
  public let configuration: AdaptivePoolingConfiguration

  class var axes: Int { 2 }

  public required init(
    configuration: AdaptivePoolingConfiguration, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameter outputSize: of the result, one number for all spatial axes or a list.
  public convenience init(_ outputSize: OneOrMany<Int>, name: String? = nil) {
    let configuration = AdaptivePoolingConfiguration(
      outputSize: outputSize.over(Self.axes), dataFormat: "channels_last")
    self.init(configuration: configuration, name: name)
  }

  public override func build(_ input: Shape) throws {
    try checkChannelsLast(configuration.dataFormat)
    try checkAxes([("outputSize", configuration.outputSize)], axes: Self.axes)
  }

  public override func check(_ inputs: [Shape]) throws {
    try checkImages(inputs, axes: Self.axes)
    guard inputs[0].dimensions[1...Self.axes].allSatisfy({ $0 > 0 }) else {
      throw ModelError(.shape, at: path, "there is nothing to pool in \(inputs[0])")
    }
  }
}

/// ``AdaptiveMaxPooling1D`` and its relatives say over how many axes.
public class AdaptiveMaxPoolingLayer: AdaptivePooling, @unchecked Sendable {
  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    input.adaptiveMaxPooled(to: configuration.outputSize)
  }
}

/// ``AdaptiveAveragePooling1D`` and its relatives say over how many axes.
public class AdaptiveAveragePoolingLayer: AdaptivePooling, @unchecked Sendable {
  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    input.adaptiveAveragePooled(to: configuration.outputSize)
  }
}

/// The largest of each of `outputSize` windows over [batch, steps, channels]. Keras' `AdaptiveMaxPooling1D`.
public final class AdaptiveMaxPooling1D: AdaptiveMaxPoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }
}

/// The largest of each window over [batch, height, width, channels]. Keras' `AdaptiveMaxPooling2D`.
public final class AdaptiveMaxPooling2D: AdaptiveMaxPoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}

/// The largest of each window over [batch, depth, height, width, channels]. Keras' `AdaptiveMaxPooling3D`.
public final class AdaptiveMaxPooling3D: AdaptiveMaxPoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 3 }
}

/// The mean of each of `outputSize` windows over [batch, steps, channels]. Keras' `AdaptiveAveragePooling1D`.
public final class AdaptiveAveragePooling1D: AdaptiveAveragePoolingLayer, ConfigurableLayer,
  @unchecked Sendable
{
  override class var axes: Int { 1 }
}

/// The mean of each window over [batch, height, width, channels]. Keras' `AdaptiveAveragePooling2D`.
public final class AdaptiveAveragePooling2D: AdaptiveAveragePoolingLayer, ConfigurableLayer,
  @unchecked Sendable
{
  override class var axes: Int { 2 }
}

/// The mean of each window over [batch, depth, height, width, channels]. Keras' `AdaptiveAveragePooling3D`.
public final class AdaptiveAveragePooling3D: AdaptiveAveragePoolingLayer, ConfigurableLayer,
  @unchecked Sendable
{
  override class var axes: Int { 3 }
}
