import Backprop
import Foundation
import Synchronization
import Testing

@testable import BackpropNetworks

private func compiledNetwork() throws -> Sequential {
  let model = network()
  try model.compile(
    optimizer: Adam(learningRate: 0.01), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
  return model
}

private final class Recorder: Callback, @unchecked Sendable {
  var events: [String] = []
  override func onTrainBegin() { events.append("train") }
  override func onEpochBegin(_ epoch: Int) { events.append("epoch \(epoch)") }
  override func onTrainBatchBegin(_ batch: Int) { events.append("batch \(batch)") }
  override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) {
    events.append("done \(batch) \(logs().names)")
  }
  override func onTestBegin() { events.append("test") }
  override func onTestEnd(_ logs: Logs) { events.append("tested") }
  override func onEpochEnd(_ epoch: Int, _ logs: Logs) { events.append("end \(logs.names)") }
  override func onTrainEnd(_ logs: Logs) { events.append("over") }
}

@Suite("Callbacks", .serialized) struct CallbackTests {
  @Test("hooks come in Keras' order")
  func order() throws {
    let recorder = Recorder()
    try compiledNetwork().fit(
      clouds(40), epochs: 1, batchSize: 32, verbose: .silent, callbacks: [recorder], validationData: clouds(8)
    )
    #expect(
      recorder.events == [
        "train", "epoch 0", "batch 0", #"done 0 ["loss", "accuracy"]"#, "batch 1",
        #"done 1 ["loss", "accuracy"]"#,
        "test", "tested", #"end ["loss", "accuracy", "val_loss", "val_accuracy"]"#, "over",
      ])
  }

  @Test("stopTraining ends after the current step and still reports")
  func stopping() throws {
    let model = try compiledNetwork()
    let stopper = LambdaCallback(onTrainBatchEnd: { [weak model] batch, _ in
      if batch == 2 { model?.stopTraining = true }
    })
    let history = try model.fit(clouds(320), epochs: 4, verbose: .silent, callbacks: [stopper])
    #expect(model.optimizer?.iterations == 3)
    #expect(history["loss"].count == 1)
  }

  @Test("what a hook throws ends fit")
  func throwing() throws {
    struct Enough: Error {}
    let model = try compiledNetwork()
    #expect(throws: Enough.self) {
      try model.fit(
        clouds(32), epochs: 4, verbose: .silent,
        callbacks: [LambdaCallback(onEpochEnd: { _, _ in throw Enough() })])
    }
    #expect(model.optimizer?.iterations == 1)
  }

  @Test(
    "EarlyStopping stops and gives the best weights back, also when patience never ran out",
    arguments: [2, 100])
  func earlyStopping(_ patience: Int) throws {
    let model = try compiledNetwork()
    let early = EarlyStopping(monitor: "score", patience: patience, mode: .min, restoreBestWeights: true)
    let kept = Mutex<[[Float]]>([])
    let scores = [5.0, 4, 3, 6, 7, 8, 9]
    final class Score: Callback, @unchecked Sendable {
      let early: EarlyStopping, scores: [Double], note: @Sendable ([Float]) -> Void
      init(_ early: EarlyStopping, _ scores: [Double], _ note: @escaping @Sendable ([Float]) -> Void) {
        (self.early, self.scores, self.note) = (early, scores, note)
      }
      override func onTrainBegin() throws { early.model = model; early.onTrainBegin() }
      override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {
        note(model!.getWeights()[0].floats)
        var logs = logs
        logs["score"] = scores[epoch]
        try early.onEpochEnd(epoch, logs)
      }
      override func onTrainEnd(_ logs: Logs) throws { try early.onTrainEnd(logs) }
    }
    let score = Score(early, scores) { floats in kept.withLock { $0.append(floats) } }
    try model.fit(clouds(64), epochs: 7, verbose: .silent, callbacks: [score])
    let weights = kept.withLock { $0 }
    #expect(weights.count == (patience == 2 ? 5 : 7))
    #expect(early.bestEpoch == 2)
    #expect(early.stoppedEpoch == (patience == 2 ? 4 : nil))
    #expect(model.getWeights()[0].floats == weights[2])
  }

  @Test("without a terminal there is one plain line an epoch")
  func lines() throws {
    let text = Mutex("")
    let bar = ProgressBar(isBar: false) { part in text.withLock { $0 += part } }
    try compiledNetwork().fit(clouds(64), epochs: 2, verbose: .silent, callbacks: [bar])
    let lines = text.withLock { $0 }.split(separator: "\n")
    #expect(lines.count == 2)
    #expect(
      lines[0].hasPrefix("Epoch 1/2 - ") && lines[0].contains(" - loss: ")
        && lines[0].contains(" - accuracy: "))
    #expect(!text.withLock { $0 }.contains("\r"))
  }

  #if os(Linux)
    @Test("what can't be written to standard output is no reason to end training")
    func fullDisk() async {
      await #expect(processExitsWith: .success) {
        dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO)
        let model = try compiledNetwork()
        try model.fit(clouds(64), epochs: 1, verbose: .lines)
        try model.fit(clouds(64), epochs: 1, verbose: .bar)
      }
    }
  #endif

  @Test("on a terminal the bar rewrites its line and ends full")
  func bar() throws {
    let text = Mutex("")
    let bar = ProgressBar(isBar: true) { part in text.withLock { $0 += part } }
    try compiledNetwork().fit(clouds(64), epochs: 1, verbose: .silent, callbacks: [bar])
    let shown = text.withLock { $0 }
    #expect(shown.hasPrefix("Epoch 1/1\n\r2/2 ━━━━━━━━━━━━━━━━━━━━ "))
    #expect(shown.hasSuffix("\n"))
  }
}
