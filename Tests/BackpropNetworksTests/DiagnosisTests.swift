import Backprop
import Foundation
import Testing

@testable import BackpropNetworks

/// Where a number stopped being finite: the layer, the operation, the rows, the first bad tensor.
@Suite("A step that isn't finite is replayed", .serialized) struct DiagnosisTests {
  private static let rows = Tensor((0..<24).map { Float($0 % 7) / 7 }, shape: [12, 2])
  private static let ones = Tensor.ones([12, 1])

  /// What `fit` throws.
  private func error(_ body: () throws -> Void) throws -> TrainingError {
    do { try body() } catch let error as TrainingError { return error }
    throw TestFailure("nothing was thrown")
  }

  private struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ words: String) { description = words }
  }

  @Test("NaN in the data of a batch") func data() throws {
    let model = Sequential { Dense(1) }
    try model.compile(optimizer: SGD(), loss: .meanSquaredError)
    var values = Self.rows.floats
    values[9] = .nan
    values[20] = .infinity
    let batch = Batch(Tensor(values, shape: [12, 2]), Self.ones)
    let error = try error { try model.fit([batch], verbose: .silent) }
    #expect(error.rows == [4, 10])
    #expect(error.path == nil && error.operation == nil && error.step == 1)
    #expect(
      error.cause.hasPrefix(
        "nan in the data: input 0, rows 4, 10 of the batch (float32[12, 2]: 1 nan, 1 infinite, the others min 0, max 0.85"
      ), "\(error.cause)")
  }

  @Test("a weight that was set to NaN") func weights() throws {
    let model = Sequential {
      Dense(3, activation: .tanh, name: "first")
      Dense(1, name: "second")
    }
    try model.compile(optimizer: SGD(), loss: .meanSquaredError)
    try model.build(sampleShape: [2])
    var weights = model.getWeights()
    weights[2] = Tensor([1, .nan, 3] as [Float], shape: [3, 1])
    try model.setWeights(weights)
    let error = try error { try model.fit(Self.rows, Self.ones, verbose: .silent) }
    #expect(error.path == "sequential/second/kernel")
    #expect(
      error.cause.hasPrefix(
        "the weight held nan before the step: an earlier update made it (float32[3, 1]: 1 nan, 0 infinite, the others "
          + "min 1, max 3, mean 2)"), "\(error.cause)")
  }

  @Test("a learning rate that explodes: the layer and its operation", arguments: [false, true])
  func explosion(runsEagerly: Bool) throws {
    let model = Sequential(seed: 2) {
      Dense(8, activation: .relu, name: "first")
      Dense(8, activation: .relu, name: "second")
      Dense(1, name: "third")
    }
    try model.compile(
      optimizer: SGD(learningRate: 1e12), loss: .meanSquaredError, runEagerly: runsEagerly)
    let error = try error {
      try model.fit(Self.rows, Self.ones, epochs: 50, batchSize: 4, verbose: .silent, shuffle: false)
    }
    #expect(error.step > 1)
    #expect(error.epoch == (error.step + 2) / 3)
    // Which weight or layer overflows first is the machine's arithmetic; that it is one of them is not.
    let names = ["first", "second", "third"]
    let isLayer = names.contains { error.path?.hasPrefix("sequential/\($0)") ?? false }
    let isLoss = error.cause.contains("it began in the loss mean_squared_error")
    #expect(isLayer || isLoss, "\(error)")
    #expect(error.cause.contains("infinite"), "\(error)")
  }

  /// The square root of its input, whose slope at 0 is infinite.
  private final class Root: Layer, @unchecked Sendable {
    override func call(_ x: Tensor, _ context: CallContext) -> Tensor { x.sqrt() }
  }

  private static func rooted() -> Sequential {
    Sequential {
      Dense(3, kernelInitializer: .zeros, name: "before")
      Root(name: "root")
      Dense(1, kernelInitializer: .ones, name: "after")
    }
  }

  @Test(
    "only on the way back: stopped before the update, with the operation whose gradient it is",
    arguments: [false, true])
  func backward(runsEagerly: Bool) throws {
    let model = Self.rooted()
    try model.compile(optimizer: SGD(), loss: .meanSquaredError, runEagerly: runsEagerly)
    try model.build(sampleShape: [2])
    let before = model.getWeights().map(\.floats)
    let guardian = TerminateOnNaN()
    try model.fit(Self.rows, Self.ones, batchSize: 4, verbose: .silent, callbacks: [guardian], shuffle: false)
    let error = try #require(guardian.error)
    #expect(error.loss.isFinite && error.step == 1)
    #expect(error.path == "sequential/root")
    #expect(error.operation == "sqrt")
    #expect(error.rows == [0, 1, 2, 3])
    #expect(
      "\(error)".hasPrefix("a gradient isn't finite at step 1 (epoch 1); sequential/root: the first "),
      "\(error)")
    #expect(error.cause.contains("in the gradient of sqrt, rows 0, 1, 2, 3 of the batch: float32[4, 3]: "))
    #expect(error.cause.contains("the gradient of sequential/before/"))
    #expect(model.getWeights().map(\.floats) == before)
    #expect(model.optimizer?.iterations == 0)
  }

  @Test("without TerminateOnNaN the next step says which weight it reached, and what stops before")
  func unwatched() throws {
    let model = Self.rooted()
    try model.compile(optimizer: SGD(), loss: .meanSquaredError)
    let error = try error {
      try model.fit(Self.rows, Self.ones, epochs: 2, batchSize: 4, verbose: .silent, shuffle: false)
    }
    #expect(error.step == 2)
    #expect(error.path?.hasPrefix("sequential/before/") == true)
    #expect(error.cause.contains("try TerminateOnNaN(), which stops before such an update"))
  }

  @Test("in the loss alone") func loss() throws {
    let model = Sequential { Dense(1, kernelInitializer: .ones, name: "only") }
    let logarithm = Loss("log") { labels, predictions in (predictions - predictions).log() * labels }
    try model.compile(optimizer: SGD(), loss: logarithm)
    let error = try error { try model.fit(Self.rows, Self.ones, batchSize: 4, verbose: .silent) }
    #expect(error.path == nil)
    #expect(error.operation == "log")
    #expect(
      error.cause.contains(
        "in the result of log, rows 0, 1, 2, 3 of the batch: float32[4, 1]: 0 nan, 4 infinite"), "\(error)")
    #expect(error.cause.hasSuffix("all layers' results are finite: it began in the loss log"))
  }

  @Test("a healthy run with TerminateOnNaN has the bits of one without") func healthy() throws {
    func weights(_ callbacks: [Callback]) throws -> [[Float]] {
      let model = Sequential(seed: 5) {
        Dense(8, activation: .relu)
        Dense(1)
      }
      try model.compile(optimizer: Adam(), loss: .meanSquaredError)
      try model.fit(Self.rows, Self.ones, epochs: 3, batchSize: 4, verbose: .silent, callbacks: callbacks)
      return model.getWeights().map(\.floats)
    }
    #expect(try weights([TerminateOnNaN()]) == weights([]))
  }

  @Test("nobody watches afterwards") func end() {
    #expect(OperationWatch.active == nil)
  }
}
