import Backprop
import Foundation
import Testing

@testable import BackpropCLI

/// What takes minutes; run by `scripts/test --long`.
@Suite(
  "Kills and resumes by the hundred", .serialized,
  .enabled(if: ProcessInfo.processInfo.environment["BACKPROP_LONG"] != nil))
struct LongTests {
  /// How often, so that it can be run in pieces.
  private static func count(_ name: String, _ usual: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap(Int.init) ?? usual
  }

  // MARK: Kills

  /// 3.4 million parameters with Adam's state: 40 MB after every step. An epoch is one step, so that the line that tells
  /// of it says which checkpoints were written to the end.
  private static func large(_ data: String) -> [String] {
    [
      "--data", data, "--validation-split", "0", "--batch-size", "64", "--hidden", "1750,1850", "--threads",
      "2",
      "--epochs", "1000000", "--checkpoint", "run", "--checkpoint-steps", "1", "--resume", "--log", "json",
    ]
  }

  /// 64 rows of 64 numbers and a class.
  private static var table: String {
    let rows: [String] = (0..<64).map { row in
      let numbers: [Int] = (0..<64).map { (row * 37 + $0 * $0 * 11) % 17 }
      return (numbers + [row % 10]).map(String.init).joined(separator: ",")
    }
    return rows.joined(separator: "\n")
  }

  /// A checkpoint that was there after a kill; its 40 MB are told by their sum, or 200 of them would fill the memory.
  private struct Found {
    var callbacks: [String: CallbackState]
    var sha256: String
  }

  /// The sha256 of what a run that nobody kills has to save after the same steps. A run is determined by its arguments,
  /// so this is what each of those checkpoints must be, to the bit.
  private static func uninterrupted(_ arguments: [String], _ found: [Int: Found], in folder: TemporaryFolder)
    throws -> [Int: String]
  {
    let command = try #require(try Invocation(TrainCommand.self, arguments).command as? TrainCommand)
    let threads = Threads.count
    defer { Threads.count = threads }
    command.training.applyThreads()
    let data = try command.data.load(command.csv, command.images)
    let parts = try TrainingParts(data, split: command.training.validationSplit, seed: command.training.seed)
    let task = try LearningTask(command.network.task, for: data)
    let model = try command.network.makeModel(data.sampleShape, for: task, seed: command.training.seed)
    try model.compile(optimizer: try command.training.makeOptimizer(), loss: task.loss, metrics: task.metrics)
    let taker = Taker(found, folder)
    #expect(throws: Taker.Done.self) {
      try model.fit(
        parts.train.inputs, parts.train.labels, epochs: command.training.epochs,
        batchSize: command.training.batchSize, verbose: .silent, callbacks: [taker])
    }
    return taker.sha256
  }

  /// Saves the states after some steps, ends after the last of them.
  private final class Taker: Callback, @unchecked Sendable {
    struct Done: Error {}
    private let found: [Int: Found]
    private let last: Int
    private let file: String
    private(set) var sha256: [Int: String] = [:]

    init(_ found: [Int: Found], _ folder: TemporaryFolder) {
      self.found = found
      last = found.keys.max() ?? 0
      file = folder.url.appendingPathComponent("expected.safetensors").path
    }

    override var savesTrainingState: Bool { true }

    override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) throws {
      guard var state = captureTrainingState() else { return }
      if let others = found[state.stepCount]?.callbacks {
        // The program's callbacks are others. Those that this run hasn't have nothing to remember, but their names are in
        // the file.
        let mine = state.callbacks
        state.callbacks = others.mapValues { _ in CallbackState() }
        for (name, memory) in mine where others[name] != nil { state.callbacks[name] = memory }
        try state.save(file)
        sha256[state.stepCount] = try BackpropCLITests.sha256(of: file)
      }
      if state.stepCount >= last { throw Done() }
    }
  }

  @Test(
    "kill -9 at 200 random moments while checkpointing 40 MB every step: each loads, and is the save before or after"
  )
  func kills() throws {
    let folder = try TemporaryFolder()
    let arguments = Self.large(try folder.write(Self.table, to: "rows.csv"))
    let run = folder.url.appendingPathComponent("run")
    let file = run.appendingPathComponent("training.safetensors").path
    var random = SystemRandomNumberGenerator()
    let kills = Self.count("BACKPROP_KILLS", 200)
    var found: [Int: Found] = [:]
    var leftOver: Set<String> = []
    var (step, loaded, neighbours, before, torn, most) = (0, 0, 0, 0, 0, 0)
    let begin = ContinuousClock.now
    for kill in 0..<kills {
      let program = try Program(["train"] + arguments, in: folder)
      // The first time until there is one; then so long that several saves, or a part of one, take place.
      if kill == 0 {
        #expect(program.wait { _ in FileManager.default.fileExists(atPath: file) })
      }
      usleep(UInt32.random(in: 300_000...1_200_000, using: &random))
      program.send(SIGKILL)
      let result = try program.finish()
      #expect(result.status == 128 + SIGKILL, "\(result.errors)")
      let temporary = Set(try FileManager.default.contentsOfDirectory(atPath: run.path))
        .subtracting(["training.safetensors"])
      #expect(temporary.count <= 1, "\(temporary)")
      most = max(most, temporary.count)
      if !temporary.isEmpty { torn += 1 }
      do {
        let state = try TrainingState.load(file)
        loaded += 1
        // What was told of before the kill was saved; after it, one more save may have come to its end.
        let told = try result.objects().last?["epoch"] as? Int
        let saved = max(step, told ?? 0)
        if saved...saved + 1 ~= state.stepCount {
          neighbours += 1
          if state.stepCount == saved { before += 1 }
          // A save has come to its end since the last kill: what that left must be gone.
          if state.stepCount > step { #expect(leftOver.isDisjoint(with: temporary), "\(temporary)") }
        } else {
          Issue.record("after \(saved) saves the checkpoint is that of step \(state.stepCount)")
        }
        (step, leftOver) = (state.stepCount, temporary)
        let digest = try sha256(of: file)
        #expect(found[step].map { $0.sha256 == digest } ?? true, "step \(step) was saved twice, differently")
        found[step] = Found(callbacks: state.callbacks.mapValues { _ in CallbackState() }, sha256: digest)
      } catch { Issue.record("kill \(kill): \(error)") }
    }
    let size = (try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int) ?? 0

    // Nothing is left after the next save.
    let program = try Program(["train"] + arguments, in: folder)
    #expect(program.wait { ($0.outputSoFar.split(separator: "\n").count) >= 2 })
    program.send(SIGTERM)
    #expect(try program.finish().status == 128 + SIGTERM)
    #expect(try FileManager.default.contentsOfDirectory(atPath: run.path) == ["training.safetensors"])

    let expected = try Self.uninterrupted(arguments, found, in: folder)
    let same = found.filter { expected[$0.key] == $0.value.sha256 }.count
    print(
      "kills: \(loaded) of \(kills) checkpoints of \(size / 1_000_000) MB load; \(neighbours) are the save before the "
        + "kill (\(before)) or the one after (\(neighbours - before)); \(same) of \(found.count) different ones, up to step \(step), have the sha256 of a run "
        + "without kills; \(torn) kills left a temporary file, none more than \(most); "
        + "\((ContinuousClock.now - begin).components.seconds / 60) min")
    #expect(loaded == kills && neighbours == kills && same == found.count)
    // A test that never hits a save tests nothing.
    #expect(torn * 10 > kills)
  }

  // MARK: Resumes

  /// A network with all that has a memory: random layers, dropout, Adam under a schedule.
  private static func augmenting(_ path: String) throws {
    let model = Sequential(seed: 3) {
      Input([8, 8, 1])
      RandomTranslation(0.1, 0.1, fillMode: "constant")
      RandomRotation(0.05)
      GaussianNoise(0.5)
      Conv2D(6, kernelSize: 3, activation: .relu)
      Flatten()
      Dropout(0.3)
      Dense(32, activation: .relu)
      Dropout(0.2, seed: 11)
      Dense(10, activation: .softmax)
    }
    let schedule = LearningRateSchedule.cosineDecay(
      0.02, decaySteps: 300, warmupTarget: 0.03, warmupSteps: 20)
    try model.compile(
      optimizer: Adam(learningRate: schedule), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
    try model.save(path)
  }

  @Test(
    "runs that are killed at 20 points, and each once more, end as one that wasn't: the same sha256",
    arguments: ["1", "2"])
  func resumes(threads: String) throws {
    let folder = try TemporaryFolder()
    func path(_ name: String) -> String { folder.url.appendingPathComponent(name).path }
    func checkpoint(_ name: String) -> String { path("\(name)/training.safetensors") }
    try Self.augmenting(path("start.keras"))
    let epochs = 30
    func arguments(_ name: String) -> [String] {
      [
        "train", "--start", path("start.keras"), "--epochs", "\(epochs)", "--patience", "2",
        "--validation-split", "0.1", "--threads", threads, "--log", "quiet", "--checkpoint", path(name),
        "--checkpoint-steps", "1", "--resume", "--output", path("\(name).keras"),
      ]
    }
    #expect(try backprop(arguments("whole")).status == 0)
    let end = try TrainingState.load(checkpoint("whole"))
    #expect(end.isFinished && end.position.epoch < epochs, "it was to stop early: \(end.position)")
    let expected = try sha256(of: checkpoint("whole"))
    let perEpoch = end.stepCount / end.position.epoch

    var random = SystemRandomNumberGenerator()
    let runs = Self.count("BACKPROP_RESUMES", 20)
    var (same, points, inside) = (0, [Int](), 0)
    for number in 0..<runs {
      let name = "\(number)"
      let targets = (0..<2).map { _ in Int.random(in: 1..<end.stepCount, using: &random) }.sorted()
      for target in targets {
        let program = try Program(arguments(name), in: folder)
        let isThere = program.wait { _ in
          (try? TrainingState.load(checkpoint(name))).map { $0.stepCount >= target } ?? false
        }
        #expect(isThere)
        program.send(SIGKILL)
        _ = try program.finish()
        let state = try TrainingState.load(checkpoint(name))
        points.append(state.stepCount)
        if 1..<perEpoch ~= state.position.step { inside += 1 }
      }
      let last = try backprop(arguments(name))
      #expect(last.status == 0 && last.errors == "", "\(last.errors)")
      let isSame = try sha256(of: checkpoint(name)) == expected
      #expect(isSame, "killed at steps \(points.suffix(2))")
      // The file also says when it was written; its tensors are all the rest.
      let models = try backprop(["inspect", path("whole.keras"), path("\(name).keras")])
      #expect(models.status == 0, "killed at steps \(points.suffix(2)): \(models.output)")
      if isSame && models.status == 0 { same += 1 }
    }
    print(
      "resumes on \(threads) thread(s): \(same) of \(runs) runs end with the sha256 of the run without kills "
        + "(\(end.stepCount) steps, stopped early in epoch \(end.position.epoch)); killed after steps "
        + "\(points.sorted()), \(inside) of \(points.count) inside an epoch")
    #expect(same == runs && inside > 0)
  }
}
