import BackpropTensors

/// Adam with weight decay apart from the gradients (Loshchilov and Hutter, 2017): 0.004 unless said otherwise.
public final class AdamW: Adam, @unchecked Sendable {
  public required init(config: [String: ConfigValue]) {
    super.init(config: ["weight_decay": 0.004].merging(config) { $1 })
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.001, weightDecay: Double = 0.004, beta1: Double = 0.9,
    beta2: Double = 0.999, epsilon: Double = 1e-7, amsgrad: Bool = false, clipNorm: Double? = nil,
    clipValue: Double? = nil, globalClipNorm: Double? = nil, useEMA: Bool = false, emaMomentum: Double = 0.99,
    emaOverwriteFrequency: Int? = nil, lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [], name: String = "adamw"
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
    self.init(config: config)
  }

  public override var className: String { "AdamW" }
}
