import BackpropTensors

/// Steps of the size of the last ones, by moving means of squared gradients and of squared steps (Zeiler, 2012).
///
/// Keras' `Adadelta`, whose learning rate of 0.001 is far from the paper's 1.
public final class Adadelta: Optimizer, @unchecked Sendable {
  public let rho: Double
  public let epsilon: Double

  public required init(config: [String: ConfigValue]) {
    rho = config["rho"]?.double ?? 0.95
    epsilon = config["epsilon"]?.double ?? 1e-7
    super.init(config: config)
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.001, rho: Double = 0.95, epsilon: Double = 1e-7,
    weightDecay: Double? = nil, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil, useEMA: Bool = false, emaMomentum: Double = 0.99,
    emaOverwriteFrequency: Int? = nil, lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [], name: String = "adadelta"
  ) {
    var config = OptimizerOptions.config(
      learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm, clipValue: clipValue,
      globalClipNorm: globalClipNorm, useEMA: useEMA, emaMomentum: emaMomentum,
      emaOverwriteFrequency: emaOverwriteFrequency, lossScaleFactor: lossScaleFactor,
      gradientAccumulationSteps: gradientAccumulationSteps, excludeFromWeightDecay: excludeFromWeightDecay,
      name: name)
    config["rho"] = .number(rho)
    config["epsilon"] = .number(epsilon)
    self.init(config: config)
  }

  public override var className: String { "Adadelta" }

  public override var slotGroups: [[Slot]] {
    [[Slot("accumulated_grad"), Slot("accumulated_delta_var")]]
  }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    slots[0] = slots[0] * rho + gradient.squared() * (1 - rho)
    let move = (slots[1] + epsilon).sqrt() * gradient / (slots[0] + epsilon).sqrt()
    slots[1] = slots[1] * rho + move.squared() * (1 - rho)
    return parameter - move * step.learningRate
  }
}
