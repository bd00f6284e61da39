import BackpropTensors

/// The sign of a momentum, found by a search among programs (Chen et al., 2023): every element moves by the learning rate.
///
/// p −= lr · sign(β₁ · m + (1 − β₁)g), m = β₂ · m + (1 − β₂)g. Keras' `Lion`.
public final class Lion: Optimizer, @unchecked Sendable {
  public let beta1: Double
  public let beta2: Double

  public required init(config: [String: ConfigValue]) {
    beta1 = config["beta_1"]?.double ?? 0.9
    beta2 = config["beta_2"]?.double ?? 0.99
    super.init(config: config)
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.001, beta1: Double = 0.9, beta2: Double = 0.99,
    weightDecay: Double? = nil, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil, useEMA: Bool = false, emaMomentum: Double = 0.99,
    emaOverwriteFrequency: Int? = nil, lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [], name: String = "lion"
  ) {
    var config = OptimizerOptions.config(
      learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm, clipValue: clipValue,
      globalClipNorm: globalClipNorm, useEMA: useEMA, emaMomentum: emaMomentum,
      emaOverwriteFrequency: emaOverwriteFrequency, lossScaleFactor: lossScaleFactor,
      gradientAccumulationSteps: gradientAccumulationSteps, excludeFromWeightDecay: excludeFromWeightDecay,
      name: name)
    config["beta_1"] = .number(beta1)
    config["beta_2"] = .number(beta2)
    self.init(config: config)
  }

  public override var className: String { "Lion" }

  public override var slotGroups: [[Slot]] { [[Slot("momentum")]] }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    let (share1, share2) = (complement(of: beta1, parameter.dtype), complement(of: beta2, parameter.dtype))
    let direction = (slots[0] * beta1 + gradient * share1).sign()
    slots[0] = slots[0] * beta2 + gradient * share2
    return parameter - direction * step.learningRate
  }
}
