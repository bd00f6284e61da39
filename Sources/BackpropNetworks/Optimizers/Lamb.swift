import BackpropTensors

/// Adam whose step is scaled to each weight's norm, for large batches (You et al., 2019). Keras' `Lamb`.
public final class Lamb: Optimizer, @unchecked Sendable {
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
    excludeFromWeightDecay: [String] = [], name: String = "lamb"
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

  public override var className: String { "Lamb" }

  public override var slotGroups: [[Slot]] { [[Slot("momentum"), Slot("velocity")]] }

  public override func prepare(step: Tensor, learningRate: Tensor) -> [Tensor] {
    [1 - Self.power(of: beta1, step), 1 - Self.power(of: beta2, step)]
  }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    slots[0] = slots[0] + (gradient - slots[0]) * (1 - beta1)
    slots[1] = slots[1] + (gradient.squared() - slots[1]) * (1 - beta2)
    let velocity = (slots[1] / step.prepared[1]).sqrt() + epsilon
    let move = slots[0] / step.prepared[0] / velocity
    let (norm, moveNorm) = (parameter.squared().sum().sqrt(), move.squared().sum().sqrt())
    let isScaled = (norm .> 0).and(moveNorm .> 0)
    let one = Tensor.ones(like: norm)
    let ratio = Tensor.select(isScaled, norm / Tensor.select(isScaled, moveNorm, one), one)
    return parameter - move * (ratio * step.learningRate)
  }
}
