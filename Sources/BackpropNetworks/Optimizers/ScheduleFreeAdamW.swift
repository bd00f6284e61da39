import BackpropTensors

/// Adam without a schedule (Defazio et al., 2024): weights are between where steps lead and the mean of where they led.
///
/// Keras' `ScheduleFreeAdamW`, with TensorFlow's numbers. Its `momentum` is where steps lead, and begins at the weights.
public final class ScheduleFreeAdamW: Optimizer, @unchecked Sendable {
  public let beta1: Double
  public let beta2: Double
  public let epsilon: Double
  /// Steps in which the learning rate rises to what it is.
  public let warmupSteps: Int

  public required init(config: [String: ConfigValue]) {
    beta1 = config["beta_1"]?.double ?? 0.9
    beta2 = config["beta_2"]?.double ?? 0.999
    epsilon = config["epsilon"]?.double ?? 1e-8
    warmupSteps = config["warmup_steps"]?.int ?? 0
    super.init(config: ["learning_rate": 0.0025].merging(config) { $1 })
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.0025, beta1: Double = 0.9, beta2: Double = 0.999,
    epsilon: Double = 1e-8, warmupSteps: Int = 0,
    weightDecay: Double? = nil, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil, useEMA: Bool = false, emaMomentum: Double = 0.99,
    emaOverwriteFrequency: Int? = nil, lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [], name: String = "schedulefreeadamw"
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
    config["warmup_steps"] = .integer(warmupSteps)
    self.init(config: config)
  }

  public override var className: String { "ScheduleFreeAdamW" }

  public override var slotGroups: [[Slot]] {
    [[Slot("momentum", beginsAsWeight: true), Slot("velocity")]]
  }

  public override func prepare(step: Tensor, learningRate: Tensor) -> [Tensor] {
    let isWarm = warmupSteps > 0 ? (step / Double(warmupSteps)).minimum(1) : Tensor(1 as Float)
    return [learningRate * isWarm, 1 - Self.power(of: beta2, step), 1 / step]
  }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    let (share1, share2) = (complement(of: beta1, parameter.dtype), complement(of: beta2, parameter.dtype))
    slots[1] = slots[1] + (gradient.squared() - slots[1]) * share2
    let scale = (slots[1] / step.prepared[1]).sqrt() + epsilon
    slots[0] = slots[0] - gradient * step.prepared[0] / scale
    let weight = step.prepared[2]
    // The paper takes off where steps led before this one; Keras on TensorFlow reads its variable after it has moved.
    let mean = (parameter - slots[0] * share1) / beta1
    let newMean = (1 - weight) * mean + weight * slots[0]
    return slots[0] * share1 + newMean * beta1
  }
}
