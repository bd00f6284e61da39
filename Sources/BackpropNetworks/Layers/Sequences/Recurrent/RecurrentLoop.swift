import BackpropTensors

/// A cell over the steps of a sequence, made of tensor operations: what runs where the engine has no operation for it, and
/// what that operation is compared with.
struct RecurrentLoop {
  let program: CellProgram
  var goBackwards = false
  /// Whether outputs of steps that don't count are 0; else they are the output before.
  var zeroOutputForMask = false

  struct Result {
    /// Of the step that came last.
    var last: Tensor
    /// [batch, steps, …], in the order of the steps; empty where only the last was asked for.
    var outputs: [Tensor]
    var states: [Tensor]
  }

  /// - Parameter mask: bool [batch, steps]: steps that don't count change no state.
  func callAsFunction(_ sequence: Tensor, _ states: [Tensor], mask: Tensor?, allOutputs: Bool) -> Result {
    let stepCount = sequence.shape[1]
    if Tracer.wantsTypes, stepCount > 2 {
      // All steps give the same types; thousands of them would be recorded for nothing.
      let two = sequence.sliced(axis: 1, from: 0, count: 2)
      let counts = mask?.sliced(axis: 1, from: 0, count: 2)
      var result = self(two, states, mask: counts, allOutputs: false)
      if allOutputs { result.outputs = Array(repeating: result.last, count: stepCount) }
      return result
    }
    var states = states
    var outputs: [Tensor] = []
    var last: Tensor?
    var steps = program.project(sequence).steps
    var counts = mask.map { $0.cast(to: .bool).steps }
    if goBackwards {
      steps.reverse()
      counts?.reverse()
    }
    for (number, step) in steps.enumerated() {
      var (output, after) = program.step(step, states)
      if let counts {
        let before = zeroOutputForMask ? nil : last
        output = Self.kept(counts[number], output, before ?? Tensor.zeros(like: output))
        after = zip(after, states).map { Self.kept(counts[number], $0, $1) }
      }
      states = after
      last = output
      if allOutputs { outputs.append(output) }
    }
    return Result(last: last!, outputs: outputs, states: states)
  }

  /// `new` where the step counts.
  private static func kept(_ counts: Tensor, _ new: Tensor, _ old: Tensor) -> Tensor {
    let shape = Shape([counts.shape[0]] + Array(repeating: 1, count: new.rank - 1))
    return Tensor.select(counts.reshaped(to: shape), new, old)
  }
}
