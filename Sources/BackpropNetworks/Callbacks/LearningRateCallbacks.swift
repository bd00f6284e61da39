import BackpropTensors

/// Sets the learning rate where an epoch begins. Keras' `LearningRateScheduler`.
///
/// ```swift
/// LearningRateScheduler { epoch, rate in epoch < 10 ? rate : rate * 0.9 }
/// ```
public final class LearningRateScheduler: Callback, @unchecked Sendable {
  private let schedule: @Sendable (_ epoch: Int, _ rate: Double) -> Double

  /// - Parameter schedule: gets the epoch, counted from 0, and the rate so far; gives the new rate.
  public init(_ schedule: @escaping @Sendable (_ epoch: Int, _ rate: Double) -> Double) {
    self.schedule = schedule
  }

  public override var observesBatches: Bool { false }

  public override func onEpochBegin(_ epoch: Int) throws {
    let optimizer = try optimizerWithRate("LearningRateScheduler")
    let rate = schedule(epoch, optimizer.learningRate)
    guard rate.isFinite, rate >= 0 else {
      throw ModelError(
        .argument, "LearningRateScheduler: expected a rate of at least 0 for epoch \(epoch), got \(rate)")
    }
    optimizer.learningRate = rate
  }
}

/// Lowers the learning rate when a number stops getting better. Keras' `ReduceLROnPlateau`.
///
/// ```swift
/// ReduceLROnPlateau(factor: 0.5, patience: 3)
/// ```
public final class ReduceLROnPlateau: Callback, @unchecked Sendable {
  private let monitor: Monitor
  private let factor: Double
  private let patience: Int
  private let cooldown: Int
  private let minLR: Double

  private var wait = 0
  private var best: Double?
  private var cooldownCounter = 0

  /// - Parameters:
  ///   - monitor: a name in the logs.
  ///   - factor: what the rate is multiplied by, below 1.
  ///   - patience: epochs without getting better before the rate is lowered.
  ///   - minDelta: less than this isn't better.
  ///   - cooldown: epochs after a reduction that aren't counted.
  ///   - minLR: the rate doesn't go below it.
  public init(
    monitor: String = "val_loss", factor: Double = 0.1, patience: Int = 10, mode: EarlyStopping.Mode = .auto,
    minDelta: Double = 1e-4, cooldown: Int = 0, minLR: Double = 0
  ) {
    self.monitor = Monitor(monitor, mode: mode, minDelta: minDelta)
    self.factor = factor
    self.patience = patience
    self.cooldown = cooldown
    self.minLR = minLR
  }

  public override var observesBatches: Bool { false }

  public override func onTrainBegin() throws {
    guard (0..<1).contains(factor) else {
      throw ModelError(.argument, "ReduceLROnPlateau: the factor must be in 0..<1, got \(factor)")
    }
    _ = try optimizerWithRate("ReduceLROnPlateau")
    (wait, best, cooldownCounter) = (0, nil, 0)
  }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {
    // Where training was stopped inside the epoch there is no validation.
    if isInsideEpoch { return }
    let value = try monitor.value(in: logs, for: "ReduceLROnPlateau")
    if cooldownCounter > 0 {
      cooldownCounter -= 1
      wait = 0
    }
    if best.map({ monitor.isBetter(value, than: $0) }) ?? true {
      best = value
      wait = 0
    } else if cooldownCounter == 0 {
      wait += 1
      guard wait >= patience else { return }
      let optimizer = try optimizerWithRate("ReduceLROnPlateau")
      let rate = optimizer.learningRate
      // In float32, as the optimizer holds it.
      guard rate > Double(Float(minLR)) else { return }
      optimizer.learningRate = max(rate * factor, minLR)
      cooldownCounter = cooldown
      wait = 0
    }
  }

  public override func saveState() -> CallbackState {
    CallbackState(values: [
      "wait": .integer(wait), "cooldown": .integer(cooldownCounter),
      "best": best.map { .number($0) } ?? .null,
    ])
  }

  public override func restoreState(_ state: CallbackState) {
    wait = state.values["wait"]?.int ?? 0
    cooldownCounter = state.values["cooldown"]?.int ?? 0
    best = state.values["best"]?.double
  }
}

extension Callback {
  /// The optimizer, where its rate can be set.
  fileprivate func optimizerWithRate(_ callback: String) throws -> Optimizer {
    guard let optimizer = model?.optimizer else {
      throw ModelError(.order, "\(callback) needs a compiled model")
    }
    if let schedule = optimizer.schedule {
      throw ModelError(
        .argument,
        "\(callback): the schedule \(schedule.className) decides the learning rate; compile with a number instead"
      )
    }
    return optimizer
  }
}
