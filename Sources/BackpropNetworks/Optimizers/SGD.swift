import BackpropTensors

/// Steepest descent, with momentum (Polyak, 1964) and Nesterov's form of it.
///
/// p −= lr · g, or with momentum m = μ · m − lr · g and p += m. Keras' `SGD`.
public final class SGD: Optimizer, @unchecked Sendable {
  public let momentum: Double
  public let nesterov: Bool

  public required init(config: [String: ConfigValue]) {
    momentum = config["momentum"]?.double ?? 0
    nesterov = config["nesterov"]?.bool ?? false
    super.init(config: ["learning_rate": 0.01].merging(config) { $1 })
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.01, momentum: Double = 0, nesterov: Bool = false,
    weightDecay: Double? = nil, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil,
    useEMA: Bool = false, emaMomentum: Double = 0.99, emaOverwriteFrequency: Int? = nil,
    lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [],
    name: String = "sgd"
  ) {
    var config = OptimizerOptions.config(
      learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm, clipValue: clipValue,
      globalClipNorm: globalClipNorm, useEMA: useEMA, emaMomentum: emaMomentum,
      emaOverwriteFrequency: emaOverwriteFrequency, lossScaleFactor: lossScaleFactor,
      gradientAccumulationSteps: gradientAccumulationSteps, excludeFromWeightDecay: excludeFromWeightDecay,
      name: name)
    config["momentum"] = .number(momentum)
    config["nesterov"] = .bool(nesterov)
    self.init(config: config)
  }

  public override var className: String { "SGD" }

  public override var slotGroups: [[Slot]] { momentum == 0 ? [] : [[Slot("momentum")]] }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    let move = gradient * step.learningRate
    guard momentum != 0 else { return parameter - move }
    slots[0] = slots[0] * momentum - move
    return parameter + (nesterov ? slots[0] * momentum - move : slots[0])
  }
}
