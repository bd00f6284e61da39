import BackpropTensors

/// One pass over data without training: what `evaluate` and the validation of `fit` do.
struct Evaluator {
  let model: Model
  let batchSize: Int
  let callbacks: [Callback]

  init(_ model: Model, batchSize: Int, callbacks: [Callback]) {
    self.model = model
    self.batchSize = batchSize
    self.callbacks = callbacks
  }

  func run(_ rows: TrainingRows) throws -> Logs {
    switch rows {
    case .memory(let inputs, let labels, let sampleWeights):
      return try run(try MemoryRows(inputs, labels, sampleWeights))
    case .stream(let dataset): return try run(dataset)
    }
  }

  /// Whether these rows can be evaluated.
  ///
  /// - Throws: ``ModelError`` saying why not.
  func check(_ memory: MemoryRows) throws -> CompiledState {
    try DataChecks.finite(memory.inputs, "the inputs")
    try DataChecks.finite(memory.labels, "the labels")
    let count = min(batchSize, memory.range.count)
    let state = try prepare(
      memory.types(memory.inputs, rows: count), memory.types(memory.labels, rows: count))
    if let loss = state.loss, let labels = memory.labels.first,
      let classes = loss.classCount(for: model.predictionShape(for: memory.types(memory.inputs, rows: count)))
    {
      try DataChecks.labels(labels, classes: classes, ignoring: loss.ignoredClass)
    }
    return state
  }

  func run(_ memory: MemoryRows) throws -> Logs {
    let state = try check(memory)
    state.resetTrackers()
    let observers = callbacks.filter(\.observesBatches)
    for callback in callbacks { try callback.onTestBegin() }
    var programs: [Int: Program] = [:]
    for (number, start) in stride(from: memory.range.lowerBound, to: memory.range.upperBound, by: batchSize)
      .enumerated()
    {
      let rows = start..<min(start + batchSize, memory.range.upperBound)
      for callback in observers { try callback.onTestBatchBegin(number) }
      if state.runsEagerly {
        let step = TrainingStep(model: model, state: state)
        let parts = memory.parts(memory.columns.map { $0.rows(rows.map { Int32($0) }) })
        _ = step.test(parts.inputs, parts.labels, parts.sampleWeights)
      } else {
        let program = programs[rows.count] ?? makeProgram(memory, rows.count, state)
        programs[rows.count] = program
        for (position, column) in memory.columns.enumerated() {
          column.copyStored(rows, to: program.input(position))
        }
        program.run()
      }
      for callback in observers { try callback.onTestBatchEnd(number) { state.logs } }
    }
    let logs = state.logs
    for callback in callbacks { try callback.onTestEnd(logs) }
    return logs
  }

  private func makeProgram(_ memory: MemoryRows, _ count: Int, _ state: CompiledState) -> Program {
    var key = ProgramCache.Key(purpose: .test, inputs: memory.columns.map { $0.storedType(rows: count) })
    key.columns = memory.columns.map { ProgramCache.ColumnKey($0, isCaptured: false) }
    key.hasSampleWeights = memory.sampleWeights != nil
    key.labelCount = memory.labels.count
    let step = TrainingStep(model: model, state: state)
    return model.programs.program(key, name: "evaluation of \(count) rows") { arguments in
      let parts = memory.parts(zip(memory.columns, arguments).map { $0.reading($1) })
      return [step.test(parts.inputs, parts.labels, parts.sampleWeights)]
    }
  }

  private func run(_ dataset: Dataset) throws -> Logs {
    var state = try model.requireCompiled(for: "evaluate")
    state.resetTrackers()
    let observers = callbacks.filter(\.observesBatches)
    for callback in callbacks { try callback.onTestBegin() }
    let batches = try dataset.batches(epoch: 0)
    var number = 0
    while let batch = try batches.nextBatch() {
      for callback in observers { try callback.onTestBatchBegin(number) }
      state = try test(batch)
      for callback in observers { try callback.onTestBatchEnd(number) { state.logs } }
      number += 1
    }
    guard number > 0 else { throw ModelError(.data, "the data set gave no batch") }
    let logs = state.logs
    for callback in callbacks { try callback.onTestEnd(logs) }
    return logs
  }

  /// Counts one batch.
  func test(_ batch: Batch) throws -> CompiledState {
    _ = try DataChecks.count(
      batch.inputs.map { Column($0) }, batch.labels.map { Column($0) }, batch.sampleWeights.map { Column($0) }
    )
    let state = try prepare(batch.inputs.map(\.type), batch.labels.map(\.type))
    if let loss = state.loss, let labels = batch.labels.first,
      let classes = loss.classCount(for: model.predictionShape(for: batch.inputs.map(\.type)))
    {
      try DataChecks.labels(Column(labels), classes: classes, ignoring: loss.ignoredClass)
    }
    let step = TrainingStep(model: model, state: state)
    if state.runsEagerly {
      _ = step.test(batch.inputs, batch.labels, batch.sampleWeights)
      return state
    }
    let program = model.programs.program(batch.key(.test, nil), name: "evaluation of \(batch.count) rows") {
      arguments in
      let parts = batch.parts(arguments)
      return [step.test(parts.inputs, parts.labels, parts.sampleWeights)]
    }
    for (position, tensor) in batch.tensors.enumerated() {
      tensor.withUnsafeBytes { program.setInput(position, to: $0) }
    }
    program.run()
    return state
  }

  private func prepare(_ inputs: [TensorType], _ labels: [TensorType]) throws -> CompiledState {
    let state = try model.requireCompiled(for: "evaluate")
    try model.prepare(inputs.map(\.shape), random: model.random)
    let predictions = model.predictionShape(for: inputs)
    if let loss = state.loss {
      guard let label = labels.first else { throw ModelError(.data, "the loss \(loss.name) needs labels") }
      try loss.check(labels: label, predictions: TensorType(predictions, .float32))
    }
    try model.compiled.withLock { try $0?.resolve(labels: labels.first?.shape, predictions: predictions) }
    model.validatePrograms()
    return try model.requireCompiled(for: "evaluate")
  }
}

/// What `evaluate` found.
public struct Evaluation: Sendable, CustomStringConvertible {
  public let logs: Logs

  public var loss: Double { logs["loss"] ?? .nan }
  /// A metric by its name, such as `"accuracy"`; nil where the model has none of this name.
  public subscript(name: String) -> Double? { logs[name] }

  public var description: String { logs.map { "\($0.name): \($0.value)" }.joined(separator: ", ") }
}

extension Model {
  /// Loss and metrics on rows in memory.
  ///
  /// - Throws: ``ModelError`` for data that doesn't fit, and what callbacks throw.
  public func evaluate(
    _ inputs: some ColumnConvertible, _ labels: some ColumnConvertible, batchSize: Int = 32,
    sampleWeight: (any ColumnConvertible)? = nil, callbacks: [Callback] = []
  ) throws -> Evaluation {
    let rows = TrainingRows.memory(
      inputs: [inputs.column], labels: [labels.column], sampleWeights: sampleWeight?.column)
    return try evaluate(rows, batchSize: batchSize, callbacks: callbacks)
  }

  /// Loss and metrics on ``LabelledData`` or on the batches of a ``Dataset``.
  public func evaluate(
    _ data: some TrainingSource, batchSize: Int = 32, callbacks: [Callback] = []
  ) throws -> Evaluation {
    try evaluate(data.rows, batchSize: batchSize, callbacks: callbacks)
  }

  private func evaluate(_ rows: TrainingRows, batchSize: Int, callbacks: [Callback]) throws -> Evaluation {
    _ = try requireCompiled(for: "evaluate")
    try DataChecks.positive("batchSize", batchSize)
    return try Engine.exclusively {
      for callback in callbacks { callback.model = self }
      defer { for callback in callbacks { callback.model = nil } }
      return Evaluation(logs: try Evaluator(self, batchSize: batchSize, callbacks: callbacks).run(rows))
    }
  }
}
