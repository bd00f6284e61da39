import BackpropTensors

/// In training turns each image by a random angle. Keras' `RandomRotation`.
public final class RandomRotation: RandomImageLayer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// Full turns: 0.1 is up to 36° either way, two numbers are from one to the other.
    public var factor: OneOrMany<Double>
    public var fillMode: String
    public var interpolation: String
    public var seed: Int?
    public var fillValue: Double
    public var dataFormat: String?
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(
      seed: configuration.seed, dataFormat: configuration.dataFormat, name: name, trainable: trainable,
      dtype: dtype)
  }

  /// - Parameters:
  ///   - factor: full turns, either way; two numbers: from one to the other.
  ///   - fillMode: `reflect`, `wrap`, `constant` or `nearest`: what is beyond the edges.
  ///   - interpolation: `nearest` or `bilinear`.
  public convenience init(
    _ factor: OneOrMany<Double>, fillMode: String = "reflect", interpolation: String = "bilinear",
    fillValue: Double = 0, seed: Int? = nil, name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        factor: factor, fillMode: fillMode, interpolation: interpolation, seed: seed, fillValue: fillValue,
        dataFormat: "channels_last"), name: name)
  }

  private func range() throws -> FactorRange {
    try FactorRange(configuration.factor, in: -1...1, "factor", path: path)
  }

  private func warp() throws -> ImageWarp {
    try ImageWarp(configuration.fillMode, configuration.interpolation, configuration.fillValue, path: path)
  }

  override func checkOptions() throws {
    _ = try range()
    _ = try warp()
  }

  /// Angles in degrees, [batch].
  override func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    guard let range = try? range() else { return [] }
    return [random.uniform([shape[0]], from: range.lower * 360, to: range.upper * 360)]
  }

  override func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    let angle = drawn[0].reshaped(to: [-1, 1]) * (Double.pi / 180)
    let (cosine, sine) = (angle.cos(), angle.sin())
    // Around the middle of the image.
    let x = 0.5 * Double(images.shape[2] - 1)
    let y = 0.5 * Double(images.shape[1] - 1)
    let map = Tensor.concatenate(
      [cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y], axis: 1)
    guard let warp = try? warp() else { return images }
    return warp(images, map)
  }
}

extension ImageWarp {
  /// - Throws: ``ModelError`` for names that mean nothing.
  init(_ fillMode: String, _ interpolation: String, _ fillValue: Double, path: String) throws {
    guard let fill = Fill(rawValue: fillMode) else {
      throw ModelError(
        .argument, at: path, "expected the fill mode reflect, wrap, constant or nearest, got \(fillMode)")
    }
    guard let kind = Interpolation(rawValue: interpolation) else {
      throw ModelError(
        .argument, at: path, "expected the interpolation nearest or bilinear, got \(interpolation)")
    }
    self.init(fill: fill, interpolation: kind, fillValue: fillValue)
  }
}
