import BackpropTensors

/// Brings each sample's groups of channels to mean 0 and variance 1, then scales and shifts each channel (Wu and He, 2018).
/// With as many groups as channels (or −1) it is instance normalisation. Keras' `GroupNormalization`.
public final class GroupNormalization: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var groups: Int
    public var axis: Int
    public var epsilon: Double
    public var center: Bool
    public var scale: Bool
    public var betaInitializer: Initializer
    public var gammaInitializer: Initializer
    public var betaRegularizer: Regularizer?
    public var gammaRegularizer: Regularizer?
    public var betaConstraint: Constraint?
    public var gammaConstraint: Constraint?
  }

  public let configuration: Configuration
  private var gamma: Weight?
  private var beta: Weight?
  private var axis = 0
  private var channels = 0
  private var rank = 0

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameter groups: must divide the channels; −1: each channel is one.
  public convenience init(
    groups: Int = 32, axis: Int = -1, epsilon: Double = 1e-3, center: Bool = true, scale: Bool = true,
    betaInitializer: Initializer = .zeros, gammaInitializer: Initializer = .ones,
    betaRegularizer: Regularizer? = nil, gammaRegularizer: Regularizer? = nil,
    betaConstraint: Constraint? = nil, gammaConstraint: Constraint? = nil,
    name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let configuration = Configuration(
      groups: groups, axis: axis, epsilon: epsilon, center: center, scale: scale,
      betaInitializer: betaInitializer, gammaInitializer: gammaInitializer, betaRegularizer: betaRegularizer,
      gammaRegularizer: gammaRegularizer, betaConstraint: betaConstraint, gammaConstraint: gammaConstraint)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  public override var supportsMasking: Bool { true }

  package override var sampleInputs: [TensorType]? { [TensorType([2, 3, 64], .float32)] }

  public override func build(_ input: Shape) throws {
    let c = configuration
    guard input.rank >= 2, let position = input.position(of: c.axis), position > 0 else {
      throw ModelError(
        .shape, at: path, "expected inputs with an axis \(c.axis) after the batch, got \(input)")
    }
    (axis, channels, rank) = (position, input[position], input.rank)
    guard c.groups > 0 || c.groups == -1, c.groups <= channels, c.groups == -1 || channels % c.groups == 0
    else {
      throw ModelError(
        .argument, at: path,
        "the groups must divide the channels: \(c.groups) groups, \(channels) channels in an input of shape \(input)"
      )
    }
    if c.scale {
      gamma = addWeight(
        "gamma", shape: [channels], initializer: c.gammaInitializer, regularizer: c.gammaRegularizer,
        constraint: c.gammaConstraint)
    }
    if c.center {
      beta = addWeight(
        "beta", shape: [channels], initializer: c.betaInitializer, regularizer: c.betaRegularizer,
        constraint: c.betaConstraint)
    }
  }

  public override func check(_ inputs: [Shape]) throws {
    guard inputs.count == 1, inputs[0].rank == rank, inputs[0][axis] == channels else {
      let got = inputs.map(\.description).joined(separator: " and ")
      throw ModelError(
        .shape, at: path, "expected \(rank) axes with \(channels) channels along axis \(axis), got \(got)")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let x = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    let groups = configuration.groups == -1 ? channels : configuration.groups
    var sizes = x.shape.dimensions
    sizes[axis] = channels / groups
    sizes.insert(groups, at: axis)
    let grouped = x.reshaped(to: Shape(sizes))
    let axes = (1...x.rank).filter { $0 != axis }
    let distance = grouped - grouped.mean(axes: axes, keepDims: true)
    let inverse = (distance.squared().mean(axes: axes, keepDims: true) + configuration.epsilon).rsqrt()
    let spread = Shape(sizes.indices.map { $0 == axis || $0 == axis + 1 ? sizes[$0] : 1 })
    var result = distance * inverse
    if let gamma { result = result * gamma.value.reshaped(to: spread) }
    if let beta { result = result + beta.value.reshaped(to: spread) }
    return result.reshaped(to: x.shape)
  }
}
