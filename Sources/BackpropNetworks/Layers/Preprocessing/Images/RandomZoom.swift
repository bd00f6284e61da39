import BackpropTensors

/// In training shows each image larger or smaller. Keras' `RandomZoom`.
public final class RandomZoom: RandomImageLayer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// How much more of the height is seen: 0.2 is from 20 % less to 20 % more; below 0 is closer.
    public var heightFactor: OneOrMany<Double>
    /// nil: as much as of the height.
    public var widthFactor: OneOrMany<Double>?
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
  ///   - heightFactor: how much more of the height is seen; one number: from that much less to that much more.
  ///   - widthFactor: nil: as much as of the height, so that proportions stay.
  public convenience init(
    _ heightFactor: OneOrMany<Double>, widthFactor: OneOrMany<Double>? = nil,
    fillMode: String = "reflect", interpolation: String = "bilinear", fillValue: Double = 0, seed: Int? = nil,
    name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        heightFactor: heightFactor, widthFactor: widthFactor, fillMode: fillMode,
        interpolation: interpolation, seed: seed, fillValue: fillValue,
        dataFormat: "channels_last"), name: name)
  }

  private func ranges() throws -> (height: FactorRange, width: FactorRange?) {
    // −1 would show a single point.
    let bounds = (-1).nextUp...1.0
    let height = try FactorRange(configuration.heightFactor, in: bounds, "height_factor", path: path)
    let width = try configuration.widthFactor.map {
      try FactorRange($0, in: bounds, "width_factor", path: path)
    }
    return (height, width)
  }

  private func warp() throws -> ImageWarp {
    try ImageWarp(configuration.fillMode, configuration.interpolation, configuration.fillValue, path: path)
  }

  override func checkOptions() throws {
    _ = try ranges()
    _ = try warp()
  }

  /// How much of height and of width is seen, each [batch, 1].
  override func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    guard let ranges = try? ranges() else { return [] }
    func drawn(_ range: FactorRange) -> Tensor {
      random.uniform([shape[0], 1], from: 1 + range.lower, to: 1 + range.upper)
    }
    let height = drawn(ranges.height)
    return [height, ranges.width.map(drawn) ?? height]
  }

  override func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    let (height, width) = (drawn[0], drawn[1])
    let x = (1 - width) * (0.5 * Double(images.shape[2] - 1))
    let y = (1 - height) * (0.5 * Double(images.shape[1] - 1))
    let zero = Tensor.zeros(like: height)
    let map = Tensor.concatenate([width, zero, x, zero, height, y], axis: 1)
    guard let warp = try? warp() else { return images }
    return warp(images, map)
  }
}
