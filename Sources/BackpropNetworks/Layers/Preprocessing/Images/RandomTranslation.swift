import BackpropTensors

/// In training shifts each image. Keras' `RandomTranslation`.
public final class RandomTranslation: RandomImageLayer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// The share of the height, either way; two numbers: from one to the other, down being positive.
    public var heightFactor: OneOrMany<Double>
    public var widthFactor: OneOrMany<Double>
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
  ///   - heightFactor: the share of the height, either way; two numbers: from one to the other, down being positive.
  ///   - widthFactor: the same for the width, to the right being positive.
  public convenience init(
    _ heightFactor: OneOrMany<Double>, _ widthFactor: OneOrMany<Double>,
    fillMode: String = "reflect", interpolation: String = "bilinear", fillValue: Double = 0, seed: Int? = nil,
    name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        heightFactor: heightFactor, widthFactor: widthFactor, fillMode: fillMode,
        interpolation: interpolation, seed: seed, fillValue: fillValue,
        dataFormat: "channels_last"), name: name)
  }

  private func ranges() throws -> (height: FactorRange, width: FactorRange) {
    (
      try FactorRange(configuration.heightFactor, in: -1...1, "height_factor", path: path),
      try FactorRange(configuration.widthFactor, in: -1...1, "width_factor", path: path)
    )
  }

  private func warp() throws -> ImageWarp {
    try ImageWarp(configuration.fillMode, configuration.interpolation, configuration.fillValue, path: path)
  }

  override func checkOptions() throws {
    _ = try ranges()
    _ = try warp()
  }

  /// Pixels down and to the right, each [batch, 1].
  override func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    guard let ranges = try? ranges() else { return [] }
    func drawn(_ range: FactorRange, _ size: Int) -> Tensor {
      random.uniform([shape[0], 1], from: range.lower, to: range.upper) * Double(size)
    }
    return [drawn(ranges.height, shape[1]), drawn(ranges.width, shape[2])]
  }

  override func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    let (down, right) = (drawn[0], drawn[1])
    let (one, zero) = (Tensor.ones(like: down), Tensor.zeros(like: down))
    let map = Tensor.concatenate([one, zero, -right, zero, one, -down], axis: 1)
    guard let warp = try? warp() else { return images }
    return warp(images, map)
  }
}
