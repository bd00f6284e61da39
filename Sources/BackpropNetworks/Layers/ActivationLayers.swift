import BackpropTensors

/// An activation as a layer.
public final class Activation: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var activation: ActivationFunction
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ activation: ActivationFunction, name: String? = nil) {
    self.init(configuration: Configuration(activation: activation), name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws { try configuration.activation.check(at: path) }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    configuration.activation(input)
  }
}

/// max(x, 0), with a slope below and a limit above where given. Keras' `ReLU`.
public final class ReLU: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var maxValue: Double?
    public var negativeSlope: Double
    public var threshold: Double
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    maxValue: Double? = nil, negativeSlope: Double = 0, threshold: Double = 0, name: String? = nil
  ) {
    self.init(
      configuration: Configuration(maxValue: maxValue, negativeSlope: negativeSlope, threshold: threshold),
      name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws {
    let c = configuration
    for (name, value) in [
      ("maxValue", c.maxValue ?? 0), ("negativeSlope", c.negativeSlope), ("threshold", c.threshold),
    ]
    where value < 0 {
      throw ModelError(.argument, at: path, "\(name) must not be negative, got \(value)")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let c = configuration
    return ActivationFunction.relu(
      negativeSlope: c.negativeSlope, maxValue: c.maxValue, threshold: c.threshold)(input)
  }
}

/// x where positive, else `negativeSlope` · x. Keras' `LeakyReLU`, whose slope is 0.3.
public final class LeakyReLU: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var negativeSlope: Double
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(negativeSlope: Double = 0.3, name: String? = nil) {
    self.init(configuration: Configuration(negativeSlope: negativeSlope), name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws {
    let slope = configuration.negativeSlope
    if slope < 0 {
      throw ModelError(.argument, at: path, "negativeSlope must not be negative, got \(slope)")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    ActivationFunction.leakyRelu(negativeSlope: configuration.negativeSlope)(input)
  }
}

/// x where positive, else `alpha` · (eˣ − 1). Keras' `ELU`.
public final class ELU: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var alpha: Double
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(alpha: Double = 1, name: String? = nil) {
    self.init(configuration: Configuration(alpha: alpha), name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    ActivationFunction.elu(alpha: configuration.alpha)(input)
  }
}

/// x where positive, else α · x with a trained α for each element, or one for each position of the axes that aren't
/// shared. Keras' `PReLU` (He et al., 2015).
public final class PReLU: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var alphaInitializer: Initializer
    public var alphaRegularizer: Regularizer?
    public var alphaConstraint: Constraint?
    public var sharedAxes: [Int]?
  }

  public let configuration: Configuration
  private var alpha: Weight!

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameter sharedAxes: axes, counted from 1 after the batch, along which α is the same.
  public convenience init(
    alphaInitializer: Initializer = .zeros, alphaRegularizer: Regularizer? = nil,
    alphaConstraint: Constraint? = nil,
    sharedAxes: [Int]? = nil, name: String? = nil
  ) {
    let configuration = Configuration(
      alphaInitializer: alphaInitializer, alphaRegularizer: alphaRegularizer,
      alphaConstraint: alphaConstraint,
      sharedAxes: sharedAxes)
    self.init(configuration: configuration, name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws {
    var shape = Shape(input.dimensions.dropFirst())
    for axis in configuration.sharedAxes ?? [] {
      guard (1..<input.rank).contains(axis) else {
        throw ModelError(
          .argument, at: path,
          "sharedAxes counts from 1 to \(input.rank - 1) for inputs of shape \(input), got \(axis)")
      }
      shape[axis - 1] = 1
    }
    alpha = addWeight(
      "alpha", shape: shape, initializer: configuration.alphaInitializer,
      regularizer: configuration.alphaRegularizer, constraint: configuration.alphaConstraint)
  }

  public override func check(_ inputs: [Shape]) throws {
    let sample = Shape(inputs[0].dimensions.dropFirst())
    guard Shape.broadcast(sample, alpha.shape) == sample else {
      throw ModelError(
        .shape, at: path, "expected inputs like \(alpha.shape) after the batch, got \(inputs[0])")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    input.relu() - alpha.value * (-input).relu()
  }
}
