import CKernels

extension RecurrentCell {
  fileprivate var kernelCode: Int32 {
    let code: ck_cell =
      switch self {
      case .simple: CK_SIMPLE_CELL
      case .lstm: CK_LSTM_CELL
      case .gru(resetAfter: true): CK_GRU_CELL
      case .gru(resetAfter: false): CK_GRU_CELL_RESET_BEFORE
      }
    return Int32(bitPattern: code.rawValue)
  }

  func scratchBytes(batch: Int, units: Int) -> Int {
    Int(ck_recurrent_scratch_bytes(Int64(batch), Int64(units), Int64(gates)))
  }
}

extension Buffer {
  fileprivate var flags: UnsafePointer<UInt8> { UnsafePointer(bytes.assumingMemoryBound(to: UInt8.self)) }
}

/// As C's arrays of two are imported.
private func pair<Pointer>(_ first: Pointer?, _ second: Pointer?) -> (Pointer?, Pointer?) { (first, second) }

extension RecurrentOptions {
  func kernel(_ inputs: [Buffer], _ outputs: [Buffer], _ scratch: UnsafeMutableRawPointer?) -> BoundKernel? {
    guard inputs[0].dtype == .float32, let scratch else { return nil }
    let inputs = named(inputs)
    let states = outputs[(keepsOutputs ? 1 : 0)..<visibleCount].map(\.mutableFloats)
    let saved = outputs[visibleCount...].map(\.mutableFloats)
    let initial = inputs.states.map { $0.floats }
    var arguments = ck_recurrent()
    arguments.x = inputs.x.floats
    arguments.kernel = inputs.kernel.floats
    arguments.bias = inputs.bias.map { $0.floats }
    arguments.states = pair(initial[0], initial.count > 1 ? initial[1] : nil)
    arguments.mask = inputs.mask?.flags
    arguments.outputs = keepsOutputs ? outputs[0].mutableFloats : nil
    arguments.last = pair(states[0], states.count > 1 ? states[1] : nil)
    arguments.previous = saved.first
    arguments.gates = saved.count > 1 ? saved[1] : nil
    arguments.extra = saved.count > 2 ? saved[2] : nil
    arguments.batch = Int64(inputs.x.shape[0])
    arguments.time = Int64(inputs.x.shape[1])
    arguments.units = Int64(inputs.kernel.shape[0])
    arguments.cell = cell.kernelCode
    arguments.backwards = goesBackwards
    arguments.scratch = scratch.assumingMemoryBound(to: Float.self)
    return BoundKernel(cell.name, arguments, run: ck_recurrent_run)
  }

  func scratchBytes(_ types: [TensorType]) -> Int {
    let inputs = named(types)
    return cell.scratchBytes(batch: inputs.x.shape[0], units: inputs.kernel.shape[0])
  }
}

extension RecurrentGradient {
  func kernel(_ inputs: [Buffer], _ outputs: [Buffer], _ scratch: UnsafeMutableRawPointer?) -> BoundKernel? {
    guard inputs[0].dtype == .float32, let scratch else { return nil }
    let inputs = named(inputs)
    let gradients = inputs.gradients.map { $0.map { $0.floats } }
    let states = options.cell.stateCount
    var arguments = ck_recurrent_gradient()
    arguments.g_outputs = gradients[0]
    arguments.g_last = pair(gradients[1], states > 1 ? gradients[2] : nil)
    arguments.previous = inputs.previous.floats
    arguments.gates = inputs.gates.floats
    arguments.extra = inputs.extra.map { $0.floats }
    arguments.initial_cell = inputs.initialCell.map { $0.floats }
    arguments.kernel = inputs.kernel.floats
    arguments.mask = inputs.mask?.flags
    arguments.projected = outputs[0].mutableFloats
    arguments.states = pair(outputs[1].mutableFloats, states > 1 ? outputs[2].mutableFloats : nil)
    arguments.product = outputs.count > 1 + states ? outputs[1 + states].mutableFloats : nil
    arguments.batch = Int64(inputs.gates.shape[0])
    arguments.time = Int64(inputs.gates.shape[1])
    arguments.units = Int64(inputs.kernel.shape[0])
    arguments.cell = options.cell.kernelCode
    arguments.backwards = options.goesBackwards
    arguments.scratch = scratch.assumingMemoryBound(to: Float.self)
    return BoundKernel("\(options.cell.name) gradient", arguments, run: ck_recurrent_gradient_run)
  }

  func scratchBytes(_ types: [TensorType]) -> Int {
    let inputs = named(types)
    return options.cell.scratchBytes(batch: inputs.gates.shape[0], units: inputs.kernel.shape[0])
  }

  /// Where the gates stand among the inputs.
  var gatesPlace: Int { given.filter { $0 }.count + 1 }
}
