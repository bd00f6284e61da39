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

  public override func check(_ inputs: [Shape]) throws {
    try checkImages(inputs, axes: 1)
    try checkEnlarged(inputs[0], by: [configuration.size])
  }

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

  public override func check(_ inputs: [Shape]) throws {
    try checkImages(inputs, axes: 2)
    try checkEnlarged(inputs[0], by: configuration.size)
    guard configuration.interpolation == .bilinear else { return }
    let (height, width) = (inputs[0][1], inputs[0][2])
    try Images.checkSize(height, width, path: path)
    try Images.checkSize(height * configuration.size[0], width * configuration.size[1], path: path)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let size = configuration.size
    guard configuration.interpolation == .bilinear else {
      return input.repeated(axis: 2, size[1]).repeated(axis: 1, size[0])
    }
    return Images.inFloats(input) { images in
      Images.resized(images, images.shape[1] * size[0], images.shape[2] * size[1])
    }
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

  public override func check(_ inputs: [Shape]) throws {
    try checkImages(inputs, axes: 3)
    try checkEnlarged(inputs[0], by: configuration.size)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let size = configuration.size
    return input.repeated(axis: 3, size[2]).repeated(axis: 2, size[1]).repeated(axis: 1, size[0])
  }
}

extension Layer {
  /// Refuses what would have more elements than can be counted.
  fileprivate func checkEnlarged(_ input: Shape, by size: [Int]) throws {
    guard Shape([input.elementCount] + size).elementCount == .max else { return }
    let factors = size.map(String.init).joined(separator: " × ")
    throw ModelError(
      .shape, at: path, "\(input) can't be enlarged \(factors) times: it would have too many elements")
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
}
