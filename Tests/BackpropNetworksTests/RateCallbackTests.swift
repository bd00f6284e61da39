import Backprop
import Synchronization
import Testing

@testable import BackpropNetworks

/// Calls a callback's hooks with numbers that are given, and notes the learning rate after each epoch.
private func rates(_ callback: Callback, _ values: [Double], optimizer: Optimizer = SGD(learningRate: 1))
  throws -> [Double]
{
  let model = Sequential {
    Input([1]); Dense(1)
  }
  try model.compile(optimizer: optimizer, loss: .meanSquaredError)
  callback.model = model
  try callback.onTrainBegin()
  return try values.enumerated().map { epoch, value in
    try callback.onEpochBegin(epoch)
    var logs = Logs()
    logs["val_loss"] = value
    logs["val_accuracy"] = value
    try callback.onEpochEnd(epoch, logs)
    return model.optimizer!.learningRate
  }
}

@Suite("Callbacks that set the learning rate, and others of Keras'", .serialized) struct RateCallbackTests {
  @Test("ReduceLROnPlateau: patience, cooldown, least rate, as Keras counts them")
  func plateau() throws {
    let flat = [Double](repeating: 1, count: 8)
    #expect(
      try rates(ReduceLROnPlateau(factor: 0.5, patience: 2), flat) == [
        1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125,
      ])
    // Keras 3.15 run for comparison: patience 1, cooldown 2.
    #expect(
      try rates(ReduceLROnPlateau(factor: 0.5, patience: 1, cooldown: 2), flat) == [
        1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625,
      ])
    #expect(
      try rates(ReduceLROnPlateau(factor: 0.5, patience: 1, minLR: 0.4), flat)[2...].allSatisfy {
        $0 == Double(Float(0.4))
      })
    let better = (0..<8).map { 1 - Double($0) * 0.1 }
    #expect(try rates(ReduceLROnPlateau(factor: 0.5, patience: 1), better).last == 1)
    #expect(try rates(ReduceLROnPlateau(factor: 0.5, patience: 1, minDelta: 0.2), better).last! < 1)
    #expect(
      try rates(ReduceLROnPlateau(monitor: "val_accuracy", factor: 0.5, patience: 1), better).last! < 0.1)
  }

  @Test("LearningRateScheduler sets the rate before the epoch")
  func scheduler() throws {
    let found = try rates(LearningRateScheduler { epoch, rate in epoch < 2 ? rate : rate / 2 }, [1, 1, 1, 1])
    #expect(found == [1, 1, 0.5, 0.25])
  }

  @Test("what can't be is refused in words")
  func refused() throws {
    let schedule = SGD(
      learningRate: LearningRateSchedule.exponentialDecay(0.1, decaySteps: 5, decayRate: 0.5))
    func message(_ callback: Callback, optimizer: Optimizer = SGD(learningRate: 1)) -> String {
      do { return "\(try rates(callback, [1], optimizer: optimizer))" } catch { return "\(error)" }
    }
    for callback in [ReduceLROnPlateau(), LearningRateScheduler { _, rate in rate }] as [Callback] {
      #expect(
        message(callback, optimizer: schedule).contains(
          "the schedule ExponentialDecay decides the learning rate"))
    }
    #expect(
      message(ReduceLROnPlateau(factor: 1)) == "ReduceLROnPlateau: the factor must be in 0..<1, got 1.0")
    #expect(
      message(ReduceLROnPlateau(monitor: "f1")).contains("there is no 'f1' among val_loss, val_accuracy"))
    #expect(
      message(LearningRateScheduler { _, _ in -1 }).contains(
        "expected a rate of at least 0 for epoch 0, got -1.0"))
  }

  @Test("EarlyStopping ends with the best weights also where patience never ran out")
  func bestWeights() throws {
    let model = Sequential {
      Input([1]); Dense(1)
    }
    try model.compile(optimizer: SGD(), loss: .meanSquaredError)
    let stopping = EarlyStopping(patience: 5, restoreBestWeights: true)
    stopping.model = model
    stopping.onTrainBegin()
    for (epoch, value) in [3.0, 1, 2].enumerated() {
      try model.setWeights([Tensor([[Float(epoch)]]), Tensor([Float(0)])])
      var logs = Logs()
      logs["val_loss"] = value
      try stopping.onEpochEnd(epoch, logs)
    }
    try stopping.onTrainEnd(Logs())
    #expect(model.getWeights()[0].floats == [1] && stopping.bestEpoch == 1 && stopping.stoppedEpoch == nil)
  }

  @Test("TerminateOnNaN ends fit instead of throwing, and says where it began")
  func nan() throws {
    let model = Sequential {
      Dense(4, activation: .relu)
      Dense(1, name: "last")
    }
    try model.compile(optimizer: SGD(learningRate: 1e30), loss: .meanSquaredError)
    let guardian = TerminateOnNaN()
    let x = Tensor((0..<64).map { Float($0) }, shape: [32, 2])
    let history = try model.fit(
      x, Tensor.ones([32, 1]), epochs: 9, batchSize: 8, verbose: .silent, callbacks: [guardian])
    #expect(history.epochs.count < 9)
    let error = try #require(guardian.error)
    #expect(error.step == model.optimizer!.iterations + 1)
    #expect("\(error)".contains("at step \(error.step)"), "\(error)")
    #expect(throws: TrainingError.self) {
      try model.fit(x, Tensor.ones([32, 1]), epochs: 9, batchSize: 8, verbose: .silent)
    }
  }

  @Test("SwapEMAWeights: evaluated with the averages, trained without them, and fit ends with them")
  func averages() throws {
    func run(_ callbacks: [Callback]) throws -> (Sequential, History) {
      let model = network()
      try model.compile(
        optimizer: Adam(learningRate: 0.05, useEMA: true, emaMomentum: 0.9),
        loss: .sparseCategoricalCrossentropy)
      let history = try model.fit(
        clouds(64), epochs: 3, verbose: .silent, callbacks: callbacks, validationData: clouds(16))
      return (model, history)
    }
    let (plain, without) = try run([])
    let (swapped, with) = try run([SwapEMAWeights()])
    #expect(with["loss"] == without["loss"])
    #expect(zip(with["val_loss"], without["val_loss"]).allSatisfy { $0 != $1 })
    for (a, b) in zip(plain.getWeights(), swapped.getWeights()) { #expect(a.floats == b.floats) }
    // What was validated last are the averages that fit ends with.
    #expect(try swapped.evaluate(clouds(16)).loss == with["val_loss"].last)
    let seen = Mutex<[[Float]]>([])
    let recorder = LambdaCallback(onEpochEnd: { [weak swapped] _, _ in
      seen.withLock { $0.append(swapped?.getWeights()[0].floats ?? []) }
    })
    _ = try swapped.fit(
      clouds(64), epochs: 1, verbose: .silent, callbacks: [SwapEMAWeights(swapOnEpoch: true), recorder])
    #expect(seen.withLock { $0 } == [swapped.getWeights()[0].floats])
    let model = network()
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    #expect(throws: ModelError.self) {
      try model.fit(clouds(64), verbose: .silent, callbacks: [SwapEMAWeights()], validationData: clouds(16))
    }
  }
}
