import BackpropTensors

/// Gradients divided by a moving root of their mean square (Tieleman and Hinton, 2012).
///
/// v = ρ · v + (1 − ρ)g², p −= lr · g / √(v + ε); `centered` takes the squared mean gradient off v. Keras' `RMSprop`.
public final class RMSprop: Optimizer, @unchecked Sendable {
  public let rho: Double
  public let momentum: Double
  public let epsilon: Double
  public let centered: Bool

  public required init(config: [String: ConfigValue]) {
    rho = config["rho"]?.double ?? 0.9
    momentum = config["momentum"]?.double ?? 0
    epsilon = config["epsilon"]?.double ?? 1e-7
    centered = config["centered"]?.bool ?? false
    super.init(config: config)
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.001, rho: Double = 0.9, momentum: Double = 0,
    epsilon: Double = 1e-7, centered: Bool = false,
    weightDecay: Double? = nil, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil,
    useEMA: Bool = false, emaMomentum: Double = 0.99, emaOverwriteFrequency: Int? = nil,
    lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [],
    name: String = "rmsprop"
  ) {
    var config = OptimizerOptions.config(
      learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm, clipValue: clipValue,
      globalClipNorm: globalClipNorm, useEMA: useEMA, emaMomentum: emaMomentum,
      emaOverwriteFrequency: emaOverwriteFrequency, lossScaleFactor: lossScaleFactor,
      gradientAccumulationSteps: gradientAccumulationSteps, excludeFromWeightDecay: excludeFromWeightDecay,
      name: name)
    config["rho"] = .number(rho)
    config["momentum"] = .number(momentum)
    config["epsilon"] = .number(epsilon)
    config["centered"] = .bool(centered)
    self.init(config: config)
  }

  public override var className: String { "RMSprop" }

  public override var slotGroups: [[Slot]] {
    [[Slot("velocity")]] + (momentum > 0 ? [[Slot("momentum")]] : [])
      + (centered ? [[Slot("average_gradient")]] : [])
  }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    slots[0] = slots[0] * rho + gradient.squared() * (1 - rho)
    var denominator = slots[0]
    if centered {
      let mean = slots.count - 1
      slots[mean] = slots[mean] * rho + gradient * (1 - rho)
      denominator = denominator - slots[mean].squared()
    }
    let move = gradient * step.learningRate / (denominator + epsilon).sqrt()
    guard momentum > 0 else { return parameter - move }
    slots[1] = slots[1] * momentum + move
    return parameter - slots[1]
  }
}
