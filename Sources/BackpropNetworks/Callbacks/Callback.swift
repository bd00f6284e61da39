import BackpropTensors

/// Names and values at one moment of training, in order: `loss`, metrics, then those of the validation data as
/// `val_loss` and so on.
public struct Logs: Sendable, Sequence {
  public private(set) var entries: [(name: String, value: Double)] = []

  public init() {}

  public subscript(name: String) -> Double? {
    get { entries.first { $0.name == name }?.value }
    set {
      if let position = entries.firstIndex(where: { $0.name == name }) {
        if let newValue { entries[position].value = newValue } else { entries.remove(at: position) }
      } else if let newValue {
        entries.append((name, newValue))
      }
    }
  }

  public var names: [String] { entries.map(\.name) }
  public func makeIterator() -> IndexingIterator<[(name: String, value: Double)]> { entries.makeIterator() }
}

/// What `fit` tells while it works. Subclass it and override what you want to hear.
///
/// ```swift
/// final class Halving: Callback, @unchecked Sendable {
///   override func onEpochEnd(_ epoch: Int, _ logs: Logs) { model?.optimizer?.learningRate /= 2 }
/// }
/// ```
///
/// Called on the thread of `fit`; what a hook throws ends `fit` and is thrown by it. Set `model?.stopTraining = true` to
/// end after the current step.
open class Callback: @unchecked Sendable {
  /// The model, from `fit`'s begin to its end.
  public internal(set) weak var model: Model?
  /// What `fit` was asked to do.
  public internal(set) var parameters = TrainingParameters()

  var progress: TrainingProgress?

  public init() {}

  /// Where training stands now, to go on from by `fit(resumeFrom:)`; nil outside of `fit`. Other callbacks' states are
  /// those of this moment: see ``savesTrainingState``.
  public final func captureTrainingState() -> TrainingState? { progress?.state() }

  /// Whether training was stopped inside the epoch that ``onEpochEnd(_:_:)`` is called for.
  public var isInsideEpoch: Bool { progress?.isInsideEpoch ?? false }

  /// Whether the callback takes ``captureTrainingState()``. Those that do are called after the others, so that the others'
  /// memory of the moment is complete.
  open var savesTrainingState: Bool { false }

  /// What must be remembered for a resumed run to be the same run.
  open func saveState() -> CallbackState { CallbackState() }

  /// Gets back what ``saveState()`` gave, after ``onTrainBegin()``.
  open func restoreState(_ state: CallbackState) throws {}

  /// Whether the hooks of single batches are called. False saves a call for each step.
  open var observesBatches: Bool { true }

  open func onTrainBegin() throws {}
  open func onTrainEnd(_ logs: Logs) throws {}
  /// Epochs and batches count from 0.
  open func onEpochBegin(_ epoch: Int) throws {}
  open func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {}
  open func onTrainBatchBegin(_ batch: Int) throws {}
  /// - Parameter logs: loss and metrics of the epoch so far; reads them when called.
  open func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) throws {}
  open func onTestBegin() throws {}
  open func onTestEnd(_ logs: Logs) throws {}
  open func onTestBatchBegin(_ batch: Int) throws {}
  open func onTestBatchEnd(_ batch: Int, _ logs: () -> Logs) throws {}
  open func onPredictBegin() throws {}
  open func onPredictEnd() throws {}
  open func onPredictBatchBegin(_ batch: Int) throws {}
  open func onPredictBatchEnd(_ batch: Int) throws {}
}

/// What `fit` was asked to do.
public struct TrainingParameters: Sendable {
  public var epochs = 0
  /// Steps of an epoch, nil where only running through it would tell.
  public var steps: Int?
  /// Where a resumed run goes on; nil for one that begins.
  public var resumedFrom: TrainingState.Position?
}

/// What training looked like, epoch by epoch.
///
/// ```swift
/// let history = try model.fit(x, y, epochs: 3)
/// history["loss"]      // three numbers
/// ```
public final class History: Callback, @unchecked Sendable {
  /// The epochs, counted from 0.
  public private(set) var epochs: [Int] = []
  /// One value an epoch for each name.
  public private(set) var values: [String: [Double]] = [:]

  public override var observesBatches: Bool { false }

  public subscript(name: String) -> [Double] { values[name] ?? [] }

  public override func onTrainBegin() {
    epochs = []
    values = [:]
  }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) {
    epochs.append(epoch)
    for (name, value) in logs { values[name, default: []].append(value) }
  }

  public override func saveState() -> CallbackState {
    let series = values.mapValues { ConfigValue.array($0.map { .number($0) }) }
    return CallbackState(values: ["epochs": .array(epochs.map { .integer($0) }), "values": .object(series)])
  }

  public override func restoreState(_ state: CallbackState) {
    epochs = state.values["epochs"]?.elements?.compactMap(\.int) ?? []
    guard case .object(let series)? = state.values["values"] else { return }
    values = series.mapValues { $0.elements?.compactMap(\.double) ?? [] }
  }
}
