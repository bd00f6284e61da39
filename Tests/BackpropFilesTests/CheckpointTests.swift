import BackpropNetworks
import BackpropTensors
import Foundation
import Synchronization
import Testing

@testable import BackpropFiles

@Suite("Checkpoints", .serialized)
struct CheckpointTests {
  private static let inputs = counting([50, 6], .float32) / 60
  private static let labels = Tensor((0..<50).map { Int32($0 * 7 % 3) })
  private static let epochs = 4
  private static let batchSize = 8
  private static let stepsPerEpoch = 7

  struct Stop: Error {}

  /// Ends `fit` after a step, as a kill would: by throwing.
  final class Killer: Callback, @unchecked Sendable {
    private let step: Int
    private var count = 0
    init(after step: Int) { self.step = step }
    // After the checkpoint of the same step.
    override var savesTrainingState: Bool { true }
    override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) throws {
      count += 1
      if count == step { throw Stop() }
    }
  }

  static func model() throws -> Sequential {
    let model = Sequential(seed: 5) {
      Dense(12, activation: .relu)
      Dropout(0.3)
      Dense(8, activation: .tanh)
      Dropout(0.2, seed: 11)
      Dense(3, activation: .softmax)
    }
    try model.compile(
      optimizer: Adam(
        learningRate: LearningRateSchedule.cosineDecay(0.02, decaySteps: 30), clipNorm: 1, useEMA: true),
      loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
    return model
  }

  /// Data as rows in memory or as batches.
  static func fit(_ model: Sequential, stream: Bool, _ callbacks: [Callback]) throws -> History {
    let stopping = EarlyStopping(patience: 3, restoreBestWeights: true)
    let validation = LabelledData(inputs, labels)
    if stream {
      let data = LabelledData(inputs, labels).batched(batchSize, shuffledWith: 5)
      return try model.fit(
        data, epochs: epochs, verbose: .silent, callbacks: [stopping] + callbacks, validationData: validation)
    }
    return try model.fit(
      inputs, labels, epochs: epochs, batchSize: batchSize, verbose: .silent,
      callbacks: [stopping] + callbacks,
      validationData: validation)
  }

  static func expectSame(_ a: Sequential, _ b: Sequential, _ x: History, _ y: History) {
    KerasFileTests.expectIdentical(a.getWeights(), b.getWeights(), "weight")
    KerasFileTests.expectIdentical(KerasFileTests.state(a), KerasFileTests.state(b), "state")
    #expect(x.epochs == y.epochs && x.values == y.values, "\(x.values) \(y.values)")
  }

  @Test(
    "a run that is killed after any step and started again ends as one that wasn't, bit for bit",
    arguments: [false, true])
  func resume(stream: Bool) throws {
    let reference = try Self.model()
    let history = try Self.fit(reference, stream: stream, [])
    for step in [1, 2, 6, 7, 8, 13, 14, 20, 21, 27] {
      let folder = try TemporaryFolder()
      let killed = try Self.model()
      #expect(throws: Stop.self) {
        _ = try Self.fit(
          killed, stream: stream,
          [BackupAndRestore(folder.path, saveFrequency: .steps(1)), Killer(after: step)])
      }
      let saved = try TrainingState.load(BackupAndRestore.path(in: folder.path))
      #expect(saved.stepCount == step && saved.position.step == (step - 1) % Self.stepsPerEpoch + 1)
      let resumed = try Self.model()
      // Tests beside this one may change the thread count meanwhile, so nothing is said of warnings.
      let backup = BackupAndRestore(folder.path) { _ in }
      let again = try Self.fit(resumed, stream: stream, [backup])
      Self.expectSame(resumed, reference, again, history)
      #expect(folder.names == [], "the checkpoint goes with the end of training")
    }
  }

  @Test("a run that a signal interrupts writes where it is; resumeFrom goes on from there")
  func interrupted() throws {
    let reference = try Self.model()
    let history = try Self.fit(reference, stream: false, [])
    for step in [3, 7, 9] {
      let folder = try TemporaryFolder()
      let model = try Self.model()
      let count = Mutex(0)
      let signal = LambdaCallback(onTrainBatchEnd: { [weak model] _, _ in
        if count.withLock({
          $0 += 1; return $0
        }) == step {
          model?.interruptTraining()
        }
      })
      _ = try Self.fit(model, stream: false, [BackupAndRestore(folder.path), signal])
      #expect(folder.names == ["training.safetensors"])
      let resumed = try Self.model()
      let again = try resumed.fit(
        Self.inputs, Self.labels, epochs: Self.epochs, batchSize: Self.batchSize, verbose: .silent,
        callbacks: [EarlyStopping(patience: 3, restoreBestWeights: true)],
        validationData: LabelledData(Self.inputs, Self.labels),
        resumeFrom: BackupAndRestore.path(in: folder.path))
      Self.expectSame(resumed, reference, again, history)
    }
  }

  @Test("a run that is over stays over, and more epochs go on from its end")
  func finished() throws {
    let folder = try TemporaryFolder()
    func run(_ epochs: Int, stopping: Bool = false) throws -> (Sequential, History) {
      let model = try Self.model()
      let stop: [Callback] = stopping ? [EarlyStopping(monitor: "loss", minDelta: 100, patience: 1)] : []
      let history = try model.fit(
        Self.inputs, Self.labels, epochs: epochs, batchSize: Self.batchSize, verbose: .silent,
        callbacks: stop + [BackupAndRestore(folder.path, deleteCheckpoint: false)])
      return (model, history)
    }
    let (three, _) = try run(3)
    let (same, _) = try run(3)
    KerasFileTests.expectIdentical(same.getWeights(), three.getWeights(), "weight")
    let (five, history) = try run(5)
    try FileManager.default.removeItem(atPath: BackupAndRestore.path(in: folder.path))
    let (whole, other) = try run(5)
    Self.expectSame(five, whole, history, other)

    try FileManager.default.removeItem(atPath: BackupAndRestore.path(in: folder.path))
    let (_, stopped) = try run(9, stopping: true)
    #expect(stopped.epochs == [0, 1])
    #expect(try TrainingState.load(BackupAndRestore.path(in: folder.path)).isFinished)
    #expect(try run(9, stopping: true).1.epochs == [0, 1])
  }

  @Test("another machine is told, other data or another model refused")
  func misfits() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/c.safetensors"
    var state: TrainingState?
    let taker = Taker { state = $0 }
    _ = try Self.fit(try Self.model(), stream: false, [taker])
    var saved = try #require(state)
    saved.machine = TrainingState.Machine(threads: 77, instructionSet: "other")
    try saved.save(path)
    let here = TrainingState.Machine.current
    let words = try #require(try TrainingState.load(path).difference(from: here))
    #expect(
      words.contains("(77 threads there, \(here.threads) thread")
        && words.contains(" here; other there, \(here.instructionSet) here)"),
      "\(words)")
    #expect(saved.difference(from: saved.machine) == nil)

    func message(_ model: Sequential, batchSize: Int = 8, shuffle: Bool = true, rows: Int = 50) -> String {
      do {
        _ = try model.fit(
          counting([rows, 6], .float32) / 60, Tensor((0..<rows).map { Int32($0 * 7 % 3) }), epochs: 4,
          batchSize: batchSize, verbose: .silent, shuffle: shuffle, resumeFrom: path)
        return "no error"
      } catch { return "\(error)" }
    }
    #expect(message(try Self.model(), batchSize: 9).contains("made with batchSize 8, this fit has 9"))
    #expect(message(try Self.model(), shuffle: false).contains("made with shuffle true, this fit has false"))
    #expect(message(try Self.model(), rows: 51).contains("made with training rows 50, this fit has 51"))
    let other = Sequential(seed: 5) {
      Dense(12); Dense(3, activation: .softmax)
    }
    try other.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    #expect(message(other).contains("'weights/dense_1.kernel' is float32[12, 8], that of the model"))
    let seeded = Sequential(seed: 6) { Dense(3) }
    try seeded.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    #expect(message(seeded).contains("made with model seed 5, this fit has 6"))
    let text = BackpropFilesTests.message { _ = try TrainingState.load(fixture("tensors.safetensors")) }
    #expect(text.contains("expected a checkpoint, found tensors without 'backprop.training'"), "\(text)")
  }

  /// Takes the state after the third step.
  final class Taker: Callback, @unchecked Sendable {
    private let take: (TrainingState) -> Void
    init(_ take: @escaping (TrainingState) -> Void) { self.take = take }
    override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) {
      if let state = captureTrainingState(), state.stepCount == 3 { take(state) }
    }
  }

  @Test("what ModelCheckpoint writes, and when")
  func modelCheckpoint() throws {
    let folder = try TemporaryFolder()
    func run(_ callback: ModelCheckpoint, epochs: Int = 4) throws -> History {
      try Self.model().fit(
        Self.inputs, Self.labels, epochs: epochs, batchSize: Self.batchSize, verbose: .silent,
        callbacks: [callback],
        validationData: LabelledData(Self.inputs, Self.labels))
    }
    let history = try run(ModelCheckpoint(folder.path + "/{epoch:02d}-{val_loss:.3f}.keras", keepLast: 2))
    let expected = [2, 3].map { String(format: "%02d-%.3f.keras", $0 + 1, history["val_loss"][$0]) }
    #expect(folder.names == expected, "\(folder.names)")
    for name in folder.names { _ = try Sequential.load("\(folder.path)/\(name)") }

    let sub = folder.path + "/made"
    _ = try run(ModelCheckpoint(sub + "/{epoch}-{batch}.safetensors", saveFrequency: .steps(10)))
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: sub).sorted() == [
        "2-3.safetensors", "3-6.safetensors",
      ])
    #expect(try TrainingState.load(sub + "/2-3.safetensors").position == .init(epoch: 1, step: 3))

    let best = ModelCheckpoint(
      folder.path + "/best.weights.h5", monitor: "val_accuracy", saveBestOnly: true, initialValueThreshold: 2)
    _ = try run(best)
    #expect(best.paths == [])
    let worst = ModelCheckpoint(folder.path + "/{epoch}.npz", monitor: "loss", saveBestOnly: true, mode: .max)
    let logs = try run(worst)
    #expect(
      worst.paths.count == logs["loss"].indices.filter { logs["loss"][$0] == logs["loss"][...$0].max() }.count
    )

    for (path, words) in [
      ("{epoch", "expected '}' after"),
      ("{wrong}.keras", "there is no 'wrong' among epoch, batch, loss, accuracy"),
      ("{epoch:x}.keras", "unknown format 'x' of 'epoch'"),
      ("{loss:d}.keras", "unknown format 'd' of 'loss'"),
      ("a.txt", "expected a name that ends in .keras"),
    ] {
      #expect(throws: (any Error).self) { _ = try run(ModelCheckpoint("\(folder.path)/\(path)"), epochs: 1) }
      do { _ = try run(ModelCheckpoint("\(folder.path)/\(path)"), epochs: 1) } catch {
        #expect("\(error)".contains(words) || path == "{epoch", "\(error)")
      }
    }
  }

  @Test("no damage to a checkpoint makes the reader trap")
  func damage() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/c.safetensors"
    let model = Sequential { Dense(1) }
    try model.compile(optimizer: SGD(), loss: .meanSquaredError)
    _ = try model.fit(
      Tensor.ones([4, 1]), Tensor.ones([4, 1]), verbose: .silent,
      callbacks: [BackupAndRestore(folder.path, deleteCheckpoint: false)])
    let bytes = try bytes(of: BackupAndRestore.path(in: folder.path))
    var count = 0
    forEachDamaged(bytes) { copy in
      count += 1
      guard count % 7 == 0 else { return }
      try? Data(copy).write(to: URL(fileURLWithPath: path))
      if let state = try? TrainingState.load(path) {
        // What loads can also be tried.
        let other = Sequential { Dense(1) }
        try? other.compile(optimizer: SGD(), loss: .meanSquaredError)
        _ = try? other.fit(
          Tensor.ones([4, 1]), Tensor.ones([4, 1]), epochs: 1, verbose: .silent,
          callbacks: [EarlyStopping(monitor: "loss")],
          resumeFrom: state)
      }
    }
  }
}
