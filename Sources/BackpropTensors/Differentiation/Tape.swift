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
    /// The inputs, then the results: one allocation, since a program may hold millions of records.
    var places: [Place]
    var inputCount: Int32
    /// Slot of the first result; the others follow.
    var firstOutput: Int32
    var backward: @Sendable (Backward) -> [Tensor?]

    var inputs: ArraySlice<Place> { places[..<Int(inputCount)] }
    var outputs: ArraySlice<Place> { places[Int(inputCount)...] }
    var outputSlots: Range<Int> { Int(firstOutput)..<Int(firstOutput) + places.count - Int(inputCount) }
  }

  /// An input or result of a record.
  struct Place: Sendable {
    /// Where its gradient is added; -1 when it isn't on this tape.
    var slot: Int32
    var content: Content

    enum Content: Sendable {
      case kept(Tensor)
      case type(TensorType)
    }

    var type: TensorType {
      switch content {
      case .kept(let tensor): tensor.type
      case .type(let type): type
      }
    }

    var tensor: Tensor? { if case .kept(let tensor) = content { tensor } else { nil } }
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
    var places: [Place] = []
    places.reserveCapacity(inputs.count + outputs.count)
    for (position, input) in inputs.enumerated() {
      var place = Place(slot: -1, content: .type(input.type))
      if case .recorded(let value) = input.source, value.tape === self { place.slot = Int32(value.slot) }
      if keepingInputs.contains(position) { place.content = .kept(primal(of: input)) }
      places.append(place)
    }
    for (position, output) in outputs.enumerated() {
      places.append(
        Place(slot: -1, content: keepingOutputs.contains(position) ? .kept(output) : .type(output.type)))
    }
    let first = state.withLock { state in
      let first = state.slotCount
      state.slotCount += outputs.count
      require(state.slotCount <= Int32.max, "a tape holds up to 2³¹ tensors")
      state.records.append(
        Record(places: places, inputCount: Int32(inputs.count), firstOutput: Int32(first), backward: backward)
      )
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
      guard record.outputSlots.contains(where: { gradients[$0] != nil }) else { continue }
      let wanted = record.inputs.map { $0.slot >= 0 && needed[Int($0.slot)] && $0.type.dtype.isFloatingPoint }
      guard wanted.contains(true) else { continue }
      let inputs = record.backward(
        Backward(
          outputGradients: record.outputSlots.map { gradients[$0] }, wanted: wanted,
          inputTypes: record.inputs.map(\.type), outputTypes: record.outputs.map(\.type),
          inputs: record.inputs.map(\.tensor), outputs: record.outputs.map(\.tensor)))
      for slot in record.outputSlots { gradients[slot] = nil }
      for (position, place) in record.inputs.enumerated() where wanted[position] {
        guard let gradient = inputs[position] else { continue }
        let slot = Int(place.slot)
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
    for record in records where record.inputs.contains(where: { $0.slot >= 0 && reachable[Int($0.slot)] }) {
      for slot in record.outputSlots { reachable[slot] = true }
    }
    return reachable
  }
}
