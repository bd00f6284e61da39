import Backprop
import Foundation
import Testing

@testable import BackpropCLI

@Suite("Runs that go on after they were ended", .serialized)
struct CheckpointCommandTests {
  static let options = [
    "train", "--hidden", "16", "--dropout", "0.2", "--epochs", "6", "--patience", "5", "--validation-split",
    "0.1",
    "--log", "quiet",
  ]

  /// What `inspect` finds different between two models.
  static func differences(_ a: String, _ b: String) throws -> String {
    try backprop(["inspect", a, b]).output
  }

  @Test(
    "SIGTERM and SIGINT: the step is finished, the checkpoint written, the same command goes on",
    arguments: [SIGTERM, SIGINT])
  func signals(_ number: Int32) throws {
    let folder = try TemporaryFolder()
    func path(_ name: String) -> String { folder.url.appendingPathComponent(name).path }
    #expect(try backprop(Self.options + ["--output", path("whole.keras")]).status == 0)
    let arguments =
      Self.options + ["--checkpoint", path("run"), "--resume", "--output", path("resumed.keras")]
    // More epochs than it needs, so that the signal comes in time; the rest of the run is with as many as before.
    let program = try Program(
      arguments + ["--epochs", Program.many, "--patience", Program.many, "--checkpoint-steps", "1"],
      in: folder)
    #expect(program.wait { _ in FileManager.default.fileExists(atPath: path("run/training.safetensors")) })
    program.send(number)
    let result = try program.finish()
    #expect(result.status == 128 + number, "\(result.errors)")
    #expect(folder.names.contains("resumed.keras"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: path("run")) == ["training.safetensors"])
  }

  @Test(
    "kill -9 at random moments: whatever there is loads, and the run ends with the same bits",
    arguments: ["1", "2"])
  func kills(threads: String) throws {
    let folder = try TemporaryFolder()
    func path(_ name: String) -> String { folder.url.appendingPathComponent(name).path }
    let options = Self.options + ["--threads", threads]
    #expect(try backprop(options + ["--output", path("whole.keras")]).status == 0)
    let arguments =
      options + [
        "--checkpoint", path("run"), "--checkpoint-steps", "1", "--resume", "--output", path("resumed.keras"),
      ]
    var random = SystemRandomNumberGenerator()
    for _ in 0..<8 {
      let program = try Program(arguments, in: folder)
      usleep(UInt32.random(in: 50_000...400_000, using: &random))
      program.send(SIGKILL)
      _ = try program.finish()
      let names = (try? FileManager.default.contentsOfDirectory(atPath: path("run"))) ?? []
      #expect(names.count <= 2, "\(names)")
      guard names.contains("training.safetensors") else { continue }
      #expect(try backprop(["inspect", path("run/training.safetensors")]).status == 0)
    }
    let last = try backprop(arguments)
    #expect(last.status == 0, "\(last.errors)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: path("run")) == ["training.safetensors"])
    let words = try Self.differences(path("whole.keras"), path("resumed.keras"))
    #expect(words.contains("all the same bit for bit"), "\(words)")
  }

  @Test("going on with another number of threads, or on another processor, says so")
  func otherMachine() throws {
    let folder = try TemporaryFolder()
    let run = folder.url.appendingPathComponent("run").path
    func train(_ epochs: String, threads: String, _ difference: String?) throws {
      let result = try backprop([
        "train", "--log", "quiet", "--checkpoint", run, "--resume", "--epochs", epochs, "--threads", threads,
      ])
      let warning = difference.map {
        "backprop: warning: the checkpoint was made on another machine (\($0)): "
          + "training goes on, but may end with other bits than the run that it continues\n"
      }
      #expect(result.status == 0 && result.errors == warning ?? "", "\(result.errors)")
    }
    try train("1", threads: "1", nil)
    try train("2", threads: "1", nil)
    try train("3", threads: "2", "1 thread there, 2 threads here")
    var state = try TrainingState.load(BackupAndRestore.path(in: run))
    state.machine.instructionSet = "avx10"
    try state.save(BackupAndRestore.path(in: run))
    try train("4", threads: "2", "avx10 there, \(Threads.instructionSet) here")
    try train("5", threads: "2", nil)
  }

  @Test("a checkpoint isn't overwritten by a run that doesn't go on from it")
  func refused() throws {
    let folder = try TemporaryFolder()
    let run = folder.url.appendingPathComponent("run").path
    let arguments = ["train", "--epochs", "1", "--checkpoint", run]
    #expect(try backprop(arguments).status == 0)
    let again = try backprop(arguments)
    #expect(
      again.status == 1
        && again.errors.contains("is the checkpoint of another run; go on from it with --resume"))
    let resumed = try backprop(arguments + ["--resume", "--epochs", "2"])
    #expect(resumed.status == 0 && resumed.output.contains("resumed after epoch 1"), "\(resumed.output)")
    let other = try backprop(arguments + ["--resume", "--epochs", "3", "--hidden", "3"])
    #expect(
      other.status == 1 && other.errors.contains("the checkpoint's 'weights/dense.kernel' is"),
      "\(other.errors)")
    for (options, words) in [
      (["--resume"], "--resume goes on from a checkpoint"), (["--checkpoint-steps", "3"], "name its folder"),
    ] {
      let result = try backprop(["train"] + options)
      #expect(result.status == 2 && result.errors.contains(words), "\(result.errors)")
    }
  }
}
