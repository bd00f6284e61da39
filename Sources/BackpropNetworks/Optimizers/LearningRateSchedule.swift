import BackpropTensors

/// A learning rate that depends on the step.
///
/// ```swift
/// Adam(learningRate: .cosineDecay(0.001, decaySteps: 10_000, warmupTarget: 0.01, warmupSteps: 500))
/// ```
public struct LearningRateSchedule: KerasForm {
  public enum Kind: String, CaseIterable, Sendable {
    case exponentialDecay = "ExponentialDecay"
    case piecewiseConstantDecay = "PiecewiseConstantDecay"
    case polynomialDecay = "PolynomialDecay"
    case inverseTimeDecay = "InverseTimeDecay"
    case cosineDecay = "CosineDecay"
    case cosineDecayRestarts = "CosineDecayRestarts"
    case linearWarmup = "LinearWarmup"
    case noam = "Noam"
    case oneCycle = "OneCycle"

    /// Whether Keras has it, too.
    var isKeras: Bool {
      switch self {
      case .linearWarmup, .noam, .oneCycle: false
      default: true
      }
    }
  }

  public let className: String
  public let config: [String: ConfigValue]

  public init(className: String, config: [String: ConfigValue]) {
    self.className = className
    self.config = config
  }

  public static var module: String { "keras.optimizers.schedules" }
  public static var noun: String { "learning-rate schedule" }

  public static func defaults(of kind: Kind) -> [String: ConfigValue] {
    var config: [String: ConfigValue] =
      switch kind {
      case .exponentialDecay, .inverseTimeDecay: ["staircase": false]
      case .piecewiseConstantDecay: [:]
      case .polynomialDecay: ["end_learning_rate": 0.0001, "power": 1.0, "cycle": false]
      case .cosineDecay: ["alpha": 0.0, "warmup_target": nil, "warmup_steps": 0]
      case .cosineDecayRestarts: ["t_mul": 2.0, "m_mul": 1.0, "alpha": 0.0]
      case .linearWarmup: ["initial_learning_rate": 0.0, "after": nil]
      case .noam: ["warmup_steps": 4000, "factor": 1.0]
      case .oneCycle:
        [
          "warmup_share": 0.3, "annealing": "cos", "initial_divisor": 25.0, "final_divisor": 1e4,
          "three_phases": false,
        ]
      }
    config["name"] = .string(kind.rawValue)
    return config
  }

  /// The learning rate at `step`, a scalar that counts from 0: a float32 scalar.
  public func callAsFunction(_ step: Tensor) -> Tensor {
    let t = step.cast(to: .float32)
    switch kind {
    case .exponentialDecay:
      let rate = Tensor(Float(number("decay_rate")))
      return rate.power(progress(t)) * number("initial_learning_rate")
    case .inverseTimeDecay:
      return number("initial_learning_rate") / (progress(t) * number("decay_rate") + 1)
    case .piecewiseConstantDecay: return piecewise(t)
    case .polynomialDecay: return polynomial(t)
    case .cosineDecay: return cosine(t)
    case .cosineDecayRestarts: return cosineRestarts(t)
    case .linearWarmup: return linearWarmup(t)
    case .noam: return noam(t)
    case .oneCycle: return oneCycle(t)
    }
  }

  private func progress(_ t: Tensor) -> Tensor {
    let p = t / number("decay_steps")
    return value("staircase").bool == true ? p.floor() : p
  }

  private func piecewise(_ t: Tensor) -> Tensor {
    let boundaries = value("boundaries").elements?.compactMap(\.double) ?? []
    let values = value("values").elements?.compactMap(\.double) ?? []
    var rate = Tensor(Float(values.last ?? 0))
    for (boundary, value) in zip(boundaries, values).reversed() {
      rate = Tensor.select(t .<= boundary, Tensor(Float(value)), rate)
    }
    return rate
  }

  private func polynomial(_ t: Tensor) -> Tensor {
    let steps = number("decay_steps")
    let (initial, end) = (number("initial_learning_rate"), number("end_learning_rate"))
    let p: Tensor
    if value("cycle").bool == true {
      // After each `decay_steps` the period grows by as much.
      let multiplier = Tensor.select(t .== 0, Tensor(1 as Float), (t / steps).ceil())
      p = t / (multiplier * steps)
    } else {
      p = t.minimum(steps) / steps
    }
    return (1 - p).power(number("power")) * (initial - end) + end
  }

  private func cosine(_ t: Tensor) -> Tensor {
    let steps = number("decay_steps")
    let initial = number("initial_learning_rate")
    guard let target = value("warmup_target").double else {
      return cosineDecay(t.minimum(steps) / steps, initial)
    }
    let warmup = number("warmup_steps")
    let t = t.minimum(steps + warmup)
    let decayed = cosineDecay((t - warmup) / steps, target)
    guard warmup > 0 else { return decayed }
    return Tensor.select(t .< warmup, t / warmup * (target - initial) + initial, decayed)
  }

  private func cosineDecay(_ completed: Tensor, _ start: Double) -> Tensor {
    let alpha = number("alpha")
    let cosine = ((completed * Double.pi).cos() + 1) * 0.5
    return (cosine * (1 - alpha) + alpha) * start
  }

  private func cosineRestarts(_ t: Tensor) -> Tensor {
    let (growth, shrink) = (number("t_mul"), number("m_mul"))
    var completed = t / number("first_decay_steps")
    let restarts: Tensor
    if growth == 1 {
      restarts = completed.floor()
      completed = completed - restarts
    } else {
      let base = Tensor(Float(growth))
      restarts = ((1 - completed * (1 - growth)).log() / base.log()).floor()
      let passed = (1 - base.power(restarts)) / (1 - growth)
      completed = (completed - passed) / base.power(restarts)
    }
    let factor = Tensor(Float(shrink)).power(restarts)
    let cosine = factor * 0.5 * ((completed * Double.pi).cos() + 1)
    let alpha = number("alpha")
    return (cosine * (1 - alpha) + alpha) * number("initial_learning_rate")
  }
}

// Of the protocol, so that `.cosineDecay(…)` can stand where a number could, too.
extension LearningRateConvertible where Self == LearningRateSchedule {
  /// `initial` · `decayRate`^(step / `decaySteps`); with `staircase` the exponent is a whole number.
  public static func exponentialDecay(
    _ initial: Double, decaySteps: Int, decayRate: Double, staircase: Bool = false
  ) -> LearningRateSchedule {
    let config: [String: ConfigValue] = [
      "initial_learning_rate": .number(initial), "decay_steps": .integer(decaySteps),
      "decay_rate": .number(decayRate),
      "staircase": .bool(staircase),
    ]
    return LearningRateSchedule(.exponentialDecay, config)
  }

  /// `values[i]` up to and including step `boundaries[i]`, the last value after that.
  public static func piecewiseConstantDecay(
    boundaries: [Int], values: [Double], file: StaticString = #fileID, line: UInt = #line
  ) -> LearningRateSchedule {
    require(
      values.count == boundaries.count + 1 && !boundaries.isEmpty,
      "piecewiseConstantDecay: \(boundaries.count) boundaries need \(boundaries.count + 1) values, got \(values.count)",
      file: file, line: line)
    let config: [String: ConfigValue] = [
      "boundaries": .array(boundaries.map { .integer($0) }), "values": .array(values.map { .number($0) }),
    ]
    return LearningRateSchedule(.piecewiseConstantDecay, config)
  }

  /// From `initial` to `end` in `decaySteps`, along (1 − step / `decaySteps`)^`power`.
  public static func polynomialDecay(
    _ initial: Double, decaySteps: Int, endLearningRate end: Double = 0.0001, power: Double = 1,
    cycle: Bool = false
  ) -> LearningRateSchedule {
    let config: [String: ConfigValue] = [
      "initial_learning_rate": .number(initial), "decay_steps": .integer(decaySteps),
      "end_learning_rate": .number(end), "power": .number(power), "cycle": .bool(cycle),
    ]
    return LearningRateSchedule(.polynomialDecay, config)
  }

  /// `initial` / (1 + `decayRate` · step / `decaySteps`)
  public static func inverseTimeDecay(
    _ initial: Double, decaySteps: Int, decayRate: Double, staircase: Bool = false
  ) -> LearningRateSchedule {
    let config: [String: ConfigValue] = [
      "initial_learning_rate": .number(initial), "decay_steps": .integer(decaySteps),
      "decay_rate": .number(decayRate),
      "staircase": .bool(staircase),
    ]
    return LearningRateSchedule(.inverseTimeDecay, config)
  }

  /// Half a cosine from `initial` (after a linear warm-up from there: from `warmupTarget`) down to `alpha` of it
  /// (Loshchilov and Hutter, 2016).
  public static func cosineDecay(
    _ initial: Double, decaySteps: Int, alpha: Double = 0, warmupTarget: Double? = nil, warmupSteps: Int = 0
  ) -> LearningRateSchedule {
    let config: [String: ConfigValue] = [
      "initial_learning_rate": .number(initial), "decay_steps": .integer(decaySteps), "alpha": .number(alpha),
      "warmup_target": warmupTarget.config, "warmup_steps": .integer(warmupSteps),
    ]
    return LearningRateSchedule(.cosineDecay, config)
  }

  /// Cosines one after the other, each `periodGrowth` times as long and `scaleGrowth` times as high as the one before.
  public static func cosineDecayRestarts(
    _ initial: Double, firstDecaySteps: Int, periodGrowth: Double = 2, scaleGrowth: Double = 1,
    alpha: Double = 0
  ) -> LearningRateSchedule {
    let config: [String: ConfigValue] = [
      "initial_learning_rate": .number(initial), "first_decay_steps": .integer(firstDecaySteps),
      "t_mul": .number(periodGrowth), "m_mul": .number(scaleGrowth), "alpha": .number(alpha),
    ]
    return LearningRateSchedule(.cosineDecayRestarts, config)
  }
}
