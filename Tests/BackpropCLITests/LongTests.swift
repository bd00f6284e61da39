import Foundation
import Testing

@testable import BackpropCLI

/// What takes minutes; run by `scripts/test --long`.
@Suite(
  "Kills and resumes by the hundred", .serialized,
  .enabled(if: ProcessInfo.processInfo.environment["BACKPROP_LONG"] != nil))
struct LongTests {
  /// 3.3 million parameters with Adam's state: 40 MB, written after every step.
  static let large = [
    "train", "--hidden", "1700,1800", "--epochs", "1000000", "--checkpoint", "run", "--checkpoint-steps", "1",
    "--resume",
    "--log", "quiet",
  ]

  /// So that it can be run in pieces.
  private static func count(_ name: String, _ usual: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap(Int.init) ?? usual
  }

  @Test("kill -9 at 200 random moments while checkpointing 40 MB every step: 200 of 200 load")
  func kills() throws {
    let folder = try TemporaryFolder()
    let run = folder.url.appendingPathComponent("run")
    let file = run.appendingPathComponent("training.safetensors").path
    var random = SystemRandomNumberGenerator()
    var loaded = 0
    var mostFiles = 0
    let kills = Self.count("BACKPROP_KILLS", 200)
    for kill in 0..<kills {
      let program = try Program(Self.large, in: folder)
      // The first time until there is one; then so long that several saves, or a part of one, take place.
      if kill == 0 { #expect(program.wait { _ in FileManager.default.fileExists(atPath: file) }) }
      usleep(UInt32.random(in: 300_000...1_500_000, using: &random))
      program.send(SIGKILL)
      _ = try program.finish()
      let names = try FileManager.default.contentsOfDirectory(atPath: run.path)
      mostFiles = max(mostFiles, names.count)
      #expect(names.count <= 2, "\(names)")
      let inspected = try backprop(["inspect", file, "--log", "quiet"])
      #expect(inspected.status == 0, "\(inspected.errors)")
      if inspected.status == 0 { loaded += 1 }
    }
    let size = (try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int) ?? 0
    print(
      "kills: \(loaded) of \(kills) checkpoints of \(size / 1_000_000) MB load; at most \(mostFiles - 1) temporary files"
    )
    #expect(loaded == kills)
    // Nothing is left after the next save.
    let program = try Program(Self.large, in: folder)
    let before = try FileManager.default.attributesOfItem(atPath: file)[.modificationDate] as? Date
    #expect(
      program.wait { _ in
        let now = try? FileManager.default.attributesOfItem(atPath: file)[.modificationDate] as? Date
        return now != before
      })
    program.send(SIGTERM)
    #expect(try program.finish().status == 143)
    #expect(try FileManager.default.contentsOfDirectory(atPath: run.path) == ["training.safetensors"])
  }

  @Test("20 runs that are killed at random moments end with the same bits", arguments: ["1", "2"])
  func resumes(threads: String) throws {
    let folder = try TemporaryFolder()
    func path(_ name: String) -> String { folder.url.appendingPathComponent(name).path }
    let options = [
      "train", "--hidden", "64,32", "--dropout", "0.2", "--epochs", "12", "--patience", "11",
      "--validation-split", "0.1",
      "--threads", threads, "--log", "quiet",
    ]
    #expect(try backprop(options + ["--output", path("whole.keras")]).status == 0)
    var random = SystemRandomNumberGenerator()
    for number in 0..<Self.count("BACKPROP_RESUMES", 20) {
      let arguments =
        options + [
          "--checkpoint", path("run\(number)"), "--checkpoint-steps", "1", "--resume", "--output",
          path("\(number).keras"),
        ]
      for _ in 0..<2 {
        let program = try Program(arguments, in: folder)
        usleep(UInt32.random(in: 30_000...600_000, using: &random))
        program.send(SIGKILL)
        _ = try program.finish()
      }
      #expect(try backprop(arguments).status == 0)
      let found = try backprop(["inspect", path("whole.keras"), path("\(number).keras")])
      #expect(found.status == 0, "\(found.output)")
    }
  }
}
