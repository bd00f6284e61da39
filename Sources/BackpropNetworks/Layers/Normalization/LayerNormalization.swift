import BackpropTensors

/// Brings each sample to mean 0 and variance 1 along some axes, then scales and shifts it (Ba et al., 2016). Keras'
/// `LayerNormalization`.
public final class LayerNormalization: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var axis: OneOrMany<Int>
    public var epsilon: Double
    public var center: Bool
    public var scale: Bool
    public var betaInitializer: Initializer
    public var gammaInitializer: Initializer
    public var betaRegularizer: Regularizer?
    public var gammaRegularizer: Regularizer?
    public var betaConstraint: Constraint?
    public var gammaConstraint: Constraint?
    /// Keras' scaling without a mean, which it deprecates: by the variance about the mean.
    var rmsScaling: Bool?
  }

  public let configuration: Configuration
  private var gamma: Weight?
  private var beta: Weight?
  private var axes: NormalizedAxes!

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    var configuration = configuration
    if configuration.rmsScaling == false { configuration.rmsScaling = nil }
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - axis: along which mean and variance are taken; gamma and beta have its elements.
  ///   - epsilon: added to the variance.
  public convenience init(
    axis: OneOrMany<Int> = -1, epsilon: Double = 1e-3, center: Bool = true, scale: Bool = true,
    betaInitializer: Initializer = .zeros, gammaInitializer: Initializer = .ones,
    betaRegularizer: Regularizer? = nil, gammaRegularizer: Regularizer? = nil,
    betaConstraint: Constraint? = nil, gammaConstraint: Constraint? = nil,
    name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let configuration = Configuration(
      axis: axis, epsilon: epsilon, center: center, scale: scale, betaInitializer: betaInitializer,
      gammaInitializer: gammaInitializer, betaRegularizer: betaRegularizer,
      gammaRegularizer: gammaRegularizer,
      betaConstraint: betaConstraint, gammaConstraint: gammaConstraint)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws {
    let c = configuration
    axes = try NormalizedAxes(c.axis.values, of: input, path: path)
    let scalesOnly = c.rmsScaling == true
    if c.scale || scalesOnly {
      gamma = addWeight(
        "gamma", shape: axes.weightShape, initializer: c.gammaInitializer, regularizer: c.gammaRegularizer,
        constraint: c.gammaConstraint)
    }
    guard c.center, !scalesOnly else { return }
    beta = addWeight(
      "beta", shape: axes.weightShape, initializer: c.betaInitializer, regularizer: c.betaRegularizer,
      constraint: c.betaConstraint)
  }

  public override func check(_ inputs: [Shape]) throws { try axes.check(inputs, path: path) }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let x = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    let positions = axes.positions
    if positions == [x.rank - 1], x.dtype == dtype, dtype.isFloatingPoint, configuration.rmsScaling != true {
      return x.layerNormalised(gamma: gamma?.value, beta: beta?.value, epsilon: configuration.epsilon)
    }
    let mean = x.mean(axes: positions, keepDims: true)
    let distance = x - mean
    let inverse = (distance.squared().mean(axes: positions, keepDims: true) + configuration.epsilon).rsqrt()
    if configuration.rmsScaling == true { return x * inverse * axes.spread(gamma!.value, over: x) }
    var result = distance * inverse
    if let gamma { result = result * axes.spread(gamma.value, over: x) }
    if let beta { result = result + axes.spread(beta.value, over: x) }
    return result
  }
}

/// Axes along which samples are normalised, and the shape of what scales them.
struct NormalizedAxes: Sendable {
  let positions: [Int]
  /// In the order of the axes as they are given, sorted: Keras takes −1 for less than 1.
  let weightShape: Shape
  private let sizes: [Int]
  private let rank: Int

  /// - Throws: ``ModelError`` for an axis that isn't there.
  init(_ axes: [Int], of input: Shape, path: String) throws {
    guard !axes.isEmpty else { throw ModelError(.argument, at: path, "expected an axis, got none") }
    let found = try input.positions(of: axes.sorted(), path: path)
    weightShape = Shape(found.map { input[$0] })
    positions = found.sorted()
    sizes = positions.map { input[$0] }
    rank = input.rank
  }

  func check(_ inputs: [Shape], path: String) throws {
    guard inputs.count == 1, inputs[0].rank == rank, positions.map({ inputs[0][$0] }) == sizes else {
      let got = inputs.map(\.description).joined(separator: " and ")
      throw ModelError(
        .shape, at: path,
        "expected \(Shape(sizes)) along the axes \(positions) of an input of \(rank) axes, got \(got)")
    }
  }

  /// The weight so that it stretches over the input.
  func spread(_ weight: Tensor, over x: Tensor) -> Tensor {
    if positions == [x.rank - 1] { return weight }
    return weight.reshaped(to: Shape((0..<x.rank).map { positions.contains($0) ? x.shape[$0] : 1 }))
  }
}
