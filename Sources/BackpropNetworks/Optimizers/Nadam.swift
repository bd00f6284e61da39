import BackpropTensors

/// Adam with Nesterov's momentum (Dozat, 2016), whose rate grows from half of β₁ to all of it. Keras' `Nadam`.
public final class Nadam: Optimizer, @unchecked Sendable {
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
    excludeFromWeightDecay: [String] = [], name: String = "nadam"
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

  public override var className: String { "Nadam" }

  public override var slotGroups: [[Slot]] { [[Slot("momentum"), Slot("velocity")]] }

  /// The product of all steps' momentum rates.
  public override var sharedSlots: [Slot] { [Slot("u_product", initialValue: 1)] }

  /// The momentum rate of a step.
  private func rate(_ step: Tensor) -> Tensor {
    (1 - Self.power(of: 0.96, step) * 0.5) * beta1
  }

  public override func prepare(step: Tensor, learningRate: Tensor, shared: inout [Tensor]) -> [Tensor] {
    let (now, next) = (rate(step), rate(step + 1))
    shared[0] = shared[0] * now
    let product = shared[0]
    let power = Self.power(of: beta2, step)
    return [next / (1 - product * next), (1 - now) / (1 - product), 1 - power]
  }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    let (share1, share2) = (complement(of: beta1, parameter.dtype), complement(of: beta2, parameter.dtype))
    slots[0] = slots[0] + (gradient - slots[0]) * share1
    slots[1] = slots[1] + (gradient.squared() - slots[1]) * share2
    let momentum = slots[0] * step.prepared[0] + gradient * step.prepared[1]
    let velocity = slots[1] / step.prepared[2]
    return parameter - momentum * step.learningRate / (velocity.sqrt() + epsilon)
  }
}
