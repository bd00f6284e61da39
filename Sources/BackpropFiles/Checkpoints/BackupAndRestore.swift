import BackpropData
import BackpropNetworks
import BackpropTensors

/// Keeps a checkpoint in a folder while `fit` works, and goes on from the one that is there: a run that is killed and
/// started again ends as if it had never been interrupted, bit for bit. Keras' `BackupAndRestore`, and more exact.
///
/// ```swift
/// try model.fit(x, y, epochs: 100, callbacks: [BackupAndRestore("run", saveFrequency: .steps(100))])
/// ```
///
/// Written after each epoch or every so many steps, and where training is interrupted (see `Model.interruptTraining()`).
/// The file appears whole or not at all: whenever the process dies, the folder holds a checkpoint that loads.
public final class BackupAndRestore: Callback, TrainingStateSource, @unchecked Sendable {
  /// Where the checkpoint lies.
  public let path: String
  private let folder: String
  private let saveFrequency: SaveFrequency
  private let deletesCheckpoint: Bool
  private let restores: Bool
  private let onWarning: (@Sendable (String) -> Void)?

  /// - Parameters:
  ///   - folder: made when it isn't there.
  ///   - deleteCheckpoint: remove it when training has come to its end.
  ///   - restore: go on from the checkpoint that is there; false: begin anew and replace it.
  ///   - onWarning: hears where going on will not give the same bits; standard error does without it.
  public init(
    _ folder: String, saveFrequency: SaveFrequency = .epoch, deleteCheckpoint: Bool = true,
    restore: Bool = true,
    onWarning: (@Sendable (String) -> Void)? = nil
  ) {
    self.folder = folder
    path = Self.path(in: folder)
    self.saveFrequency = saveFrequency
    deletesCheckpoint = deleteCheckpoint
    restores = restore
    self.onWarning = onWarning
  }

  /// Where such a callback keeps its checkpoint.
  public static func path(in folder: String) -> String { "\(folder)/training.safetensors" }

  public override var savesTrainingState: Bool { true }

  public func trainingState() throws -> TrainingState? {
    guard restores, try AtomicFile.exists(path) else { return nil }
    return try TrainingState.load(path)
  }

  public func warn(_ sentence: String) {
    if let onWarning {
      onWarning(sentence)
    } else {
      StandardStream.error.writeLine("warning: \(sentence)")
    }
  }

  public override func onTrainBegin() throws {
    try saveFrequency.check("BackupAndRestore")
    try AtomicFile.makeFolder(folder, for: "checkpoints")
    try AtomicFile.checkWritable(path)
  }

  public override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) throws {
    guard let model, let state = captureTrainingState() else { return }
    if saveFrequency.fits(stepCount: state.stepCount) || model.isInterrupted { try state.save(path) }
  }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {
    // What was interrupted inside the epoch was written after its last step.
    guard let model, !isInsideEpoch else { return }
    let isLast = model.stopTraining || epoch + 1 == parameters.epochs
    if saveFrequency.fits(epoch: epoch) || isLast { try captureTrainingState()?.save(path) }
  }

  public override func onTrainEnd(_ logs: Logs) throws {
    guard deletesCheckpoint, model?.isInterrupted == false else { return }
    try AtomicFile.remove(path, "the checkpoint of the finished training")
  }
}
