import BackpropTensors

/// In training a box of each image is that of another of its batch (Yun et al., 2019). Keras' `CutMix`.
///
/// ```swift
/// let mixed = CutMix()([images, labels], .training)      // labels [batch, classes] are mixed by the boxes' areas
/// ```
public final class CutMix: RandomImageLayer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// The parameter of the beta distribution of areas is drawn between 0 (or the first of two) and this.
    public var factor: OneOrMany<Double>
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

  public convenience init(_ factor: OneOrMany<Double> = 1.0, seed: Int? = nil, name: String? = nil) {
    let configuration = Configuration(factor: factor, seed: seed, dataFormat: "channels_last")
    self.init(configuration: configuration, name: name)
  }

  private func range() throws -> FactorRange {
    try FactorRange(configuration.factor, in: 0...1, "factor", path: path)
  }

  override func checkOptions() throws { _ = try range() }

  /// The boxes [batch, 4] (left, right, top, bottom), the image that fills each [batch], and the share of each image
  /// that is left [batch].
  override func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    guard let range = try? range() else { return [] }
    let alpha = random.uniform([], from: range.lower, to: range.upper) + 1e-6
    let side = (1 - random.beta(shape[0], alpha)).sqrt()
    let box = Images.box(shape, side, side, random)
    let edges = box.split(4, axis: 1).map { $0.squeezed(axes: [1]) }
    let area = (edges[1] - edges[0]) * (edges[3] - edges[2])
    return [box, random.permutation(shape[0]), 1 - area / Double(shape[1] * shape[2])]
  }

  override func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    Tensor.select(Images.isInBox(images.shape, drawn[0]), images.gathered(drawn[1]), images)
  }

  /// Images, or images and the labels that go with them, one row each: labels are mixed as their images are.
  /// Images, and their labels.
  public override var inputCounts: ClosedRange<Int> { 1...2 }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    guard inputs.count == 2, context.isTraining, inputs[0].rank == 4 else {
      return [call(inputs[0], context)] + inputs.dropFirst()
    }
    let images = inputs[0].dtype.isFloatingPoint ? inputs[0] : inputs[0].cast(to: dtype)
    let drawn = draw(images.shape, source(context))
    return [transform(images, drawn), mixed(inputs[1], drawn)]
  }

  /// Labels [batch, …] mixed as the images were.
  func mixed(_ labels: Tensor, _ drawn: [Tensor]) -> Tensor {
    let labels = labels.dtype.isFloatingPoint ? labels : labels.cast(to: dtype)
    let share = drawn[2].cast(to: labels.dtype).reshaped(
      to: Shape([-1] + [Int](repeating: 1, count: labels.rank - 1)))
    return share * labels + (1 - share) * labels.gathered(drawn[1])
  }
}
