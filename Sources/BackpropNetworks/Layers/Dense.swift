import BackpropTensors

/// Every output connected to every input: activation(x · kernel + bias) along the last axis.
///
/// ```swift
/// Dense(64, activation: .relu)      // [batch, n] → [batch, 64]
/// ```
///
/// Inputs of more axes are taken row by row: [batch, steps, n] → [batch, steps, units]. Keras' `Dense`; the kernel is
/// [n, units].
public final class Dense: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var units: Int
    public var activation: ActivationFunction
    public var useBias: Bool
    public var kernelInitializer: Initializer
    public var biasInitializer: Initializer
    public var kernelRegularizer: Regularizer?
    public var biasRegularizer: Regularizer?
    public var activityRegularizer: Regularizer?
    public var kernelConstraint: Constraint?
    public var biasConstraint: Constraint?
  }

  public let configuration: Configuration
  private var kernel: Weight!
  private var bias: Weight?

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    _ units: Int, activation: ActivationFunction = .linear, useBias: Bool = true,
    kernelInitializer: Initializer = .glorotUniform, biasInitializer: Initializer = .zeros,
    kernelRegularizer: Regularizer? = nil, biasRegularizer: Regularizer? = nil,
    activityRegularizer: Regularizer? = nil, kernelConstraint: Constraint? = nil,
    biasConstraint: Constraint? = nil,
    name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let configuration = Configuration(
      units: units, activation: activation, useBias: useBias, kernelInitializer: kernelInitializer,
      biasInitializer: biasInitializer, kernelRegularizer: kernelRegularizer,
      biasRegularizer: biasRegularizer,
      activityRegularizer: activityRegularizer, kernelConstraint: kernelConstraint,
      biasConstraint: biasConstraint)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  public override var supportsMasking: Bool { true }

  public override func build(_ input: Shape) throws {
    let c = configuration
    guard c.units > 0 else { throw ModelError(.argument, at: path, "units must be positive, got \(c.units)") }
    guard input.rank >= 2 else {
      throw ModelError(.shape, at: path, "expected inputs of [batch, …, features], got \(input)")
    }
    try c.activation.check(at: path)
    kernel = addWeight(
      "kernel", shape: [input[-1], c.units], initializer: c.kernelInitializer,
      regularizer: c.kernelRegularizer,
      constraint: c.kernelConstraint)
    guard c.useBias else { return }
    bias = addWeight(
      "bias", shape: [c.units], initializer: c.biasInitializer, regularizer: c.biasRegularizer,
      constraint: c.biasConstraint)
  }

  public override func check(_ inputs: [Shape]) throws {
    let width = kernel.shape[0]
    guard inputs.count == 1, inputs[0].rank >= 2, inputs[0][-1] == width else {
      let got = inputs.map(\.description).joined(separator: " and ")
      let features = inputs[0].dimensions.dropFirst().reduce(1, *)
      let hint = inputs[0].rank > 2 && features == width ? "; add Flatten() before it" : ""
      throw ModelError(.shape, at: path, "expected a last axis of \(width), got \(got)\(hint)")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    var result = input.matmul(kernel.value)
    if let bias { result = result + bias.value }
    result = configuration.activation(result)
    if let regularizer = configuration.activityRegularizer {
      context.addLoss(regularizer(result) / Double(max(result.shape[0], 1)))
    }
    return result
  }
}
