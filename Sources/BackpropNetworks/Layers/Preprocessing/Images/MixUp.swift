import BackpropTensors

/// In training each image is mixed with another of its batch (Zhang et al., 2017). Keras' `MixUp`.
///
/// ```swift
/// let mixed = MixUp()([images, labels], .training)      // labels [batch, classes] are mixed as the images are
/// ```
public final class MixUp: RandomImageLayer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// Shares are drawn from the beta distribution of this: small ones are near 0 and 1.
    public var alpha: Double
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

  public convenience init(alpha: Double = 0.2, seed: Int? = nil, name: String? = nil) {
    let configuration = Configuration(alpha: alpha, seed: seed, dataFormat: "channels_last")
    self.init(configuration: configuration, name: name)
  }

  override func checkOptions() throws {
    if !(configuration.alpha > 0) {
      throw ModelError(.argument, at: path, "alpha must be positive, got \(configuration.alpha)")
    }
  }

  /// The share of each image itself, [batch], and the one that it is mixed with, [batch].
  override func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    let share = random.beta(shape[0], Tensor(Float(configuration.alpha)))
    return [share, random.permutation(shape[0])]
  }

  override func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    let share = drawn[0].reshaped(to: [-1, 1, 1, 1]).cast(to: images.dtype)
    return share * images + (1 - share) * images.gathered(drawn[1])
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
    let share = drawn[0].cast(to: labels.dtype).reshaped(
      to: Shape([-1] + [Int](repeating: 1, count: labels.rank - 1)))
    return share * labels + (1 - share) * labels.gathered(drawn[1])
  }
}
