import BackpropTensors

/// Runs training steps: checks what comes in, compiles a program for each batch shape, or runs eagerly.
///
/// Used by one thread, inside ``Engine/exclusively(_:)``.
final class StepRunner {
  private let model: Model
  private var step: TrainingStep
  private let memory: MemoryRows?
  /// The program for full batches, and for the partial one at the end.
  private var programs: [Int: Program] = [:]
  private var current: (count: Int, program: Program)?
  /// Programs that measure themselves, for the batch sizes that such a step was made for.
  private var measured: [[TensorType]: (program: Program, probe: StepProbe)] = [:]
  private var checkedBatches: Set<[TensorType]> = []
  private var failed: (inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor?)?
  private var failedLoss = Double.nan

  /// Rows in memory, read where they lie.
  init(_ model: Model, training memory: MemoryRows, batchSize: Int, classWeight: [Int: Double]?) throws {
    self.model = model
    self.memory = memory
    step = TrainingStep(model: model, state: try model.requireCompiled(for: "fit"))
    try DataChecks.finite(memory.inputs, "the inputs")
    try DataChecks.finite(memory.labels, "the labels")
    if let weights = memory.sampleWeights { try DataChecks.finite([weights], "the sample weights") }
    let count = min(batchSize, memory.range.count)
    let predictions = try prepare(
      memory.types(memory.inputs, rows: count), memory.types(memory.labels, rows: count))
    try step.state.checkClasses(memory.labels, predictions: predictions)
    try model.checkData(memory.inputs)
    try setClassWeights(classWeight, predictions.first)
  }

  /// Batches that come as tensors.
  init(_ model: Model, classWeight: [Int: Double]?) throws {
    self.model = model
    memory = nil
    step = TrainingStep(model: model, state: try model.requireCompiled(for: "fit"))
    try setClassWeights(classWeight, nil)
  }

  private func setClassWeights(_ weights: [Int: Double]?, _ predictions: Shape?) throws {
    guard let weights else { return }
    if model.outputNames.count > 1 {
      throw ModelError(
        .argument, "classWeight: the model has several outputs; give each row its sampleWeight")
    }
    if let bad = weights.first(where: { $0.key < 0 || !$0.value.isFinite || $0.value < 0 }) {
      throw ModelError(.argument, "classWeight: class \(bad.key) has weight \(bad.value)")
    }
    let largest = max(weights.keys.max() ?? 0, (predictions?.dimensions.last ?? 1) - 1, 1)
    step.classWeights = Tensor((0...largest).map { Float(weights[$0] ?? 1) })
  }

  /// Builds the model, checks shapes against the losses, resolves metrics; gives the outputs' shapes.
  private func prepare(_ inputs: [TensorType], _ labels: [TensorType]) throws -> [Shape] {
    try model.prepare(inputs.map(\.shape), random: model.random)
    try model.resolve(inputs: inputs, labels: labels)
    step = TrainingStep(
      model: model, state: try model.requireCompiled(for: "fit"), classWeights: step.classWeights,
      guardsGradients: step.guardsGradients)
    model.validatePrograms()
    step.state.optimizer.build(model.trainableWeights)
    return model.outputShapes(for: inputs)
  }

  /// See ``TrainingStep/guardsGradients``.
  var guardsGradients: Bool {
    get { step.guardsGradients }
    set { step.guardsGradients = newValue }
  }

  func resetTrackers() { step.state.resetTrackers() }
  var logs: Logs { step.state.logs }

  // MARK: Rows in memory

  /// One step on these rows. False: the loss wasn't finite, and nothing was changed.
  func train(_ rows: UnsafeBufferPointer<Int32>) -> Bool {
    if step.state.runsEagerly { return trainEagerly(rows) }
    let program = program(count: rows.count)
    program.input(0).copyMemory(from: rows.baseAddress!, byteCount: rows.count * MemoryLayout<Int32>.size)
    if program.run() { return true }
    failedLoss = Double(program.output(0).load(as: Float.self))
    keepFailed(rows)
    return false
  }

  /// The same with its measurements; nil: the loss wasn't finite.
  func trainMeasured(_ rows: UnsafeBufferPointer<Int32>, step number: Int) -> GradientSample? {
    let probe: StepProbe
    if step.state.runsEagerly {
      probe = StepProbe()
      let parts = gathered(rows)
      guard let results = trainEagerly(parts.inputs, parts.labels, parts.sampleWeights, probe: probe) else {
        return nil
      }
      return probe.sample(step: number, loss: results[0].item(), results[1].floats)
    }
    let types = [TensorType([rows.count], .int32)]
    let entry =
      measured[types]
      ?? {
        let probe = StepProbe()
        return (makeProgram(count: rows.count, probe: probe), probe)
      }()
    measured[types] = entry
    entry.program.input(0).copyMemory(
      from: rows.baseAddress!, byteCount: rows.count * MemoryLayout<Int32>.size)
    if entry.program.run() { return Self.sample(entry, step: number) }
    failedLoss = Double(entry.program.output(0).load(as: Float.self))
    keepFailed(rows)
    return nil
  }

  private static func sample(_ entry: (program: Program, probe: StepProbe), step: Int) -> GradientSample {
    let program = entry.program
    let numbers = UnsafeBufferPointer(
      start: program.output(1).assumingMemoryBound(to: Float.self),
      count: program.outputTypes[1].shape.elementCount)
    return entry.probe.sample(
      step: step, loss: Double(program.output(0).load(as: Float.self)), Array(numbers))
  }

  private func program(count: Int) -> Program {
    if let current, current.count == count { return current.program }
    let program = programs[count] ?? makeProgram(count: count)
    programs[count] = program
    current = (count, program)
    return program
  }

  private func makeProgram(count: Int, probe: StepProbe? = nil) -> Program {
    let memory = memory!
    var key = ProgramCache.Key(purpose: .train, inputs: [TensorType([count], .int32)])
    key.columns = memory.columns.map { ProgramCache.ColumnKey($0, isCaptured: true) }
    key.classWeights = step.classWeights?.floats ?? []
    key.hasSampleWeights = memory.sampleWeights != nil
    key.labelCount = memory.labels.count
    key.probe = probe.map { ObjectIdentifier($0) }
    key.guardsGradients = step.guardsGradients
    return model.programs.program(key, name: "training step of \(count) rows") { [step, probe] arguments in
      let parts = memory.parts(memory.columns.map { $0.rows(at: arguments[0]) })
      return step.train(parts.inputs, parts.labels, parts.sampleWeights, probe: probe)
    }
  }

  private func gathered(_ rows: UnsafeBufferPointer<Int32>) -> (
    inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor?
  ) {
    let memory = memory!
    let indices = Tensor(Array(rows))
    return memory.parts(memory.columns.map { $0.rows(at: indices) })
  }

  private func keepFailed(_ rows: UnsafeBufferPointer<Int32>) { failed = gathered(rows) }

  private func trainEagerly(_ rows: UnsafeBufferPointer<Int32>) -> Bool {
    let parts = gathered(rows)
    return trainEagerly(parts.inputs, parts.labels, parts.sampleWeights) != nil
  }

  /// Loss and measurements; nil: the loss wasn't finite.
  private func trainEagerly(
    _ inputs: [Tensor], _ labels: [Tensor], _ sampleWeights: Tensor?, probe: StepProbe? = nil
  ) -> [Tensor]? {
    let random = model.random.state.stored
    let results = step.train(inputs, labels, sampleWeights, probe: probe)
    let loss = results[0].item()
    if loss.isFinite, step.refusal.value != true { return results }
    model.random.state.store(random)
    failedLoss = loss
    failed = (inputs, labels, sampleWeights)
    return nil
  }

  // MARK: Batches

  /// One step on this batch. False: the loss wasn't finite, and nothing was changed.
  func train(_ batch: Batch) throws -> Bool {
    try check(batch)
    if step.state.runsEagerly {
      return trainEagerly(batch.inputs, batch.labels, batch.sampleWeights) != nil
    }
    return run(program(batch, probe: nil), batch)
  }

  /// The same with its measurements; nil: the loss wasn't finite.
  func trainMeasured(_ batch: Batch, step number: Int) throws -> GradientSample? {
    try check(batch)
    if step.state.runsEagerly {
      let probe = StepProbe()
      guard let results = trainEagerly(batch.inputs, batch.labels, batch.sampleWeights, probe: probe) else {
        return nil
      }
      return probe.sample(step: number, loss: results[0].item(), results[1].floats)
    }
    let types = batch.tensors.map(\.type)
    let entry =
      measured[types]
      ?? {
        let probe = StepProbe()
        return (program(batch, probe: probe), probe)
      }()
    measured[types] = entry
    return run(entry.program, batch) ? Self.sample(entry, step: number) : nil
  }

  private func program(_ batch: Batch, probe: StepProbe?) -> Program {
    var key = batch.key(.train, step.classWeights)
    key.probe = probe.map { ObjectIdentifier($0) }
    key.guardsGradients = step.guardsGradients
    return model.programs.program(key, name: "training step of \(batch.count) rows") { [step] arguments in
      let parts = batch.parts(arguments)
      return step.train(parts.inputs, parts.labels, parts.sampleWeights, probe: probe)
    }
  }

  private func run(_ program: Program, _ batch: Batch) -> Bool {
    for (position, tensor) in batch.tensors.enumerated() {
      tensor.withUnsafeBytes { program.setInput(position, to: $0) }
    }
    if program.run() { return true }
    failedLoss = Double(program.output(0).load(as: Float.self))
    failed = (batch.inputs, batch.labels, batch.sampleWeights)
    return false
  }

  /// Sees to it that there are weights for batches such as this, and checks its numbers.
  func check(_ batch: Batch) throws {
    _ = try DataChecks.count(
      batch.inputs.map { Column($0) }, batch.labels.map { Column($0) }, batch.sampleWeights.map { Column($0) }
    )
    let types = batch.tensors.map(\.type)
    if !checkedBatches.contains(types) {
      _ = try prepare(batch.inputs.map(\.type), batch.labels.map(\.type))
      if checkedBatches.count > 64 { checkedBatches = [] }
      checkedBatches.insert(types)
    }
    try model.checkData(batch.inputs.map { Column($0) })
    try step.state.checkClasses(
      batch.labels.map { Column($0) }, predictions: model.outputShapes(for: batch.inputs.map(\.type)))
  }

  // MARK: Failure

  func trainingError(step number: Int, epoch: Int) -> TrainingError {
    let failed = failed!
    let found = Diagnosis(step: step).find(failed.inputs, failed.labels, failed.sampleWeights)
    return TrainingError(step: number, epoch: epoch, loss: failedLoss, found)
  }
}

extension Batch {
  var tensors: [Tensor] { inputs + labels + (sampleWeights.map { [$0] } ?? []) }

  func parts(_ tensors: [Tensor]) -> (inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor?) {
    let labelsEnd = inputs.count + labels.count
    return (
      Array(tensors[..<inputs.count]), Array(tensors[inputs.count..<labelsEnd]),
      sampleWeights == nil ? nil : tensors[labelsEnd]
    )
  }

  func key(_ purpose: ProgramCache.Purpose, _ classWeights: Tensor?) -> ProgramCache.Key {
    var key = ProgramCache.Key(purpose: purpose, inputs: tensors.map(\.type))
    key.classWeights = classWeights?.floats ?? []
    key.hasSampleWeights = sampleWeights != nil
    key.labelCount = labels.count
    return key
  }
}

extension Model {
  /// The shapes of the outputs, remembered for the inputs asked for last.
  func outputShapes(for inputs: [TensorType]) -> [Shape] {
    programs.outputTypes(of: self, for: inputs).map(\.shape)
  }
}
