import BackpropTensors
import Synchronization

/// What the recurrent layers have in common: a cell over the steps of a sequence, masks, states.
public class RecurrentLayer: Layer, @unchecked Sendable {
  public let cell: RNNCell
  let recurrence: RecurrenceOptions
  /// What a stateful layer goes on from, by the shapes of its states: batches, and images, may be of several sizes.
  private let carried = Mutex<[[Shape]: [Variable]]>([:])

  init(
    _ cell: RNNCell, _ recurrence: RecurrenceOptions, name: String?, trainable: Bool, dtype: DTypePolicy
  ) {
    self.cell = cell
    self.recurrence = recurrence
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// The axes of a step, after batch and steps.
  var stepAxes: String { "features" }

  // MARK: Building

  private func step(of input: Shape) -> Shape { Shape([input[0]] + input.dimensions.dropFirst(2)) }

  private func checkSequence(_ input: Shape) throws {
    let rank = cell.stepRank.map { $0 + 1 }
    guard rank.map({ input.rank == $0 }) ?? (input.rank >= 3) else {
      var wayOut = ""
      if rank == 3 || rank == nil, input.rank == 2 {
        wayOut =
          "; Embedding before it makes vectors of whole numbers, Reshape([\(input[1]), 1]) a sequence of one number a step"
      } else if input.rank + 1 == rank {
        wayOut = "; one sample without its batch axis, or one step without its axis?"
      } else if rank == 3 {
        wayOut = "; TimeDistributed(Flatten()) before it makes one axis of a step's"
      }
      throw ModelError(
        .shape, at: path, "expected sequences [batch, steps, \(stepAxes)], got \(input)\(wayOut)")
    }
    guard input[1] > 0 else {
      throw ModelError(.shape, at: path, "expected sequences of at least one step, got \(input)")
    }
    // Each step of a cell that the engine has no kernel for is recorded by itself.
    let hasKernel = (cell as? KernelCell)?.operation != nil && cell.computeDType == .float32
    guard hasKernel || input[1] <= 1 << 14 else {
      throw ModelError(
        .shape, at: path,
        "a \(cell.className) of \(cell.computeDType) takes sequences of at most \(1 << 14) steps, got \(input); cut them in parts"
      )
    }
  }

  public override func build(_ input: Shape) throws {
    try checkSequence(input)
    let step = step(of: input)
    try cell.checkStep(step)
    try cell.prepare([step] + cell.stateShapes(for: step))
  }

  public override func check(_ inputs: [Shape]) throws {
    try checkSequence(inputs[0])
    let step = step(of: inputs[0])
    try cell.checkStep(step)
    let expected = cell.stateShapes(for: step)
    try cell.prepare([step] + expected)
    let given = Array(inputs.dropFirst())
    guard given.isEmpty || given == expected else {
      throw ModelError(
        .shape, at: path,
        "expected an initial state of \(expected.map(\.description).joined(separator: " and ")), got \(given.map(\.description).joined(separator: " and "))"
      )
    }
    try checkCarried(expected)
  }

  /// Refuses a batch of another size than the one whose state is carried.
  private func checkCarried(_ shapes: [Shape]) throws {
    guard recurrence.stateful else { return }
    let carried = carried.withLock { $0 }
    guard carried[shapes] == nil else { return }
    let busy = carried.values.first { $0.contains { $0.stored.doubles.contains { $0 != 0 } } }
    guard let busy else { return }
    throw ModelError(
      .shape, at: path,
      "carries a state of shape \(busy[0].shape), a batch whose state has shape \(shapes[0]) can't go on from it; use batches of one size, or call resetState() before"
    )
  }

  // MARK: State

  private func carriedStates(_ shapes: [Shape]) -> [Variable] {
    carried.withLock { carried in
      if let known = carried[shapes] { return known }
      let made = shapes.map { Variable(Tensor.zeros($0, dtype: dtype), name: "\(path)/rnn_state") }
      carried[shapes] = made
      return made
    }
  }

  /// What is carried from batch to batch.
  package override var carriedVariables: [Variable] {
    func sizes(_ shapes: [Shape]) -> [Int] { shapes.flatMap(\.dimensions) }
    return carried.withLock { $0 }.sorted { sizes($0.key).lexicographicallyPrecedes(sizes($1.key)) }
      .flatMap(\.value)
  }

  /// A stateful layer begins the next batch with zeros. Keras' `reset_state`.
  public func resetState() {
    for variable in carriedVariables {
      variable.store(Tensor.zeros(variable.shape, dtype: variable.dtype))
    }
  }

  // MARK: Calling

  public override var inputCounts: ClosedRange<Int> { 1...1 + cell.stateCount }

  package override var namedInputs: (name: String, after: Int)? { ("initial_state", 1) }

  public override var supportsMasking: Bool { recurrence.returnSequences }

  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    [recurrence.returnSequences ? inputs[0].mask : nil] + results.dropFirst().map { _ in nil }
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    let sequence = inputs[0]
    let step = step(of: sequence.shape)
    let masks = cell.drawMasks(for: step, context)
    return results(inputs, masks, context)
  }

  /// The results with what is dropped given from outside.
  func results(_ inputs: [Tensor], _ masks: CellMasks, _ context: CallContext) -> [Tensor] {
    let sequence = inputs[0]
    let shapes = cell.stateShapes(for: step(of: sequence.shape))
    let carried = recurrence.stateful ? carriedStates(shapes) : []
    var states = Array(inputs.dropFirst())
    if states.isEmpty { states = carried.map(\.value) }
    states = cell.cast(states: states)
    // As Keras: a mask that came with the sequence is left out beside an initial state, one that was given is not.
    let mask = inputs.count == 1 || context.isMaskGiven ? sequence.mask : nil
    let (output, after) =
      whole(sequence, states, masks, mask) ?? stepByStep(sequence, states, shapes, masks, mask, context)
    for (variable, state) in zip(carried, after) { variable.value = state.stopGradient().cast(to: dtype) }
    let results = [output] + (recurrence.returnState ? after : [])
    for result in results { addActivity(recurrence.activityRegularizer, of: result, context) }
    return results
  }

  // MARK: The two ways

  /// In force where tests compare the two.
  @TaskLocal static var composesSteps = false

  /// By the engine's operation for all steps; nil where there is none for this cell.
  private func whole(
    _ sequence: Tensor, _ states: [Tensor], _ masks: CellMasks, _ mask: Tensor?
  ) -> (Tensor, [Tensor])? {
    guard let cell = cell as? KernelCell, let operation = cell.operation, masks.states.isEmpty,
      !Self.composesSteps
    else { return nil }
    let projected = cell.projected(
      sequence.cast(to: cell.computeDType), masks.inputs.map { $0.expanded(axis: 1) })
    let mask = mask?.cast(to: .bool)
    let result = projected.recurrence(
      operation, recurrentKernel: cell.recurrentKernel.value, recurrentBias: cell.recurrentBias,
      initialStates: states.isEmpty ? nil : states, mask: mask, goBackwards: recurrence.goBackwards)
    var output = recurrence.returnSequences ? result.outputs : result.last
    if recurrence.zeroOutputForMask, var counts = mask {
      // In the order in which the steps are taken.
      if recurrence.goBackwards { counts = counts.flipped(axes: [1]) }
      if !recurrence.returnSequences {
        counts = counts.sliced(axis: 1, from: counts.shape[1] - 1, count: 1)
      } else {
        counts = counts.expanded(axis: -1)
      }
      output = Tensor.select(counts, output, Tensor.zeros(like: output))
    }
    return (output, result.states)
  }

  private func stepByStep(
    _ sequence: Tensor, _ states: [Tensor], _ shapes: [Shape], _ masks: CellMasks, _ mask: Tensor?,
    _ context: CallContext
  ) -> (Tensor, [Tensor]) {
    let loop = RecurrentLoop(
      program: cell.program(masks, context), goBackwards: recurrence.goBackwards,
      zeroOutputForMask: recurrence.zeroOutputForMask)
    let start =
      states.isEmpty ? cell.cast(states: shapes.map { Tensor.zeros($0, dtype: computeDType) }) : states
    let result = loop(sequence, start, mask: mask, allOutputs: recurrence.returnSequences)
    let output = recurrence.returnSequences ? Tensor.stack(result.outputs, axis: 1) : result.last
    return (output, result.states)
  }
}
