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
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
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
    name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
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
    let axes = Axes(x.shape, channels: x.shape.position(of: configuration.axis)!)
    guard context.isTraining && trainable else {
      return normalised(x, movingMean.value, movingVariance.value, axes)
    }
    let result: Tensor
    let mean: Tensor
    let variance: Tensor
    if let mask = context.mask {
      (mean, variance) = maskedMoments(x, mask, axes: axes.others)
      result = normalised(x, mean, variance, axes)
    } else {
      (result, mean, variance) = normalisedByBatch(x, axes)
    }
    let keep = configuration.momentum
    movingMean.variable.value = movingMean.value * keep + mean.stopGradient() * (1 - keep)
    movingVariance.variable.value = movingVariance.value * keep + variance.stopGradient() * (1 - keep)
    return result
  }

  /// The channels' axis and the others, which are averaged over.
  private struct Axes: Sendable {
    let shape: Shape
    let channels: Int

    init(_ shape: Shape, channels: Int) { (self.shape, self.channels) = (shape, channels) }

    var others: [Int] { (0..<shape.rank).filter { $0 != channels } }
    /// How many elements each channel has.
    var count: Double { Double(shape.elementCount / max(shape[channels], 1)) }

    /// [channels] so that it stretches over the input.
    func spread(_ value: Tensor) -> Tensor {
      if channels == shape.rank - 1 { return value }
      return value.reshaped(to: Shape((0..<shape.rank).map { $0 == channels ? value.count : 1 }))
    }

    /// Mean and variance in one pass: sums of the distances from the batch's first element and of their squares, which stay
    /// exact where the mean is large.
    func moments(_ x: Tensor) -> (mean: Tensor, variance: Tensor) {
      var first = x.stopGradient()
      for axis in others { first = first.sliced(axis: axis, from: 0, count: 1) }
      let origin = first.reshaped(to: [shape[channels]])
      let distance = x - spread(origin)
      let mean = distance.mean(axes: others)
      return (mean + origin, (distance.squared().mean(axes: others) - mean.squared()).maximum(0))
    }
  }

  private func normalised(_ x: Tensor, _ mean: Tensor, _ variance: Tensor, _ axes: Axes) -> Tensor {
    var factor = (variance + configuration.epsilon).rsqrt()
    if let gamma { factor = factor * gamma.value }
    let result = (x - axes.spread(mean)) * axes.spread(factor)
    return beta.map { result + axes.spread($0.value) } ?? result
  }

  /// By the batch's own statistics, which are given back.
  ///
  /// The gradient is written out: left to the tape it would keep what one pass computes for the next, five arrays of the
  /// input's size instead of the input alone.
  private func normalisedByBatch(_ x: Tensor, _ axes: Axes) -> (Tensor, mean: Tensor, variance: Tensor) {
    let epsilon = configuration.epsilon
    let weights = [gamma, beta].compactMap { $0?.value }
    let (scales, shifts) = (gamma != nil, beta != nil)
    let outputs = withCustomGradient(
      [x] + weights,
      forward: { inputs in
        let (mean, variance) = axes.moments(inputs[0])
        var factor = (variance + epsilon).rsqrt()
        if scales { factor = factor * inputs[1] }
        let result = (inputs[0] - axes.spread(mean)) * axes.spread(factor)
        return [shifts ? result + axes.spread(inputs[inputs.count - 1]) : result, mean, variance]
      },
      backward: { gradients, inputs, outputs in
        let distance = inputs[0] - axes.spread(outputs[1])
        let inverse = (outputs[2] + epsilon).rsqrt()
        let factor = scales ? inverse * inputs[1] : inverse
        var parts: [Tensor] = []
        var ofWeights: [Tensor?] = weights.map { _ in nil }
        if let g = gradients[0] {
          let sum = g.sum(axes: axes.others)
          let along = (g * distance).sum(axes: axes.others)
          // factor · (g − mean of g − distance · mean of (g · distance) / variance)
          let slope = factor * inverse.squared() * along * (-1 / axes.count)
          let level = factor * sum * (-1 / axes.count)
          parts.append(g * axes.spread(factor) + distance * axes.spread(slope) + axes.spread(level))
          if scales { ofWeights[0] = along * inverse }
          if shifts { ofWeights[ofWeights.count - 1] = sum }
        }
        if let g = gradients[1] {
          parts.append(axes.spread(g * (1 / axes.count)).broadcast(to: axes.shape))
        }
        if let g = gradients[2] { parts.append(distance * axes.spread(g * (2 / axes.count))) }
        return [parts.first.map { parts.dropFirst().reduce($0, +) }] + ofWeights
      })
    return (outputs[0], outputs[1], outputs[2])
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
