import BackpropTensors

/// What max and average pooling layers are made from.
public struct PoolingConfiguration: Codable, Hashable, Sendable {
  public var poolSize: [Int]
  public var strides: [Int]
  public var padding: WindowPadding
  public var dataFormat: String?

  init(poolSize: [Int], strides: [Int]?, padding: WindowPadding) {
    self.poolSize = poolSize
    self.strides = strides ?? poolSize
    self.padding = padding
    dataFormat = "channels_last"
  }

  /// Strides that aren't there are the windows' size, as in Keras.
  public init(from decoder: Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    poolSize = try values.decode([Int].self, forKey: .poolSize)
    strides = try values.decodeIfPresent([Int].self, forKey: .strides) ?? poolSize
    padding = try values.decode(WindowPadding.self, forKey: .padding)
    dataFormat = try values.decodeIfPresent(String.self, forKey: .dataFormat)
  }
}

/// Windows that move over images, one number for each and each channel: what max and average pooling share.
public class Pooling: Layer, @unchecked Sendable {
  public let configuration: PoolingConfiguration

  class var axes: Int { 2 }

  public required init(
    configuration: PoolingConfiguration, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public override func build(_ input: Shape) throws {
    let c = configuration
    try checkChannelsLast(c.dataFormat)
    try checkAxes([("poolSize", c.poolSize), ("strides", c.strides)], axes: Self.axes)
    guard c.padding != .causal else {
      throw ModelError(.argument, at: path, "padding is 'valid' or 'same', got 'causal'")
    }
  }

  public override func check(_ inputs: [Shape]) throws {
    try checkImages(inputs, axes: Self.axes)
    let spatial = Array(inputs[0].dimensions.dropFirst().dropLast())
    let c = configuration
    try checkFit(inputs[0]) { () throws(OperationError) in
      let windows = PoolingWindows(size: c.poolSize, strides: c.strides, padding: c.padding, over: spatial)
      _ = try windows.counts(over: spatial, in: "pooling")
    }
  }
}

/// The largest of each window. ``MaxPooling1D``, ``MaxPooling2D`` and ``MaxPooling3D`` say over how many axes.
public class MaxPoolingLayer: Pooling, @unchecked Sendable {
  /// - Parameter strides: nil: as `poolSize`.
  public convenience init(
    _ poolSize: OneOrMany<Int> = 2, strides: OneOrMany<Int>? = nil, padding: WindowPadding = .valid,
    name: String? = nil
  ) {
    let axes = Self.axes
    let configuration = PoolingConfiguration(
      poolSize: poolSize.over(axes), strides: strides?.over(axes), padding: padding)
    self.init(configuration: configuration, name: name)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let c = configuration
    return input.maxPooled(size: c.poolSize, strides: c.strides, padding: c.padding)
  }
}

/// The mean of each window. ``AveragePooling1D``, ``AveragePooling2D`` and ``AveragePooling3D`` say over how many axes.
public class AveragePoolingLayer: Pooling, @unchecked Sendable {
  /// - Parameter strides: nil: as `poolSize`.
  public convenience init(
    _ poolSize: OneOrMany<Int>, strides: OneOrMany<Int>? = nil, padding: WindowPadding = .valid,
    name: String? = nil
  ) {
    let axes = Self.axes
    let configuration = PoolingConfiguration(
      poolSize: poolSize.over(axes), strides: strides?.over(axes), padding: padding)
    self.init(configuration: configuration, name: name)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let c = configuration
    return input.averagePooled(size: c.poolSize, strides: c.strides, padding: c.padding)
  }
}

/// The largest of each window of [batch, steps, channels]. Keras' `MaxPooling1D`.
public final class MaxPooling1D: MaxPoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }
}

/// The largest of each window of [batch, height, width, channels]. Keras' `MaxPooling2D`.
///
/// ```swift
/// MaxPooling2D()      // [n, 26, 26, 32] → [n, 13, 13, 32]
/// ```
public final class MaxPooling2D: MaxPoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}

/// The largest of each window of [batch, depth, height, width, channels]. Keras' `MaxPooling3D`.
public final class MaxPooling3D: MaxPoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 3 }
}

/// The mean of each window of [batch, steps, channels]; padding isn't counted. Keras' `AveragePooling1D`.
public final class AveragePooling1D: AveragePoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }
}

/// The mean of each window of [batch, height, width, channels]; padding isn't counted. Keras' `AveragePooling2D`.
public final class AveragePooling2D: AveragePoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}

/// The mean of each window of [batch, depth, height, width, channels]; padding isn't counted. Keras' `AveragePooling3D`.
public final class AveragePooling3D: AveragePoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 3 }
}
