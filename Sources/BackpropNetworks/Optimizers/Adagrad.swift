import BackpropTensors

/// Gradients divided by the root of the sum of all their squares so far (Duchi et al., 2011). Keras' `Adagrad`.
public final class Adagrad: Optimizer, @unchecked Sendable {
  public let initialAccumulatorValue: Double
  public let epsilon: Double

  public required init(config: [String: ConfigValue]) {
    initialAccumulatorValue = config["initial_accumulator_value"]?.double ?? 0.1
    epsilon = config["epsilon"]?.double ?? 1e-7
    super.init(config: config)
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.001, initialAccumulatorValue: Double = 0.1,
    epsilon: Double = 1e-7,
    weightDecay: Double? = nil, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil,
    useEMA: Bool = false, emaMomentum: Double = 0.99, emaOverwriteFrequency: Int? = nil,
    lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [],
    name: String = "adagrad"
  ) {
    var config = OptimizerOptions.config(
      learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm, clipValue: clipValue,
      globalClipNorm: globalClipNorm, useEMA: useEMA, emaMomentum: emaMomentum,
      emaOverwriteFrequency: emaOverwriteFrequency, lossScaleFactor: lossScaleFactor,
      gradientAccumulationSteps: gradientAccumulationSteps, excludeFromWeightDecay: excludeFromWeightDecay,
      name: name)
    config["initial_accumulator_value"] = .number(initialAccumulatorValue)
    config["epsilon"] = .number(epsilon)
    self.init(config: config)
  }

  public override var className: String { "Adagrad" }

  public override var slotGroups: [[Slot]] { [[Slot("accumulator", initialValue: initialAccumulatorValue)]] }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    slots[0] = slots[0] + gradient.squared()
    return parameter - gradient * step.learningRate / (slots[0] + epsilon).sqrt()
  }
}
