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

  private var all: [Callback] = []
  private var observers: [Callback] = []
  private var stepCount = 0

  init(_ model: Model, _ rows: TrainingRows) {
    self.model = model
    self.rows = rows
  }

  mutating func run() throws -> History {
    let state = try model.requireCompiled(for: "fit")
    try checkArguments()
    model.stopTraining = false
    let history = History()
    all = [history] + callbacks + (ProgressBar.make(verbose).map { [$0] } ?? [])
    observers = all.filter(\.observesBatches)
    defer { for callback in all { callback.model = nil } }
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
    try checkValidation()
    let order = RowOrder(count: memory.range.count, seed: shuffles ? model.seed : nil)
    let steps = (order.count + batchSize - 1) / batchSize
    try runEpochs(steps: min(steps, stepsPerEpoch ?? steps), runner, kept) { loop, epoch in
      try loop.runEpoch(epoch, order.rows(epoch: epoch), runner)
    }
  }

  private mutating func runEpoch(_ epoch: Int, _ rows: [Int32], _ runner: StepRunner) throws {
    let limit = stepsPerEpoch ?? .max
    try rows.withUnsafeBufferPointer { rows in
      var start = 0
      var batch = 0
      while start < rows.count, batch < limit, !model.stopTraining {
        let end = min(start + batchSize, rows.count)
        try begin(batch)
        if !runner.train(UnsafeBufferPointer(rebasing: rows[start..<end])) {
          throw runner.trainingError(step: stepCount + 1, epoch: epoch + 1)
        }
        stepCount += 1
        try finish(batch)
        start = end
        batch += 1
      }
    }
  }

  // MARK: Batches

  private mutating func run(_ dataset: Dataset) throws {
    let runner = try StepRunner(model, classWeight: classWeight)
    let steps = dataset.batchCount.map { min($0, stepsPerEpoch ?? $0) } ?? stepsPerEpoch
    let limit = stepsPerEpoch ?? .max
    try runEpochs(steps: steps, runner, nil) { loop, epoch in
      let batches = try dataset.batches(epoch: epoch)
      var number = 0
      while number < limit, !loop.model.stopTraining, let batch = try batches.nextBatch() {
        try loop.begin(number)
        if try !runner.train(batch) { throw runner.trainingError(step: loop.stepCount + 1, epoch: epoch + 1) }
        loop.stepCount += 1
        try loop.finish(number)
        number += 1
      }
      guard number > 0 || loop.model.stopTraining else {
        throw ModelError(.data, "the data set gave no batch in epoch \(epoch + 1)")
      }
    }
  }

  // MARK: Epochs

  private mutating func runEpochs(
    steps: Int?, _ runner: StepRunner, _ kept: MemoryRows?, _ body: (inout TrainingLoop, Int) throws -> Void
  ) throws {
    for callback in all {
      callback.model = model
      callback.parameters = TrainingParameters(epochs: epochs, steps: steps)
    }
    for callback in all { try callback.onTrainBegin() }
    var logs = Logs()
    for epoch in initialEpoch..<max(epochs, initialEpoch) {
      runner.resetTrackers()
      for callback in all { try callback.onEpochBegin(epoch) }
      try body(&self, epoch)
      logs = runner.logs
      if !model.stopTraining, (epoch + 1) % validationFrequency == 0 { try validate(kept, &logs) }
      for callback in all { try callback.onEpochEnd(epoch, logs) }
      if model.stopTraining { break }
    }
    for callback in all { try callback.onTrainEnd(logs) }
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

  private func begin(_ batch: Int) throws {
    if observers.isEmpty { return }
    for callback in observers { try callback.onTrainBatchBegin(batch) }
  }

  private func finish(_ batch: Int) throws {
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
