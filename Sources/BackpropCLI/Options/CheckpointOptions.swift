import Backprop

/// Keeping a run, and going on with it.
struct CheckpointOptions: ParameterGroup {
  static let title = "Checkpoints"

  @Option(
    "checkpoint", "DIR", "keep a checkpoint of the run in this folder, which is made when it isn't there")
  var folder: String? = nil

  @Option(
    "checkpoint-steps", "N", "write the checkpoint after every N steps, not only after epochs",
    must: .positive)
  var steps: Int? = nil

  @Flag("resume", "go on from the checkpoint in DIR; where there is none yet, begin")
  var resume

  func validate() throws {
    guard folder == nil else { return }
    if resume { throw UsageError("--resume goes on from a checkpoint; name its folder with --checkpoint") }
    if steps != nil {
      throw UsageError("--checkpoint-steps goes with a checkpoint; name its folder with --checkpoint")
    }
  }

  /// - Throws: ``CommandError`` where a run would be lost.
  func makeCallback() throws -> BackupAndRestore? {
    guard let folder else { return nil }
    let path = BackupAndRestore.path(in: folder)
    if !resume, try AtomicFile.exists(path) {
      throw CommandError(
        "\(path) is the checkpoint of another run; go on from it with --resume, or remove it")
    }
    return BackupAndRestore(
      folder, saveFrequency: steps.map { .steps($0) } ?? .epoch, deleteCheckpoint: false, restore: resume
    ) { StandardError.writeLine("\(CommandLineTool.name): warning: \($0)") }
  }
}
