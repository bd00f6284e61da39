import BackpropTensors

/// Repeats each step of [batch, steps, channels] `size` times. Keras' `UpSampling1D`.
public final class UpSampling1D: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var size: Int
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ size: Int = 2, name: String? = nil) {
    self.init(configuration: Configuration(size: size), name: name)
  }

  public override func build(_ input: Shape) throws {
    try checkAxes([("size", [configuration.size])], axes: 1)
  }

  public override func check(_ inputs: [Shape]) throws { try checkImages(inputs, axes: 1) }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    input.repeated(axis: 1, configuration.size)
  }
}

/// Enlarges [batch, height, width, channels] by whole factors: each element repeated, or straight lines between them.
/// Keras' `UpSampling2D`.
public final class UpSampling2D: Layer, ConfigurableLayer, @unchecked Sendable {
  public enum Interpolation: String, Codable, Hashable, Sendable, CaseIterable {
    case nearest, bilinear
    /// Known to Keras, refused here.
    case bicubic, lanczos3, lanczos5
  }

  public struct Configuration: Codable, Hashable, Sendable {
    public var size: [Int]
    public var dataFormat: String?
    public var interpolation: Interpolation
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    _ size: OneOrMany<Int> = 2, interpolation: Interpolation = .nearest, name: String? = nil
  ) {
    let configuration = Configuration(
      size: size.over(2), dataFormat: "channels_last", interpolation: interpolation)
    self.init(configuration: configuration, name: name)
  }

  public override func build(_ input: Shape) throws {
    try checkChannelsLast(configuration.dataFormat)
    try checkAxes([("size", configuration.size)], axes: 2)
    guard [.nearest, .bilinear].contains(configuration.interpolation) else {
      throw ModelError(
        .argument, at: path,
        "interpolation '\(configuration.interpolation.rawValue)' isn't supported; there is 'nearest' and 'bilinear'"
      )
    }
  }

  public override func check(_ inputs: [Shape]) throws { try checkImages(inputs, axes: 2) }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let size = configuration.size
    guard configuration.interpolation == .bilinear else {
      return input.repeated(axis: 2, size[1]).repeated(axis: 1, size[0])
    }
    return input.enlargedLinearly(axis: 2, size[1]).enlargedLinearly(axis: 1, size[0])
  }
}

/// Repeats each element of [batch, depth, height, width, channels] along the spatial axes. Keras' `UpSampling3D`.
public final class UpSampling3D: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var size: [Int]
    public var dataFormat: String?
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ size: OneOrMany<Int> = 2, name: String? = nil) {
    self.init(configuration: Configuration(size: size.over(3), dataFormat: "channels_last"), name: name)
  }

  public override func build(_ input: Shape) throws {
    try checkChannelsLast(configuration.dataFormat)
    try checkAxes([("size", configuration.size)], axes: 3)
  }

  public override func check(_ inputs: [Shape]) throws { try checkImages(inputs, axes: 3) }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let size = configuration.size
    return input.repeated(axis: 3, size[2]).repeated(axis: 2, size[1]).repeated(axis: 1, size[0])
  }
}

extension Tensor {
  /// Each position along `axis` `count` times.
  fileprivate func repeated(axis: Int, _ count: Int) -> Tensor {
    if count == 1 { return self }
    let (outer, length, inner) = shape.split(at: axis)
    var result = shape
    result[axis] = length * count
    return reshaped(to: [outer * length, 1, inner]).broadcast(to: [outer * length, count, inner])
      .reshaped(to: result)
  }

  /// `factor` times as many positions along `axis`, on straight lines between the old ones. The pixels' centres, not
  /// their corners, keep their places, and beyond the outermost centres the image goes on as it was there, as
  /// TensorFlow's `resize` has it.
  fileprivate func enlargedLinearly(axis: Int, _ factor: Int) -> Tensor {
    if factor == 1 { return self }
    let (outer, length, inner) = shape.split(at: axis)
    var weights = [Double](repeating: 0, count: length * factor * length)
    for position in 0..<length * factor {
      let place = Swift.min(Swift.max((Double(position) + 0.5) / Double(factor) - 0.5, 0), Double(length - 1))
      let low = Int(place)
      let high = Swift.min(low + 1, length - 1)
      weights[position * length + low] += 1 - (place - Double(low))
      weights[position * length + high] += place - Double(low)
    }
    let matrix = Tensor(weights, shape: [length * factor, length]).cast(to: dtype)
    var result = shape
    result[axis] = length * factor
    return matrix.matmul(reshaped(to: [outer, length, inner])).reshaped(to: result)
  }
}
