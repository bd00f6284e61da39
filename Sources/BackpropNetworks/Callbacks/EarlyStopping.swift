import BackpropTensors

/// Ends training when a number stops getting better. Keras' `EarlyStopping`.
///
/// ```swift
/// try model.fit(x, y, epochs: 100, callbacks: [EarlyStopping(patience: 3, restoreBestWeights: true)],
///   validationSplit: 0.1)
/// ```
public final class EarlyStopping: Callback, @unchecked Sendable {
  public enum Mode: Sendable { case auto, min, max }

  private let monitor: Monitor
  private let patience: Int
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
  ///   - mode: whether smaller or larger is better; `auto` takes accuracies and the like for the larger, all else
  ///     for the smaller.
  ///   - baseline: values that aren't better than this count as not better.
  ///   - restoreBestWeights: training ends with the weights of the best epoch, also when it wasn't stopped.
  ///   - startFromEpoch: epochs before this one aren't looked at.
  public init(
    monitor: String = "val_loss", minDelta: Double = 0, patience: Int = 0, mode: Mode = .auto,
    baseline: Double? = nil, restoreBestWeights: Bool = false, startFromEpoch: Int = 0
  ) {
    self.monitor = Monitor(monitor, mode: mode, minDelta: minDelta)
    self.patience = patience
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

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {
    // Where training was stopped inside the epoch there is no validation.
    guard let model, epoch >= startFromEpoch, !model.stopTraining else { return }
    let value = try monitor.value(in: logs, for: "EarlyStopping")
    if restoresBestWeights, bestWeights == nil { bestWeights = model.getWeights() }
    wait += 1
    if best.map({ monitor.isBetter(value, than: $0) }) ?? true {
      best = value
      bestEpoch = epoch
      if restoresBestWeights { bestWeights = model.getWeights() }
      if baseline.map({ monitor.isBetter(value, than: $0) }) ?? true { wait = 0 }
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

  public override func saveState() -> CallbackState {
    var values: [String: ConfigValue] = ["wait": .integer(wait), "best_epoch": .integer(bestEpoch)]
    if let best { values["best"] = .number(best) }
    if let stoppedEpoch { values["stopped_epoch"] = .integer(stoppedEpoch) }
    let weights = (bestWeights ?? []).enumerated().map { ("\($0.offset)", $0.element) }
    return CallbackState(values: values, tensors: Dictionary(uniqueKeysWithValues: weights))
  }

  public override func restoreState(_ state: CallbackState) {
    wait = state.values["wait"]?.int ?? 0
    best = state.values["best"]?.double
    bestEpoch = state.values["best_epoch"]?.int ?? 0
    stoppedEpoch = state.values["stopped_epoch"]?.int
    let weights = (0..<state.tensors.count).compactMap { state.tensors["\($0)"] }
    bestWeights = weights.isEmpty ? nil : weights
  }
}
