import BackpropTensors

/// Ends training when a number stops getting better. Keras' `EarlyStopping`.
///
/// ```swift
/// try model.fit(x, y, epochs: 100, callbacks: [EarlyStopping(patience: 3, restoreBestWeights: true)],
///   validationSplit: 0.1)
/// ```
public final class EarlyStopping: Callback, @unchecked Sendable {
  public enum Mode: Sendable { case auto, min, max }

  private let monitor: String
  private let minDelta: Double
  private let patience: Int
  private let mode: Mode
  private let baseline: Double?
  private let restoresBestWeights: Bool
  private let startFromEpoch: Int

  private var wait = 0
  private var best: Double?
  private var bestWeights: [Tensor]?
  /// The epoch of the best value, counted from 0.
  public private(set) var bestEpoch = 0
  /// The epoch after which training was stopped; nil when it wasn't.
  public private(set) var stoppedEpoch: Int?

  /// - Parameters:
  ///   - monitor: a name in the logs.
  ///   - minDelta: less than this isn't better.
  ///   - patience: epochs without getting better before it stops.
  ///   - mode: whether smaller or larger is better; `auto` takes accuracies for the larger, all else for the smaller.
  ///   - baseline: values that aren't better than this count as not better.
  ///   - restoreBestWeights: training ends with the weights of the best epoch, also when it wasn't stopped.
  ///   - startFromEpoch: epochs before this one aren't looked at.
  public init(
    monitor: String = "val_loss", minDelta: Double = 0, patience: Int = 0, mode: Mode = .auto,
    baseline: Double? = nil, restoreBestWeights: Bool = false, startFromEpoch: Int = 0
  ) {
    self.monitor = monitor
    self.minDelta = abs(minDelta)
    self.patience = patience
    self.mode = mode
    self.baseline = baseline
    restoresBestWeights = restoreBestWeights
    self.startFromEpoch = startFromEpoch
  }

  public override var observesBatches: Bool { false }

  public override func onTrainBegin() {
    wait = 0
    best = nil
    bestWeights = nil
    bestEpoch = 0
    stoppedEpoch = nil
  }

  private func isBetter(_ value: Double, than other: Double) -> Bool {
    let wantsLarger =
      mode == .max || (mode == .auto && (monitor.hasSuffix("accuracy") || monitor.hasSuffix("acc")))
    return wantsLarger ? value - minDelta > other : value + minDelta < other
  }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {
    // Where training was stopped inside the epoch there is no validation.
    guard let model, epoch >= startFromEpoch, !model.stopTraining else { return }
    guard let value = logs[monitor] else {
      let hint = monitor.hasPrefix("val_") ? "; fit with validationData or validationSplit" : ""
      let names = logs.names.joined(separator: ", ")
      throw ModelError(.argument, "EarlyStopping: there is no '\(monitor)' among \(names)\(hint)")
    }
    if restoresBestWeights, bestWeights == nil { bestWeights = model.getWeights() }
    wait += 1
    if best.map({ isBetter(value, than: $0) }) ?? true {
      best = value
      bestEpoch = epoch
      if restoresBestWeights { bestWeights = model.getWeights() }
      if baseline.map({ isBetter(value, than: $0) }) ?? true { wait = 0 }
      return
    }
    if wait >= patience, epoch > 0 {
      stoppedEpoch = epoch
      model.stopTraining = true
    }
  }

  public override func onTrainEnd(_ logs: Logs) throws {
    guard restoresBestWeights, let bestWeights else { return }
    try model?.setWeights(bestWeights)
  }
}
