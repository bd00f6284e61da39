import BackpropTensors

/// Brings each channel to mean 0 and variance 1 over the batch, then scales and shifts it (Ioffe and Szegedy, 2015).
///
/// ```swift
/// Conv2D(32, kernelSize: 3, useBias: false)
/// BatchNormalization()
/// Activation(.relu)
/// ```
///
/// In training it uses the batch's statistics and moves its running ones towards them; otherwise, and where it is frozen
/// (`trainable` is false), it uses the running ones. Steps that a mask leaves out don't count. Keras' `BatchNormalization`,
/// whose running variance is that of the batch as it is, divided by the number of elements.
///
/// In a compiled step it costs one pass over the input for both sums and one for the result, with the activation after it.
public final class BatchNormalization: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var axis: Int
    public var momentum: Double
    public var epsilon: Double
    public var center: Bool
    public var scale: Bool
    public var betaInitializer: Initializer
    public var gammaInitializer: Initializer
    public var movingMeanInitializer: Initializer
    public var movingVarianceInitializer: Initializer
    public var betaRegularizer: Regularizer?
    public var gammaRegularizer: Regularizer?
    public var betaConstraint: Constraint?
    public var gammaConstraint: Constraint?
    /// Not supported: refused where it is true.
    public var synchronized: Bool
    /// Not supported: refused where it is true.
    var renorm: Bool?
    var renormClipping: ConfigValue?
    var renormMomentum: Double?
  }

  public let configuration: Configuration
  private var gamma: Weight?
  private var beta: Weight?
  private var movingMean: Weight!
  private var movingVariance: Weight!

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DType = .float32
  ) {
    var configuration = configuration
    if configuration.renorm != true {
      // Keys of a newer Keras that say nothing: written again, they would keep an older one from reading the file.
      configuration.renorm = nil
      configuration.renormClipping = nil
      configuration.renormMomentum = nil
    }
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - axis: the channels' axis.
  ///   - momentum: how much of the running statistics a step of training keeps.
  ///   - epsilon: added to the variance.
  ///   - center: add a trained offset, beta.
  ///   - scale: multiply by a trained factor, gamma.
  public convenience init(
    axis: Int = -1, momentum: Double = 0.99, epsilon: Double = 1e-3, center: Bool = true, scale: Bool = true,
    betaInitializer: Initializer = .zeros, gammaInitializer: Initializer = .ones,
    movingMeanInitializer: Initializer = .zeros, movingVarianceInitializer: Initializer = .ones,
    betaRegularizer: Regularizer? = nil, gammaRegularizer: Regularizer? = nil,
    betaConstraint: Constraint? = nil, gammaConstraint: Constraint? = nil,
    name: String? = nil, trainable: Bool = true, dtype: DType = .float32
  ) {
    let configuration = Configuration(
      axis: axis, momentum: momentum, epsilon: epsilon, center: center, scale: scale,
      betaInitializer: betaInitializer, gammaInitializer: gammaInitializer,
      movingMeanInitializer: movingMeanInitializer, movingVarianceInitializer: movingVarianceInitializer,
      betaRegularizer: betaRegularizer, gammaRegularizer: gammaRegularizer, betaConstraint: betaConstraint,
      gammaConstraint: gammaConstraint, synchronized: false)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws {
    let c = configuration
    guard !c.synchronized else {
      throw ModelError(
        .argument, at: path,
        "synchronized: statistics over several processes aren't supported; one process trains here")
    }
    guard c.renorm != true else {
      throw ModelError(.argument, at: path, "renorm isn't supported")
    }
    guard (0...1).contains(c.momentum), c.epsilon >= 0 else {
      throw ModelError(
        .argument, at: path,
        "expected a momentum in 0...1 and an epsilon of 0 or more, got \(c.momentum) and \(c.epsilon)")
    }
    guard input.rank >= 2, let position = input.position(of: c.axis), position > 0 else {
      throw ModelError(
        .shape, at: path, "expected inputs with an axis \(c.axis) after the batch, got \(input)")
    }
    let shape: Shape = [input[position]]
    if c.scale {
      gamma = addWeight(
        "gamma", shape: shape, initializer: c.gammaInitializer, regularizer: c.gammaRegularizer,
        constraint: c.gammaConstraint)
    }
    if c.center {
      beta = addWeight(
        "beta", shape: shape, initializer: c.betaInitializer, regularizer: c.betaRegularizer,
        constraint: c.betaConstraint)
    }
    movingMean = addWeight(
      "moving_mean", shape: shape, initializer: c.movingMeanInitializer, trainable: false)
    movingVariance = addWeight(
      "moving_variance", shape: shape, initializer: c.movingVarianceInitializer, trainable: false)
  }

  public override func check(_ inputs: [Shape]) throws {
    let channels = movingMean.shape[0]
    guard inputs.count == 1, inputs[0].position(of: configuration.axis) != nil,
      inputs[0][configuration.axis] == channels
    else {
      let got = inputs.map(\.description).joined(separator: " and ")
      throw ModelError(
        .shape, at: path, "expected \(channels) channels along axis \(configuration.axis), got \(got)")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let x = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    let axis = x.shape.position(of: configuration.axis)!
    let others = (0..<x.rank).filter { $0 != axis }
    /// [channels] so that it stretches over the input.
    func spread(_ value: Tensor) -> Tensor {
      axis == x.rank - 1
        ? value : value.reshaped(to: Shape((0..<x.rank).map { $0 == axis ? value.count : 1 }))
    }
    var mean = movingMean.value
    var variance = movingVariance.value
    if context.isTraining && trainable {
      (mean, variance) =
        context.mask.map { maskedMoments(x, $0, axes: others) } ?? moments(x, axes: others, spread)
      let keep = configuration.momentum
      movingMean.variable.value = movingMean.value * keep + mean.stopGradient() * (1 - keep)
      movingVariance.variable.value = movingVariance.value * keep + variance.stopGradient() * (1 - keep)
    }
    var factor = (variance + configuration.epsilon).rsqrt()
    if let gamma { factor = factor * gamma.value }
    // The difference before the product: what is added up for the factor's gradient is centred too.
    let result = (x - spread(mean)) * spread(factor)
    return beta.map { result + spread($0.value) } ?? result
  }

  /// Mean and variance in one pass: sums of the distances from the batch's first element and of their squares, which stay
  /// exact where the mean is large.
  private func moments(_ x: Tensor, axes: [Int], _ spread: (Tensor) -> Tensor) -> (Tensor, Tensor) {
    let channels = movingMean.shape[0]
    var origin = x.stopGradient()
    for axis in axes { origin = origin.sliced(axis: axis, from: 0, count: 1) }
    let distance = x - spread(origin.reshaped(to: [channels]))
    let first = distance.mean(axes: axes)
    let second = distance.squared().mean(axes: axes)
    return (first + origin.reshaped(to: [channels]), (second - first.squared()).maximum(0))
  }

  /// Of the steps that count.
  private func maskedMoments(_ x: Tensor, _ mask: Tensor, axes: [Int]) -> (Tensor, Tensor) {
    let counts = mask.expanded(axis: -1).broadcast(to: x.shape)
    let zero = Tensor.zeros(like: x)
    let total = counts.cast(to: x.dtype).sum(axes: axes, keepDims: true) + 1e-7
    let mean = Tensor.select(counts, x, zero).sum(axes: axes, keepDims: true) / total
    let distance = Tensor.select(counts, x - mean, zero)
    let variance = distance.squared().sum(axes: axes, keepDims: true) / total
    let shape = movingMean.shape
    return (mean.reshaped(to: shape), variance.reshaped(to: shape))
  }
}
