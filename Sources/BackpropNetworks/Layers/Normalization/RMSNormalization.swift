import BackpropTensors

/// Divides each sample by its root mean square along some axes, then scales it (Zhang and Sennrich, 2019). Keras'
/// `RMSNormalization`.
public final class RMSNormalization: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var axis: OneOrMany<Int>
    public var epsilon: Double
  }

  public let configuration: Configuration
  private var scale: Weight!
  private var axes: NormalizedAxes!

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    axis: OneOrMany<Int> = -1, epsilon: Double = 1e-6, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    self.init(
      configuration: Configuration(axis: axis, epsilon: epsilon), name: name, trainable: trainable,
      dtype: dtype)
  }

  public override func build(_ input: Shape) throws {
    axes = try NormalizedAxes(configuration.axis.values, of: input, path: path)
    scale = addWeight("scale", shape: axes.weightShape, initializer: .ones)
  }

  public override func check(_ inputs: [Shape]) throws { try axes.check(inputs, path: path) }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let x = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    if axes.positions == [x.rank - 1], x.dtype == dtype {
      return x.layerNormalised(
        gamma: scale.value, beta: nil, epsilon: configuration.epsilon, isCentred: false)
    }
    let square = x.squared().mean(axes: axes.positions, keepDims: true)
    return x * (square + configuration.epsilon).rsqrt() * axes.spread(scale.value, over: x)
  }
}

/// Scales each sample to length 1 along some axes. Keras' `UnitNormalization`.
public final class UnitNormalization: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var axis: OneOrMany<Int>
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(axis: OneOrMany<Int> = -1, name: String? = nil) {
    self.init(configuration: Configuration(axis: axis), name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func check(_ inputs: [Shape]) throws {
    _ = try NormalizedAxes(configuration.axis.values, of: inputs[0], path: path)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let x = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    // Keras divides by no less than 1e-12.
    let square = x.squared().sum(axes: configuration.axis.values, keepDims: true).maximum(1e-24)
    return x * square.rsqrt()
  }
}
