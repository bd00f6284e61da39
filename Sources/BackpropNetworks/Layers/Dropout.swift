import BackpropTensors

/// In training sets the share `rate` of the inputs to 0 and scales the others up to keep the sum (Srivastava et al.,
/// 2014); otherwise passes them on. Keras' `Dropout`.
public final class Dropout: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var rate: Double
    public var seed: Int?
    /// Axes of size 1 are dropped together; nil: each element alone.
    public var noiseShape: [Int?]?
  }

  public let configuration: Configuration
  private let random: RandomGenerator?

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    random = configuration.seed.map { RandomGenerator(seed: $0) }
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameter seed: nil: the units are drawn from the model's generator.
  public convenience init(_ rate: Double, noiseShape: [Int?]? = nil, seed: Int? = nil, name: String? = nil) {
    self.init(configuration: Configuration(rate: rate, seed: seed, noiseShape: noiseShape), name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws {
    guard (0...1).contains(configuration.rate) else {
      throw ModelError(.argument, at: path, "the rate must be in 0...1, got \(configuration.rate)")
    }
  }

  private func noiseShape(for input: Shape) -> Shape {
    guard let sizes = configuration.noiseShape else { return input }
    return Shape(zip(sizes, input.dimensions).map { $0 ?? $1 })
  }

  public override func check(_ inputs: [Shape]) throws {
    let noise = noiseShape(for: inputs[0])
    guard noise.stretches(to: inputs[0], anyBatch: SymbolicCall.isActive) else {
      throw ModelError(
        .shape, at: path, "the noise shape \(noise) doesn't stretch to the input's \(inputs[0])")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let rate = configuration.rate
    guard context.isTraining, rate > 0 else { return input }
    if rate == 1 { return Tensor.zeros(like: input) }
    let kept = (random ?? context.random).bernoulli(noiseShape(for: input.shape), probability: 1 - rate)
    return input * (kept.cast(to: input.dtype) * (1 / (1 - rate)))
  }
}

extension Shape {
  /// Whether something of this shape can be stretched to one of the same rank.
  ///
  /// - Parameter anyBatch: in a graph the first axis isn't known yet.
  func stretches(to shape: Shape, anyBatch: Bool) -> Bool {
    rank == shape.rank
      && zip(dimensions, shape.dimensions).enumerated().allSatisfy { axis, sizes in
        sizes.0 == sizes.1 || sizes.0 == 1 || (anyBatch && axis == 0)
      }
  }
}
