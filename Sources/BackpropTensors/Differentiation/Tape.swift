import Synchronization

/// A tensor whose every use is noted on a tape: a value (`primal`) and its place there.
package final class RecordedValue: Sendable {
  package let primal: Tensor
  package let tape: Tape
  package let slot: Int

  init(primal: Tensor, tape: Tape, slot: Int) {
    self.primal = primal
    self.tape = tape
    self.slot = slot
  }
}

/// The operations that led from the watched tensors to a result, in order.
///
/// A flat array, not linked records: it is walked and released by loops, so a million operations need no stack. Tapes
/// nest: an inner tape's tensors hold the outer tape's as their primal values, so what the backward pass of one does is
/// noted on the other, and gradients of gradients need nothing more.
package final class Tape: Sendable {
  struct Record: Sendable {
    var inputSlots: [Int]  // -1: not on this tape
    var outputSlots: Range<Int>
    var inputTypes: [TensorType]
    var outputTypes: [TensorType]
    var inputs: [Tensor?]
    var outputs: [Tensor?]
    var backward: @Sendable (Backward) -> [Tensor?]
  }

  private struct State: Sendable {
    var records: [Record] = []
    var slotCount = 0
  }

  /// Inner tapes are made later: of several tapes among an operation's inputs the one with the highest number records.
  package let level: Int
  private let state = Mutex(State())
  private static let levels = Atomic<Int>(0)

  package init() {
    level = Tape.levels.add(1, ordering: .relaxed).newValue
  }

  /// The same values as `tensor`, from here on recorded.
  package func watch(_ tensor: Tensor) -> Tensor {
    wrap(
      tensor,
      slot: state.withLock { state in
        state.slotCount += 1
        return state.slotCount - 1
      })
  }

  private func wrap(_ primal: Tensor, slot: Int) -> Tensor {
    Tensor(
      shape: primal.shape, dtype: primal.dtype,
      source: .recorded(RecordedValue(primal: primal, tape: self, slot: slot)))
  }

  package func isWatching(_ tensor: Tensor) -> Bool {
    if case .recorded(let value) = tensor.source { return value.tape === self }
    return false
  }

  /// What `tensor` is below this tape.
  package func primal(of tensor: Tensor) -> Tensor {
    if case .recorded(let value) = tensor.source, value.tape === self { return value.primal }
    return tensor
  }

  /// Notes that `backward` leads from `outputs`' gradients to `inputs`', and gives the outputs back as recorded tensors.
  package func record(
    inputs: [Tensor], outputs: [Tensor], keepingInputs: [Int], keepingOutputs: [Int],
    backward: @escaping @Sendable (Backward) -> [Tensor?]
  ) -> [Tensor] {
    var slots: [Int] = []
    var kept = [Tensor?](repeating: nil, count: inputs.count)
    for input in inputs {
      if case .recorded(let value) = input.source, value.tape === self {
        slots.append(value.slot)
      } else {
        slots.append(-1)
      }
    }
    for position in keepingInputs { kept[position] = primal(of: inputs[position]) }
    var keptOutputs = [Tensor?](repeating: nil, count: outputs.count)
    for position in keepingOutputs { keptOutputs[position] = outputs[position] }
    let inputTypes = inputs.map(\.type)
    let outputTypes = outputs.map(\.type)
    let first = state.withLock { state in
      let first = state.slotCount
      state.slotCount += outputs.count
      state.records.append(
        Record(
          inputSlots: slots, outputSlots: first..<first + outputs.count, inputTypes: inputTypes,
          outputTypes: outputTypes, inputs: kept, outputs: keptOutputs, backward: backward))
      return first
    }
    return outputs.enumerated().map { position, output in
      output.dtype.isFloatingPoint ? wrap(output, slot: first + position) : output
    }
  }

  /// The gradients at `sources` (watched tensors) for the given gradients of `results`; nil where nothing depends on a
  /// source.
  package func gradients(of results: [(Tensor, Tensor)], at sources: [Tensor]) -> [Tensor?] {
    let (records, slotCount) = state.withLock { ($0.records, $0.slotCount) }
    var gradients = [Tensor?](repeating: nil, count: slotCount)
    for (result, gradient) in results {
      guard case .recorded(let value) = result.source, value.tape === self else { continue }
      gradients[value.slot] = gradients[value.slot].map { $0 + gradient } ?? gradient
    }
    let needed = slotsReachable(from: sources, records: records, slotCount: slotCount)
    for record in records.reversed() {
      let outputs = record.outputSlots.map { gradients[$0] }
      guard outputs.contains(where: { $0 != nil }) else { continue }
      let wanted = zip(record.inputSlots, record.inputTypes).map { slot, type in
        slot >= 0 && needed[slot] && type.dtype.isFloatingPoint
      }
      guard wanted.contains(true) else { continue }
      let inputs = record.backward(
        Backward(
          outputGradients: outputs, wanted: wanted, inputTypes: record.inputTypes,
          outputTypes: record.outputTypes,
          inputs: record.inputs, outputs: record.outputs))
      for slot in record.outputSlots { gradients[slot] = nil }
      for (position, slot) in record.inputSlots.enumerated() where wanted[position] {
        guard let gradient = inputs[position] else { continue }
        gradients[slot] = gradients[slot].map { $0 + gradient } ?? gradient
      }
    }
    return sources.map { source in
      guard case .recorded(let value) = source.source, value.tape === self else { return nil }
      return gradients[value.slot]
    }
  }

  /// Slots whose value depends on one of `sources`: the others need no backward work.
  private func slotsReachable(from sources: [Tensor], records: [Record], slotCount: Int) -> [Bool] {
    var reachable = [Bool](repeating: false, count: slotCount)
    for source in sources {
      if case .recorded(let value) = source.source, value.tape === self { reachable[value.slot] = true }
    }
    for record in records where record.inputSlots.contains(where: { $0 >= 0 && reachable[$0] }) {
      for slot in record.outputSlots { reachable[slot] = true }
    }
    return reachable
  }
}
