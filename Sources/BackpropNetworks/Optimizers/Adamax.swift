import BackpropTensors

/// Adam with the largest gradient so far in place of the root of their mean square (Kingma and Ba, 2014, section 7).
///
/// m += (g − m)(1 − β₁), u = max(β₂ · u, |g|), p −= lr · m / ((1 − β₁ᵗ)(u + ε)). Keras' `Adamax`.
public final class Adamax: Optimizer, @unchecked Sendable {
  public let beta1: Double
  public let beta2: Double
  public let epsilon: Double

  public required init(config: [String: ConfigValue]) {
    beta1 = config["beta_1"]?.double ?? 0.9
    beta2 = config["beta_2"]?.double ?? 0.999
    epsilon = config["epsilon"]?.double ?? 1e-7
    super.init(config: config)
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.001, beta1: Double = 0.9, beta2: Double = 0.999,
    epsilon: Double = 1e-7,
    weightDecay: Double? = nil, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil, useEMA: Bool = false, emaMomentum: Double = 0.99,
    emaOverwriteFrequency: Int? = nil, lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [], name: String = "adamax"
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
    self.init(config: config)
  }

  public override var className: String { "Adamax" }

  public override var slotGroups: [[Slot]] { [[Slot("momentum"), Slot("norm")]] }

  public override func prepare(step: Tensor, learningRate: Tensor) -> [Tensor] {
    [1 - Self.power(of: beta1, step)]
  }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    slots[0] = slots[0] + (gradient - slots[0]) * (1 - beta1)
    slots[1] = (slots[1] * beta2).maximum(gradient.abs())
    return parameter - slots[0] * step.learningRate / ((slots[1] + epsilon) * step.prepared[0])
  }
}
