import BackpropTensors

/// The schedules that Keras doesn't have. In a file they are objects of Backprop's: Keras names the class it misses.
extension LearningRateSchedule {
  func linearWarmup(_ t: Tensor) -> Tensor {
    let (initial, target) = (number("initial_learning_rate"), number("target_learning_rate"))
    let steps = number("warmup_steps")
    let after =
      LearningRateSchedule(value("after")).map { $0((t - steps).maximum(0)) } ?? Tensor(Float(target))
    guard steps > 0 else { return after }
    return Tensor.select(t .< steps, t * ((target - initial) / steps) + initial, after)
  }

  func noam(_ t: Tensor) -> Tensor {
    let step = t + 1
    let slope = 1 / (number("warmup_steps") * number("warmup_steps").squareRoot())
    return step.rsqrt().minimum(step * slope) * (number("factor") / number("model_size").squareRoot())
  }

  func oneCycle(_ t: Tensor) -> Tensor {
    let highest = number("max_learning_rate")
    let total = number("total_steps")
    let initial = highest / number("initial_divisor")
    let final = initial / number("final_divisor")
    let peak = number("warmup_share") * total - 1
    var phases = [(end: peak, from: initial, to: highest)]
    if value("three_phases").bool == true { phases.append((2 * peak, highest, initial)) }
    phases.append((total - 1, phases[phases.count - 1].to, final))

    let isCosine = value("annealing").text != "linear"
    let step = t.minimum(total - 1)
    var rate = Tensor(Float(final))
    for (number, phase) in phases.enumerated().reversed() {
      let start = number == 0 ? 0 : phases[number - 1].end
      let share = (step - start) / (phase.end - start)
      // From the end, so that a small last rate isn't the difference of large ones.
      let rest = isCosine ? ((share * Double.pi).cos() + 1) * 0.5 : 1 - share
      let inPhase = rest * (phase.from - phase.to) + phase.to
      let isLast = number == phases.count - 1
      rate = isLast ? inPhase : Tensor.select(step .<= phase.end, inPhase, rate)
    }
    return rate
  }

  /// How ``oneCycle(_:totalSteps:warmupShare:annealing:initialDivisor:finalDivisor:threePhases:file:line:)`` goes from one
  /// rate to the next.
  public enum Annealing: String, Sendable {
    case cosine = "cos"
    case linear
  }
}

extension LearningRateConvertible where Self == LearningRateSchedule {
  /// From `initial` to `target` along a line in `steps`, then `after`, whose steps count from there, or `target` for
  /// good (Goyal et al., 2017).
  public static func linearWarmup(
    to target: Double, steps: Int, from initial: Double = 0, after: LearningRateSchedule? = nil
  ) -> LearningRateSchedule {
    let config: [String: ConfigValue] = [
      "initial_learning_rate": .number(initial), "target_learning_rate": .number(target),
      "warmup_steps": .integer(steps), "after": after?.configValue ?? .null,
    ]
    return LearningRateSchedule(.linearWarmup, config)
  }

  /// `factor` · `modelSize`^−½ · min(step^−½, step · `warmupSteps`^−3⁄2), steps counting from 1 (Vaswani et al., 2017).
  public static func noam(
    modelSize: Int, warmupSteps: Int = 4000, factor: Double = 1, file: StaticString = #fileID,
    line: UInt = #line
  ) -> LearningRateSchedule {
    require(
      modelSize > 0 && warmupSteps > 0,
      "noam: expected a positive model size and number of steps, got \(modelSize) and \(warmupSteps)",
      file: file, line: line)
    let config: [String: ConfigValue] = [
      "model_size": .integer(modelSize), "warmup_steps": .integer(warmupSteps), "factor": .number(factor),
    ]
    return LearningRateSchedule(.noam, config)
  }

  /// Up to `highest` and down to almost nothing in `totalSteps` (Smith and Topin, 2017), with PyTorch's defaults.
  ///
  /// - Parameters:
  ///   - warmupShare: the share of the steps in which the rate rises.
  ///   - initialDivisor: the first rate is `highest` over this, the last that over `finalDivisor`.
  ///   - threePhases: go back to the first rate in as many steps as it took to rise, then on to the last.
  public static func oneCycle(
    _ highest: Double, totalSteps: Int, warmupShare: Double = 0.3,
    annealing: LearningRateSchedule.Annealing = .cosine,
    initialDivisor: Double = 25, finalDivisor: Double = 1e4, threePhases: Bool = false,
    file: StaticString = #fileID, line: UInt = #line
  ) -> LearningRateSchedule {
    require(
      totalSteps > 0 && warmupShare > 0 && warmupShare < (threePhases ? 0.5 : 1),
      "oneCycle: expected steps and a share of them to rise in, got \(totalSteps) and \(warmupShare)",
      file: file,
      line: line)
    let config: [String: ConfigValue] = [
      "max_learning_rate": .number(highest), "total_steps": .integer(totalSteps),
      "warmup_share": .number(warmupShare), "annealing": .string(annealing.rawValue),
      "initial_divisor": .number(initialDivisor), "final_divisor": .number(finalDivisor),
      "three_phases": .bool(threePhases),
    ]
    return LearningRateSchedule(.oneCycle, config)
  }
}
