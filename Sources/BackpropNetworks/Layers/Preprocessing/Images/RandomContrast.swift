import BackpropTensors

/// In training moves each image's pixels away from the mean of their channel, or towards it. Keras' `RandomContrast`.
public final class RandomContrast: RandomImageLayer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// Contrast is between 1 − the first and 1 + the second; one number is the second, the first being 0, as in Keras.
    public var factor: OneOrMany<Double>
    /// The smallest and the largest pixel that there can be.
    public var valueRange: [Double]
    public var seed: Int?
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
  ///   - factor: contrast is between 1 − the first and 1 + the second; one number is the second, the first being 0.
  ///   - valueRange: the smallest and the largest pixel that there can be.
  public convenience init(
    _ factor: OneOrMany<Double>, valueRange: ClosedRange<Double> = 0...255, seed: Int? = nil,
    name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        factor: factor, valueRange: [valueRange.lowerBound, valueRange.upperBound], seed: seed,
        dataFormat: "channels_last"), name: name)
  }

  private func range() throws -> FactorRange {
    try FactorRange(configuration.factor, in: 0...1, "factor", path: path)
  }

  override func checkOptions() throws {
    _ = try range()
    _ = try ValueRange(configuration.valueRange, path: path)
  }

  /// The contrast of each image, [batch, 1, 1, 1].
  override func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    guard let range = try? range() else { return [] }
    return [random.uniform([shape[0], 1, 1, 1], from: 1 - range.lower, to: 1 + range.upper)]
  }

  override func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    let mean = images.mean(axes: [1, 2], keepDims: true)
    let changed = (images - mean) * drawn[0].cast(to: images.dtype) + mean
    guard let limits = try? ValueRange(configuration.valueRange, path: path) else { return changed }
    return changed.clipped(to: limits.range)
  }
}
