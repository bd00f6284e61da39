import BackpropTensors

/// Adam's second moments from their rows' and columns' means alone, and steps relative to the weights' size (Shazeer and
/// Stern, 2018). Keras' `Adafactor`, which keeps the product of the two, too.
public final class Adafactor: Optimizer, @unchecked Sendable {
  public let beta2Decay: Double
  /// Added to squared gradients.
  public let epsilon1: Double
  /// A weight counts as no smaller than this.
  public let epsilon2: Double
  /// What the root mean square of a step is cut to.
  public let clipThreshold: Double
  /// The learning rate is at most 1 / √step.
  public let relativeStep: Bool

  public required init(config: [String: ConfigValue]) {
    beta2Decay = config["beta_2_decay"]?.double ?? -0.8
    epsilon1 = config["epsilon_1"]?.double ?? 1e-30
    epsilon2 = config["epsilon_2"]?.double ?? 1e-3
    clipThreshold = config["clip_threshold"]?.double ?? 1
    relativeStep = config["relative_step"]?.bool ?? true
    super.init(config: config)
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.001, beta2Decay: Double = -0.8, epsilon1: Double = 1e-30,
    epsilon2: Double = 1e-3, clipThreshold: Double = 1, relativeStep: Bool = true,
    weightDecay: Double? = nil, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil, useEMA: Bool = false, emaMomentum: Double = 0.99,
    emaOverwriteFrequency: Int? = nil, lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [], name: String = "adafactor"
  ) {
    var config = OptimizerOptions.config(
      learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm, clipValue: clipValue,
      globalClipNorm: globalClipNorm, useEMA: useEMA, emaMomentum: emaMomentum,
      emaOverwriteFrequency: emaOverwriteFrequency, lossScaleFactor: lossScaleFactor,
      gradientAccumulationSteps: gradientAccumulationSteps, excludeFromWeightDecay: excludeFromWeightDecay,
      name: name)
    config["beta_2_decay"] = .number(beta2Decay)
    config["epsilon_1"] = .number(epsilon1)
    config["epsilon_2"] = .number(epsilon2)
    config["clip_threshold"] = .number(clipThreshold)
    config["relative_step"] = .bool(relativeStep)
    self.init(config: config)
  }

  public override var className: String { "Adafactor" }

  override func slotGroups(for weight: Weight) -> [[Slot]] {
    var (rows, columns) = (weight.shape.dimensions, weight.shape.dimensions)
    guard rows.count >= 2 else {
      // Keras keeps two numbers that it never uses.
      let unused = Slot("unused", shape: [], dtype: .int32)
      return [[unused, unused, Slot("velocity")]]
    }
    rows.removeLast()
    columns.remove(at: columns.count - 2)
    return [[Slot("rows", shape: Shape(rows)), Slot("columns", shape: Shape(columns)), Slot("velocity")]]
  }

  public override func prepare(step: Tensor, learningRate: Tensor) -> [Tensor] {
    [learningRate.minimum(step.rsqrt()), 1 - step.power(beta2Decay)]
  }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    let (rate, decay) = (step.prepared[0], step.prepared[1])
    let size = parameter.squared().mean().sqrt().maximum(epsilon2) * rate
    let squares = gradient.squared() + epsilon1
    func moved(_ old: Tensor, _ new: Tensor) -> Tensor { old * decay + new * (1 - decay) }
    if parameter.rank >= 2 {
      slots[0] = moved(slots[0], squares.mean(axes: [-1]))
      slots[1] = moved(slots[1], squares.mean(axes: [-2]))
      let share = slots[0] / slots[0].mean(axes: [-1], keepDims: true)
      slots[2] = share.expanded(axis: -1) * slots[1].expanded(axis: -2)
    } else {
      slots[2] = moved(slots[2], squares)
    }
    let move = gradient / slots[2].sqrt()
    let excess = (move.squared().mean().sqrt() / clipThreshold).maximum(1)
    return parameter - move / excess * size
  }
}
