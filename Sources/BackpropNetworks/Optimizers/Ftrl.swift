import BackpropTensors

/// Follow the regularised leader (McMahan et al., 2013), for wide sparse models: `l1` makes weights exactly 0.
///
/// Keras' `Ftrl`.
public final class Ftrl: Optimizer, @unchecked Sendable {
  public let learningRatePower: Double
  public let initialAccumulatorValue: Double
  public let l1RegularizationStrength: Double
  public let l2RegularizationStrength: Double
  /// Like `l2RegularizationStrength`, but on the gradient.
  public let l2ShrinkageRegularizationStrength: Double
  public let beta: Double

  public required init(config: [String: ConfigValue]) {
    learningRatePower = config["learning_rate_power"]?.double ?? -0.5
    initialAccumulatorValue = config["initial_accumulator_value"]?.double ?? 0.1
    l1RegularizationStrength = config["l1_regularization_strength"]?.double ?? 0
    l2RegularizationStrength = config["l2_regularization_strength"]?.double ?? 0
    l2ShrinkageRegularizationStrength = config["l2_shrinkage_regularization_strength"]?.double ?? 0
    beta = config["beta"]?.double ?? 0
    super.init(config: config)
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.001, learningRatePower: Double = -0.5,
    initialAccumulatorValue: Double = 0.1, l1RegularizationStrength: Double = 0,
    l2RegularizationStrength: Double = 0, l2ShrinkageRegularizationStrength: Double = 0, beta: Double = 0,
    weightDecay: Double? = nil, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil, useEMA: Bool = false, emaMomentum: Double = 0.99,
    emaOverwriteFrequency: Int? = nil, lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [], name: String = "ftrl"
  ) {
    var config = OptimizerOptions.config(
      learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm, clipValue: clipValue,
      globalClipNorm: globalClipNorm, useEMA: useEMA, emaMomentum: emaMomentum,
      emaOverwriteFrequency: emaOverwriteFrequency, lossScaleFactor: lossScaleFactor,
      gradientAccumulationSteps: gradientAccumulationSteps, excludeFromWeightDecay: excludeFromWeightDecay,
      name: name)
    config["learning_rate_power"] = .number(learningRatePower)
    config["initial_accumulator_value"] = .number(initialAccumulatorValue)
    config["l1_regularization_strength"] = .number(l1RegularizationStrength)
    config["l2_regularization_strength"] = .number(l2RegularizationStrength)
    config["l2_shrinkage_regularization_strength"] = .number(l2ShrinkageRegularizationStrength)
    config["beta"] = .number(beta)
    self.init(config: config)
  }

  public override var className: String { "Ftrl" }

  public override var slotGroups: [[Slot]] {
    [[Slot("accumulator", initialValue: initialAccumulatorValue), Slot("linear")]]
  }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    let shrunk = gradient + parameter * (2 * l2ShrinkageRegularizationStrength)
    let accumulator = slots[0] + gradient.squared()
    let scale = accumulator.power(-learningRatePower)
    let growth = (scale - slots[0].power(-learningRatePower)) / step.learningRate
    slots[0] = accumulator
    slots[1] = slots[1] + (shrunk - growth * parameter)
    let l2 = beta / (step.learningRate * 2) + l2RegularizationStrength
    let quadratic = scale / step.learningRate + l2 * 2
    let l1 = l1RegularizationStrength
    return (slots[1].clipped(to: -l1...l1) - slots[1]) / quadratic
  }
}
