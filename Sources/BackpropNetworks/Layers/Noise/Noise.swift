import BackpropTensors

/// In training multiplies each element by a normal number of mean 1 whose spread is that of a dropout of this rate
/// (Srivastava et al., 2014). Keras' `GaussianDropout`.
public final class GaussianDropout: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var rate: Double
    public var seed: Int?
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

  /// - Parameter rate: the noise's standard deviation is √(rate / (1 − rate)).
  public convenience init(_ rate: Double, seed: Int? = nil, name: String? = nil) {
    self.init(configuration: Configuration(rate: rate, seed: seed), name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws {
    guard (0..<1).contains(configuration.rate) else {
      throw ModelError(.argument, at: path, "the rate must be in 0..<1, got \(configuration.rate)")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let rate = configuration.rate
    guard context.isTraining, rate > 0 else { return input }
    let spread = (rate / (1 - rate)).squareRoot()
    let noise = (random ?? context.random).normal(input.shape, mean: 1, standardDeviation: spread)
    return input * noise.cast(to: input.dtype)
  }
}

/// In training adds normal numbers of mean 0. Keras' `GaussianNoise`.
public final class GaussianNoise: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var stddev: Double
    public var seed: Int?
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

  /// - Parameter standardDeviation: of the noise; 0…1, as Keras has it.
  public convenience init(_ standardDeviation: Double, seed: Int? = nil, name: String? = nil) {
    self.init(configuration: Configuration(stddev: standardDeviation, seed: seed), name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws {
    guard (0...1).contains(configuration.stddev) else {
      throw ModelError(
        .argument, at: path, "the standard deviation must be in 0...1, got \(configuration.stddev)")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    guard context.isTraining, configuration.stddev > 0 else { return input }
    let noise = (random ?? context.random).normal(input.shape, standardDeviation: configuration.stddev)
    return input + noise.cast(to: input.dtype)
  }
}

/// In training drops elements to selu's lower end and shifts and scales the rest, so that mean and variance stay
/// (Klambauer et al., 2017). Keras' `AlphaDropout`.
public final class AlphaDropout: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var rate: Double
    public var noiseShape: [Int?]?
    public var seed: Int?
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

  /// - Parameter noiseShape: axes of size 1 are dropped together; nil: as the input.
  public convenience init(_ rate: Double, noiseShape: [Int?]? = nil, seed: Int? = nil, name: String? = nil) {
    self.init(configuration: Configuration(rate: rate, noiseShape: noiseShape, seed: seed), name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws {
    guard (0..<1).contains(configuration.rate) else {
      throw ModelError(.argument, at: path, "the rate must be in 0..<1, got \(configuration.rate)")
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

  /// selu's limit for very negative inputs: −scale · alpha.
  private static let lowest = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let rate = configuration.rate
    guard context.isTraining, rate > 0 else { return input }
    let lowest = Self.lowest
    let a = 1 / ((1 - rate) * (1 + rate * lowest * lowest)).squareRoot()
    let b = -a * lowest * rate
    let drawn = (random ?? context.random).bernoulli(noiseShape(for: input.shape), probability: 1 - rate)
    let kept = drawn.cast(to: input.dtype)
    return (input * kept + (1 - kept) * lowest) * a + b
  }
}

/// Adds a penalty on what passes through it to the loss: l1 · Σ |x| + l2 · Σ x², divided by the number of samples. Keras'
/// `ActivityRegularization`.
public final class ActivityRegularization: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var l1: Double
    public var l2: Double
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(l1: Double = 0, l2: Double = 0, name: String? = nil) {
    self.init(configuration: Configuration(l1: l1, l2: l2), name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let (l1, l2) = (configuration.l1, configuration.l2)
    let samples = Double(max(input.shape.dimensions.first ?? 1, 1))
    if l1 != 0 { context.addLoss(input.abs().sum() * (l1 / samples)) }
    if l2 != 0 { context.addLoss(input.squared().sum() * (l2 / samples)) }
    return input
  }
}
