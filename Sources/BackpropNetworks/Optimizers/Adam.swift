import BackpropTensors

/// Adaptive moments (Kingma and Ba, 2014): steps of about the learning rate, whatever the gradients' scale.
///
/// m += (g − m)(1 − β₁), v += (g² − v)(1 − β₂), p −= α · m / (√v + ε) with α = lr · √(1 − β₂ᵗ) / (1 − β₁ᵗ); with
/// `amsgrad` the largest v so far (Reddi et al., 2018). Keras' `Adam`, in its order of operations.
public class Adam: Optimizer, @unchecked Sendable {
  public let beta1: Double
  public let beta2: Double
  public let epsilon: Double
  public let amsgrad: Bool

  public required init(config: [String: ConfigValue]) {
    beta1 = config["beta_1"]?.double ?? 0.9
    beta2 = config["beta_2"]?.double ?? 0.999
    epsilon = config["epsilon"]?.double ?? 1e-7
    amsgrad = config["amsgrad"]?.bool ?? false
    super.init(config: config)
  }

  // Not a convenience, which AdamW would inherit beside its own: then nobody could tell which `AdamW()` is meant.
  public init(
    learningRate: some LearningRateConvertible = 0.001, beta1: Double = 0.9, beta2: Double = 0.999,
    epsilon: Double = 1e-7, amsgrad: Bool = false,
    weightDecay: Double? = nil, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil,
    useEMA: Bool = false, emaMomentum: Double = 0.99, emaOverwriteFrequency: Int? = nil,
    lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [],
    name: String = "adam"
  ) {
    var config = OptimizerOptions.config(
      learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm, clipValue: clipValue,
      globalClipNorm: globalClipNorm, useEMA: useEMA, emaMomentum: emaMomentum,
      emaOverwriteFrequency: emaOverwriteFrequency, lossScaleFactor: lossScaleFactor,
      gradientAccumulationSteps: gradientAccumulationSteps, excludeFromWeightDecay: excludeFromWeightDecay,
      name: name)
    config["beta_1"] = .number(beta1)
    config["beta_2"] = .number(beta2)
    config["epsilon"] = .number(epsilon)
    config["amsgrad"] = .bool(amsgrad)
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.amsgrad = amsgrad
    super.init(config: config)
  }

  public override var className: String { "Adam" }

  public override var slotGroups: [[Slot]] {
    [[Slot("momentum"), Slot("velocity")]] + (amsgrad ? [[Slot("velocity_hat")]] : [])
  }

  public override func prepare(step: Tensor, learningRate: Tensor) -> [Tensor] {
    let power1 = Self.power(of: beta1, step)
    let power2 = Self.power(of: beta2, step)
    return [learningRate * (1 - power2).sqrt() / (1 - power1)]
  }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    slots[0] = slots[0] + (gradient - slots[0]) * (1 - beta1)
    slots[1] = slots[1] + (gradient.squared() - slots[1]) * (1 - beta2)
    if amsgrad { slots[2] = slots[2].maximum(slots[1]) }
    let velocity = amsgrad ? slots[2] : slots[1]
    return parameter - slots[0] * step.prepared[0] / (velocity.sqrt() + epsilon)
  }
}
