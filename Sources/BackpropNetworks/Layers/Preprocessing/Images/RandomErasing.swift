import BackpropTensors

/// In training covers a random box of some images (Zhong et al., 2017). Keras' `RandomErasing`.
public final class RandomErasing: RandomImageLayer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// The probability that an image is covered is drawn between 0 (or the first of two) and this.
    public var factor: OneOrMany<Double>
    /// The area of the box as a share of the image's: its sides are the roots of two numbers drawn from here.
    public var scale: OneOrMany<Double>
    /// What covers: one number, or one for each channel; nil: noise.
    public var fillValue: OneOrMany<Double>?
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
  ///   - factor: the probability that an image is covered is drawn between 0 (or the first of two) and this.
  ///   - scale: the box' sides are the roots of two numbers drawn from here, as shares of the image's.
  ///   - fillValue: what covers: one number, or one for each channel; nil: noise.
  public convenience init(
    _ factor: OneOrMany<Double> = 1.0, scale: OneOrMany<Double> = [0.02, 0.33],
    fillValue: OneOrMany<Double>? = nil,
    valueRange: ClosedRange<Double> = 0...255, seed: Int? = nil, name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        factor: factor, scale: scale, fillValue: fillValue,
        valueRange: [valueRange.lowerBound, valueRange.upperBound], seed: seed, dataFormat: "channels_last"),
      name: name)
  }

  private func ranges() throws -> (factor: FactorRange, scale: FactorRange, values: ValueRange) {
    (
      try FactorRange(configuration.factor, in: 0...1, "factor", path: path),
      try FactorRange(configuration.scale, in: 0...1, "scale", path: path),
      try ValueRange(configuration.valueRange, path: path)
    )
  }

  override func checkOptions() throws { _ = try ranges() }

  /// The boxes [batch, 4] (left, right, top, bottom), which images are covered [batch], and what covers.
  override func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    guard let ranges = try? ranges() else { return [] }
    let batch = shape[0]
    let areas = random.uniform([batch, 2], from: ranges.scale.lower, to: ranges.scale.upper)
    let sides = areas.sqrt().split(2, axis: 1).map { $0.squeezed(axes: [1]) }
    let box = Images.box(shape, sides[0], sides[1], random)
    let probability = random.uniform([batch], from: ranges.factor.lower, to: ranges.factor.upper)
    let isCovered = random.uniform([batch]) .< probability
    let noise = random.normal(shape) * ranges.values.range.upperBound
    let given = configuration.fillValue.map { fill in
      fill.isSingle ? Tensor(Float(fill.values[0])) : Tensor(fill.values.map { Float($0) })
    }
    return [box, isCovered, (given ?? noise).clipped(to: ranges.values.range)]
  }

  override func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    let isCovered = drawn[1].reshaped(to: [-1, 1, 1, 1]).and(Images.isInBox(images.shape, drawn[0]))
    return Tensor.select(isCovered, drawn[2].cast(to: images.dtype), images)
  }

  public override func check(_ inputs: [Shape]) throws {
    try super.check(inputs)
    guard let fill = configuration.fillValue, !fill.isSingle else { return }
    let channels = inputs[0].dimensions.last ?? 0
    if fill.values.count != channels {
      throw ModelError(
        .shape, at: path, "the fill value has \(fill.values.count) numbers, the images \(channels) channels")
    }
  }
}
