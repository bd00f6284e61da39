import BackpropTensors

/// In training makes each image brighter or darker. Keras' `RandomBrightness`.
public final class RandomBrightness: RandomImageLayer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// The share of the value range, either way; two numbers: from one to the other.
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
  ///   - factor: the share of the value range, either way; two numbers: from one to the other.
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

  private func ranges() throws -> (factor: FactorRange, values: ValueRange) {
    (
      try FactorRange(configuration.factor, in: -1...1, "factor", path: path),
      try ValueRange(configuration.valueRange, path: path)
    )
  }

  override func checkOptions() throws { _ = try ranges() }

  /// What is added to each image, [batch, 1, 1, 1].
  override func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    guard let ranges = try? ranges() else { return [] }
    let share = random.uniform([shape[0], 1, 1, 1], from: ranges.factor.lower, to: ranges.factor.upper)
    return [share * (ranges.values.range.upperBound - ranges.values.range.lowerBound)]
  }

  override func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    let changed = images + drawn[0].cast(to: images.dtype)
    guard let ranges = try? ranges() else { return changed }
    return changed.clipped(to: ranges.values.range)
  }
}
