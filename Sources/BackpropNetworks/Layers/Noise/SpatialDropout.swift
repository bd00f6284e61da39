import BackpropTensors

/// In training drops whole channels of sequences [batch, steps, channels] and scales the others up to keep the sum. Keras'
/// `SpatialDropout1D`.
public final class SpatialDropout1D: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var rate: Double
    public var seed: Int?
  }

  public let configuration: Configuration
  private let dropout: ChannelDropout

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    dropout = ChannelDropout(configuration.rate, configuration.seed, rank: 3)
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ rate: Double, seed: Int? = nil, name: String? = nil) {
    self.init(configuration: Configuration(rate: rate, seed: seed), name: name)
  }

  package override class var savesTrainable: Bool { false }
  public override var supportsMasking: Bool { true }
  public override func build(_ input: Shape) throws { try dropout.checkRate(path) }
  public override func check(_ inputs: [Shape]) throws { try dropout.check(inputs, path) }
  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor { dropout(input, context) }
}

/// In training drops whole channels of images [batch, rows, columns, channels] and scales the others up to keep the sum
/// (Tompson et al., 2014). Keras' `SpatialDropout2D`.
public final class SpatialDropout2D: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var rate: Double
    public var seed: Int?
    public var dataFormat: String?
  }

  public let configuration: Configuration
  private let dropout: ChannelDropout

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    dropout = ChannelDropout(configuration.rate, configuration.seed, rank: 4, configuration.dataFormat)
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ rate: Double, seed: Int? = nil, name: String? = nil) {
    self.init(configuration: Configuration(rate: rate, seed: seed, dataFormat: "channels_last"), name: name)
  }

  package override class var savesTrainable: Bool { false }
  public override var supportsMasking: Bool { true }
  public override func build(_ input: Shape) throws { try dropout.checkRate(path) }
  public override func check(_ inputs: [Shape]) throws { try dropout.check(inputs, path) }
  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor { dropout(input, context) }
}

/// In training drops whole channels of volumes [batch, a, b, c, channels] and scales the others up to keep the sum. Keras'
/// `SpatialDropout3D`.
public final class SpatialDropout3D: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var rate: Double
    public var seed: Int?
    public var dataFormat: String?
  }

  public let configuration: Configuration
  private let dropout: ChannelDropout

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    dropout = ChannelDropout(configuration.rate, configuration.seed, rank: 5, configuration.dataFormat)
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ rate: Double, seed: Int? = nil, name: String? = nil) {
    self.init(configuration: Configuration(rate: rate, seed: seed, dataFormat: "channels_last"), name: name)
  }

  package override class var savesTrainable: Bool { false }
  public override var supportsMasking: Bool { true }
  public override func build(_ input: Shape) throws { try dropout.checkRate(path) }
  public override func check(_ inputs: [Shape]) throws { try dropout.check(inputs, path) }
  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor { dropout(input, context) }
}

/// What the three have in common: one draw for each sample's channel.
private struct ChannelDropout: Sendable {
  let rate: Double
  let rank: Int
  let isChannelsFirst: Bool
  private let random: RandomGenerator?

  init(_ rate: Double, _ seed: Int?, rank: Int, _ dataFormat: String? = nil) {
    self.rate = rate
    self.rank = rank
    isChannelsFirst = dataFormat == "channels_first"
    random = seed.map { RandomGenerator(seed: $0) }
  }

  func checkRate(_ path: String) throws {
    guard (0...1).contains(rate) else {
      throw ModelError(.argument, at: path, "the rate must be in 0...1, got \(rate)")
    }
  }

  func check(_ inputs: [Shape], _ path: String) throws {
    guard inputs.count == 1, inputs[0].rank == rank else {
      let got = inputs.map(\.description).joined(separator: " and ")
      throw ModelError(
        .shape, at: path, "expected inputs of \(rank) axes, batch and channels included, got \(got)")
    }
  }

  func callAsFunction(_ x: Tensor, _ context: CallContext) -> Tensor {
    guard context.isTraining, rate > 0 else { return x }
    if rate == 1 { return Tensor.zeros(like: x) }
    let channels = isChannelsFirst ? 1 : rank - 1
    let shape = Shape((0..<rank).map { $0 == 0 || $0 == channels ? x.shape[$0] : 1 })
    let kept = (random ?? context.random).bernoulli(shape, probability: 1 - rate)
    return x * (kept.cast(to: x.dtype) * (1 / (1 - rate)))
  }
}
