import BackpropTensors

/// One call of `fit`: epochs, batches, callbacks. The work of a step is one compiled program.
struct TrainingLoop {
  let model: Model
  let rows: TrainingRows
  var epochs = 1
  var batchSize = 32
  var verbose = Verbosity.auto
  var callbacks: [Callback] = []
  var validationSplit = 0.0
  var validation: (any TrainingSource)?
  var shuffles = true
  var classWeight: [Int: Double]?
  var initialEpoch = 0
  var stepsPerEpoch: Int?
  var validationBatchSize: Int?
  var validationFrequency = 1
  var resumption: (any TrainingStateSource)?

  private var all: [Callback] = []
  private var observers: [Callback] = []
  private var allMonitors: [GradientMonitor] = []
  private var progress: TrainingProgress!

  private struct Resumed {
    let state: TrainingState
    let source: any TrainingStateSource
  }

  init(_ model: Model, _ rows: TrainingRows) {
    self.model = model
    self.rows = rows
  }

  mutating func run() throws -> History {
    let state = try model.requireCompiled(for: "fit")
    try checkArguments()
    model.stopTraining = false
    model.isInterrupted = false
    let history = History()
    all = [history] + callbacks + (ProgressBar.make(verbose).map { [$0] } ?? [])
    all = all.filter { !$0.savesTrainingState } + all.filter(\.savesTrainingState)
    observers = all.filter(\.observesBatches)
    allMonitors = all.compactMap { $0 as? GradientMonitor }
    defer {
      for callback in all {
        callback.model = nil
        callback.progress = nil
      }
    }
    switch rows {
    case .memory(let inputs, let labels, let sampleWeights):
      let memory = try MemoryRows(inputs, labels, sampleWeights)
      try run(memory)
    case .stream(let dataset): try run(dataset)
    }
    state.optimizer.finalize(model.trainableWeights)
    return history
  }

  private func checkArguments() throws {
    try DataChecks.positive("epochs", epochs)
    try DataChecks.positive("batchSize", batchSize)
    try DataChecks.positive("stepsPerEpoch", stepsPerEpoch)
    try DataChecks.positive("validationBatchSize", validationBatchSize)
    try DataChecks.positive("validationFrequency", validationFrequency)
    guard (0..<1).contains(validationSplit) else {
      throw ModelError(.argument, "validationSplit must be in 0..<1, got \(validationSplit)")
    }
    guard initialEpoch >= 0 else {
      throw ModelError(.argument, "initialEpoch must not be negative, got \(initialEpoch)")
    }
  }

  // MARK: Rows in memory

  private mutating func run(_ given: MemoryRows) throws {
    var memory = given
    var kept: MemoryRows?
    if validationSplit > 0, validation == nil {
      let count = Int(Double(memory.range.count) * (1 - validationSplit))
      guard count > 0 else {
        throw ModelError(
          .data, "validationSplit \(validationSplit) leaves none of \(memory.range.count) rows to train on")
      }
      kept = memory
      kept?.range = count..<memory.range.count
      memory.range = 0..<count
    }
    let runner = try StepRunner(model, training: memory, batchSize: batchSize, classWeight: classWeight)
    runner.guardsGradients = guardian != nil
    try checkValidation()
    let order = RowOrder(count: memory.range.count, seed: shuffles ? model.seed : nil)
    let steps = (order.count + batchSize - 1) / batchSize
    let data = TrainingState.DataOrder(
      rows: order.count, batchSize: batchSize, seed: model.seed, shuffles: shuffles)
    try runEpochs(steps: min(steps, stepsPerEpoch ?? steps), runner, kept, data) { loop, epoch, done in
      try loop.runEpoch(epoch, order.rows(epoch: epoch), from: done, runner)
    }
  }

  private mutating func runEpoch(_ epoch: Int, _ rows: [Int32], from done: Int, _ runner: StepRunner) throws {
    let limit = stepsPerEpoch ?? .max
    try rows.withUnsafeBufferPointer { rows in
      var batch = done
      var start = done * batchSize
      while start < rows.count, batch < limit, !model.stopTraining {
        let end = min(start + batchSize, rows.count)
        try begin(batch)
        if !train(UnsafeBufferPointer(rebasing: rows[start..<end]), runner) {
          try fail(runner.trainingError(step: progress.stepCount + 1, epoch: epoch + 1))
          return
        }
        try finish(batch)
        start = end
        batch += 1
      }
    }
  }

  /// One step, measured where somebody asked for that.
  private func train(_ rows: UnsafeBufferPointer<Int32>, _ runner: StepRunner) -> Bool {
    let monitors = monitors
    if monitors.isEmpty { return runner.train(rows) }
    guard let sample = runner.trainMeasured(rows, step: progress.stepCount + 1) else { return false }
    for monitor in monitors { monitor.take(sample) }
    return true
  }

  private func train(_ batch: Batch, _ runner: StepRunner) throws -> Bool {
    let monitors = monitors
    if monitors.isEmpty { return try runner.train(batch) }
    guard let sample = try runner.trainMeasured(batch, step: progress.stepCount + 1) else { return false }
    for monitor in monitors { monitor.take(sample) }
    return true
  }

  /// Those that measure the coming step.
  private var monitors: [GradientMonitor] {
    allMonitors.isEmpty ? [] : allMonitors.filter { $0.measures(after: progress.stepCount) }
  }

  // MARK: Batches

  private mutating func run(_ dataset: Dataset) throws {
    let runner = try StepRunner(model, classWeight: classWeight)
    runner.guardsGradients = guardian != nil
    let steps = dataset.batchCount.map { min($0, stepsPerEpoch ?? $0) } ?? stepsPerEpoch
    let limit = stepsPerEpoch ?? .max
    let data = TrainingState.DataOrder(rows: nil, batchSize: nil, seed: model.seed, shuffles: shuffles)
    let first: (Int) throws -> Void = { epoch in
      // Weights to put a checkpoint's numbers into are made by the first batch.
      if let batch = try dataset.batches(epoch: epoch).nextBatch() { try runner.check(batch) }
    }
    try runEpochs(steps: steps, runner, nil, data, prepare: first) { loop, epoch, done in
      let batches = try dataset.batches(epoch: epoch)
      var number = 0
      while number < done, try batches.nextBatch() != nil { number += 1 }
      while number < limit, !loop.model.stopTraining, let batch = try batches.nextBatch() {
        try loop.begin(number)
        if try !loop.train(batch, runner) {
          try loop.fail(runner.trainingError(step: loop.progress.stepCount + 1, epoch: epoch + 1))
          return
        }
        try loop.finish(number)
        number += 1
      }
      guard number > 0 || loop.model.stopTraining else {
        throw ModelError(.data, "the data set gave no batch in epoch \(epoch + 1)")
      }
    }
  }

  // MARK: Epochs

  /// `body` runs the steps of an epoch, but for those that are done.
  private mutating func runEpochs(
    steps: Int?, _ runner: StepRunner, _ kept: MemoryRows?, _ data: TrainingState.DataOrder,
    prepare: (Int) throws -> Void = { _ in }, _ body: (inout TrainingLoop, Int, Int) throws -> Void
  ) throws {
    progress = TrainingProgress(model, all, data)
    let resumed = try stateToResume(data)
    for callback in all {
      callback.model = model
      callback.progress = progress
      callback.parameters = TrainingParameters(
        epochs: epochs, steps: steps, resumedFrom: resumed?.state.position)
    }
    for callback in all { try callback.onTrainBegin() }
    let start = resumed?.state.position ?? TrainingState.Position(epoch: initialEpoch)
    if let resumed {
      try prepare(start.epoch)
      // In the middle of an epoch the callbacks' hooks for its beginning come first: then all that they do is undone.
      if start.step == 0 { try restore(resumed) }
      if start.step == 0 && resumed.state.isFinished { model.stopTraining = true }
    }
    var logs = Logs()
    let first = model.stopTraining ? epochs : start.epoch
    for epoch in first..<max(epochs, first) {
      runner.resetTrackers()
      progress.position = TrainingState.Position(epoch: epoch)
      for callback in all { try callback.onEpochBegin(epoch) }
      let done = epoch == start.epoch ? start.step : 0
      if done > 0, let resumed { try restore(resumed) }
      try body(&self, epoch, done)
      logs = runner.logs
      progress.isInsideEpoch = model.stopTraining
      if !model.stopTraining, (epoch + 1) % validationFrequency == 0 { try validate(kept, &logs) }
      if !progress.isInsideEpoch { progress.position = TrainingState.Position(epoch: epoch + 1) }
      for callback in all { try callback.onEpochEnd(epoch, logs) }
      if model.stopTraining { break }
    }
    for callback in all { try callback.onTrainEnd(logs) }
  }

  /// What to go on from: given to `fit`, or kept by a callback.
  private func stateToResume(_ data: TrainingState.DataOrder) throws -> Resumed? {
    let sources = [resumption].compactMap { $0 } + callbacks.compactMap { $0 as? any TrainingStateSource }
    for source in sources {
      guard let state = try source.trainingState() else { continue }
      try state.checkOrder(data)
      return Resumed(state: state, source: source)
    }
    return nil
  }

  /// Warns of another machine only when the state fits.
  private func restore(_ resumed: Resumed) throws {
    try progress.restore(resumed.state)
    if let difference = resumed.state.difference(from: .current) { resumed.source.warn(difference) }
  }

  /// What evaluation would find after an epoch is found before it.
  private func checkValidation() throws {
    guard case .memory(let inputs, let labels, let sampleWeights)? = validation?.rows else { return }
    do {
      let evaluator = Evaluator(model, batchSize: validationBatchSize ?? batchSize, callbacks: [])
      _ = try evaluator.check(try MemoryRows(inputs, labels, sampleWeights))
    } catch let error as ModelError {
      throw ModelError(error.kind, at: error.path, "in the validation data: \(error.message)")
    }
  }

  private func validate(_ kept: MemoryRows?, _ logs: inout Logs) throws {
    let evaluator = Evaluator(model, batchSize: validationBatchSize ?? batchSize, callbacks: all)
    let results: Logs
    if let kept {
      results = try evaluator.run(kept)
    } else if let validation {
      results = try evaluator.run(validation.rows)
    } else {
      return
    }
    for (name, value) in results { logs["val_\(name)"] = value }
  }

  private var guardian: TerminateOnNaN? { callbacks.lazy.compactMap { $0 as? TerminateOnNaN }.first }

  /// Ends training where somebody asked for that, or throws.
  private func fail(_ error: TrainingError) throws {
    guard let guardian else { throw error }
    guardian.error = error
    model.stopTraining = true
  }

  private func begin(_ batch: Int) throws {
    if observers.isEmpty { return }
    for callback in observers { try callback.onTrainBatchBegin(batch) }
  }

  private func finish(_ batch: Int) throws {
    progress.stepCount += 1
    progress.position.step = batch + 1
    if observers.isEmpty { return }
    for callback in observers { try callback.onTrainBatchEnd(batch) { model.currentLogs } }
  }
}

extension Model {
  /// Loss and metrics since the counters were last at zero.
  var currentLogs: Logs { compiled.withLock { $0?.logs } ?? Logs() }

  /// Sets the counters of loss and metrics to zero; `fit` and `evaluate` do it themselves, ``trainOnBatch(_:_:sampleWeight:classWeight:)``
  /// doesn't.
  public func resetMetrics() { compiled.withLock { $0?.resetTrackers() } }
}
