import Testing

@testable import BackpropTensors

@Suite("Recurrent cells")
struct RecurrentOperationTests {
  private static let cells: [RecurrentCell] = [
    .simple, .lstm, .gru(resetAfter: true), .gru(resetAfter: false),
  ]

  private struct Inputs {
    var x, kernel: Tensor
    var states: [Tensor]
  }

  private func inputs(_ cell: RecurrentCell, batch: Int = 3, time: Int = 4, units: Int = 5) -> Inputs {
    let random = RandomGenerator(seed: 9)
    return Inputs(
      x: random.normal([batch, time, cell.gates * units]),
      kernel: random.normal([units, cell.gates * units]),
      states: (0..<cell.stateCount).map { _ in random.normal([batch, units]) })
  }

  @Test("an LSTM's step is what its equations say")
  func equations() {
    let given = inputs(.lstm, time: 1)
    let result = given.x.recurrence(.lstm, recurrentKernel: given.kernel, initialStates: given.states)
    let sums = given.x.squeezed(axes: [1]) + given.states[0].matmul(given.kernel)
    func gate(_ number: Int) -> Tensor { sums.sliced(axis: 1, from: number * 5, count: 5) }
    let cell = gate(1).sigmoid() * given.states[1] + gate(0).sigmoid() * gate(2).tanh()
    let h = gate(3).sigmoid() * cell.tanh()
    #expect((result.states[1] - cell).abs().max().item() < 1e-6)
    #expect((result.last - h).abs().max().item() < 1e-6)
  }

  @Test("the last output is the last of the outputs, and the state", arguments: cells, [false, true])
  func lastOutput(_ cell: RecurrentCell, backwards: Bool) {
    let given = inputs(cell)
    let result = given.x.recurrence(cell, recurrentKernel: given.kernel, goBackwards: backwards)
    #expect(result.outputs.shape == [3, 4, 5])
    #expect(result.outputs.sliced(axis: 1, from: 3, count: 1).floats == result.last.floats)
    #expect(result.states[0].floats == result.last.floats)
    #expect(result.states.count == cell.stateCount)
  }

  @Test("backwards is forwards over reversed steps", arguments: cells)
  func backwards(_ cell: RecurrentCell) {
    let given = inputs(cell)
    let mask = Tensor([1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1] as [Float], shape: [3, 4]).cast(to: .bool)
    let back = given.x.recurrence(
      cell, recurrentKernel: given.kernel, initialStates: given.states, mask: mask, goBackwards: true)
    let forward = given.x.flipped(axes: [1]).recurrence(
      cell, recurrentKernel: given.kernel, initialStates: given.states, mask: mask.flipped(axes: [1]))
    #expect(back.outputs.floats == forward.outputs.floats)
    #expect(back.states.map(\.floats) == forward.states.map(\.floats))
  }

  @Test(
    "masked steps keep states and outputs; before the first that counts the output is 0", arguments: cells)
  func masks(_ cell: RecurrentCell) {
    let given = inputs(cell, batch: 2)
    let mask = Tensor([0, 1, 0, 1, 0, 0, 0, 0] as [Float], shape: [2, 4]).cast(to: .bool)
    let result = given.x.recurrence(
      cell, recurrentKernel: given.kernel, initialStates: given.states, mask: mask)
    let outputs = result.outputs.floats
    func output(_ row: Int, _ step: Int) -> [Float] {
      Array(outputs[(row * 4 + step) * 5..<(row * 4 + step + 1) * 5])
    }
    #expect(output(0, 0) == Array(repeating: 0, count: 5))
    #expect(output(0, 2) == output(0, 1))
    #expect(output(0, 1) != output(0, 3))
    // The row whose steps are all masked: no output, but its state.
    #expect(output(1, 3) == Array(repeating: 0, count: 5))
    #expect(Array(result.last.floats[5...]) == Array(repeating: 0, count: 5))
    for (state, initial) in zip(result.states, given.states) {
      #expect(Array(state.floats[5...]) == Array(initial.floats[5...]))
    }
    // The two steps that count, alone.
    let counting = Tensor.stack(
      [1, 3].map { given.x[0..<1, $0] }, axis: 1)
    let short = counting.recurrence(
      cell, recurrentKernel: given.kernel, initialStates: given.states.map { $0[0..<1] })
    #expect((short.last - result.last[0..<1]).abs().max().item() < 1e-6)
  }

  @Test("what nobody reads isn't made", arguments: cells)
  func unused(_ cell: RecurrentCell) {
    let (batch, time, units) = (4, 50, 16)
    let given = inputs(cell, batch: batch, time: time, units: units)
    @Sendable func results(_ inputs: [Tensor]) -> Recurrence {
      inputs[0].recurrence(cell, recurrentKernel: inputs[1])
    }
    let types = [given.x.type, given.kernel.type]
    let last = Program.compile(inputs: types) { [results($0).last] }
    let all = Program.compile(inputs: types) { [results($0).outputs] }
    let training = Program.compile(inputs: types) { inputs in
      gradient(at: inputs) { results($0).last.sum() }
    }
    let steps = batch * time * units * 4
    // The inputs, one array of all outputs, and one that has either gates or their gradients.
    #expect(all.plan.arenaBytes - last.plan.arenaBytes >= steps)
    #expect(all.plan.arenaBytes - last.plan.arenaBytes < 2 * steps)
    #expect(training.plan.arenaBytes > all.plan.arenaBytes + steps)
  }

  @Test("the shape over thousands of float64 steps is found without recording them", arguments: cells)
  func shapeOfManySteps(_ cell: RecurrentCell) {
    let given = inputs(cell)
    let steps = TensorType([3, 5000, cell.gates * 5], .float64)
    let graph = Tracer.record(wantsTypesOnly: true) { tracer in
      let kernel = tracer.input(TensorType(given.kernel.shape, .float64))
      let result = tracer.input(steps).recurrence(cell, recurrentKernel: kernel)
      #expect(result.outputs.type == TensorType([3, 5000, 5], .float64))
      return tracer.finish([result.outputs])
    }
    #expect(graph.nodes.count < 10)
  }

  @Test("sums over 200 steps stay finite and small where gates are saturated", arguments: cells)
  func saturated(_ cell: RecurrentCell) {
    let given = inputs(cell, batch: 2, time: 200)
    let result = (given.x * 1e4).recurrence(cell, recurrentKernel: given.kernel)
    #expect(result.last.floats.allSatisfy { abs($0) <= 1 })
    let gradients = gradient(at: [given.x * 1e4, given.kernel]) {
      $0[0].recurrence(cell, recurrentKernel: $0[1]).outputs.sum()
    }
    #expect(gradients.allSatisfy { $0.floats.allSatisfy(\.isFinite) })
  }
}
