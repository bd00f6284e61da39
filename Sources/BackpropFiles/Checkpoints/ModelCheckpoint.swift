import BackpropData
import BackpropNetworks

/// Saves the model while it trains. Keras' `ModelCheckpoint`.
///
/// ```swift
/// let best = ModelCheckpoint("best.keras", monitor: "val_accuracy", saveBestOnly: true)
/// let all = ModelCheckpoint("runs/{epoch:03d}-{val_loss:.2f}.keras", keepLast: 5)
/// ```
///
/// The end of the path says what is written: `.keras` the model, `.weights.h5`, `.npz` its weights, and `.safetensors` a
/// checkpoint to go on from by `fit(resumeFrom:)`. In the path `{epoch}` (from 1), `{batch}` and the names of the logs
/// stand for their values, with Python's formats for numbers (`{epoch:03d}`, `{loss:.4f}`).
public final class ModelCheckpoint: Callback, @unchecked Sendable {
  private let path: PathTemplate
  private let monitor: Monitor
  private let saveBestOnly: Bool
  private let saveFrequency: SaveFrequency
  private let keepLast: Int?
  private var best: Double?
  /// Files that were written, the oldest first.
  public private(set) var paths: [String] = []

  /// - Parameters:
  ///   - monitor: a name in the logs, for `saveBestOnly`.
  ///   - saveBestOnly: write only when the monitored number got better.
  ///   - mode: whether smaller or larger is better.
  ///   - saveFrequency: when to write.
  ///   - initialValueThreshold: the first value must be better than this.
  ///   - keepLast: remove all but so many of the files written by this callback.
  public init(
    _ path: String, monitor: String = "val_loss", saveBestOnly: Bool = false,
    mode: EarlyStopping.Mode = .auto,
    saveFrequency: SaveFrequency = .epoch, initialValueThreshold: Double? = nil, keepLast: Int? = nil
  ) {
    self.path = PathTemplate(path)
    self.monitor = Monitor(monitor, mode: mode)
    self.saveBestOnly = saveBestOnly
    self.saveFrequency = saveFrequency
    self.keepLast = keepLast
    best = initialValueThreshold
  }

  public override var savesTrainingState: Bool { true }
  public override var observesBatches: Bool { if case .steps = saveFrequency { true } else { false } }

  public override func onTrainBegin() throws {
    try saveFrequency.check("ModelCheckpoint")
    if let keepLast, keepLast < 1 {
      throw ModelError(.argument, "ModelCheckpoint: keepLast must be positive, got \(keepLast)")
    }
    _ = try Form(path.text)
    let folder = String(path.folder)
    if !folder.isEmpty, !folder.contains("{") { try AtomicFile.makeFolder(folder, for: "checkpoints") }
  }

  public override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) throws {
    guard let state = captureTrainingState(), saveFrequency.fits(stepCount: state.stepCount) else { return }
    try save(logs(), epoch: state.position.epoch, batch: batch, at: "step \(state.stepCount)")
  }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {
    guard !isInsideEpoch, saveFrequency.fits(epoch: epoch) else { return }
    try save(logs, epoch: epoch, batch: nil, at: "epoch \(epoch + 1)")
  }

  private func save(_ logs: Logs, epoch: Int, batch: Int?, at moment: String) throws {
    guard let model else { return }
    if saveBestOnly {
      let value = try monitor.value(in: logs, for: "ModelCheckpoint")
      if let best, !monitor.isBetter(value, than: best) { return }
      best = value
    }
    let target = try path.filled(logs, epoch: epoch, batch: batch)
    switch try Form(target) {
    case .model: try model.save(target)
    case .weights: try model.saveWeights(target)
    case .state: try captureTrainingState()?.save(target)
    }
    paths.removeAll { $0 == target }
    paths.append(target)
    guard let keepLast else { return }
    while paths.count > keepLast {
      let old = paths.removeFirst()
      try AtomicFile.remove(old, "the oldest of \(keepLast + 1) checkpoints")
    }
  }

  private enum Form {
    case model, weights, state

    init(_ path: String) throws {
      switch WeightFormat(path: path) {
      case .safetensors: self = .state
      case .keras, .npz: self = .weights
      case nil:
        try KerasFile.checkName(path)
        self = .model
      }
    }
  }

  public override func saveState() -> CallbackState {
    CallbackState(values: [
      "best": best.map { .number($0) } ?? .null, "paths": .array(paths.map { .string($0) }),
    ])
  }

  public override func restoreState(_ state: CallbackState) {
    best = state.values["best"]?.double
    paths = state.values["paths"]?.elements?.compactMap(\.text) ?? []
  }
}
