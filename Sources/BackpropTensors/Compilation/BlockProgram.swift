import CKernels

/// Turns element-wise operations into programs of the C block machine: registers are blocks in the first-level cache,
/// each instruction a loop over one block, so a chain costs one pass over memory.
package enum BlockProgram {
  /// The kernel of one element-wise operation.
  package static func binder(for operation: Operation) -> KernelBinder {
    { inputs, outputs, _ in
      let operands = inputs.indices.map { FusedOperation.Operand.register($0) }
      let single = FusedOperation(
        shape: outputs[0].shape, inputCount: inputs.count,
        steps: [.init(operation: operation, operands: operands)],
        outputs: [.init(register: inputs.count, type: outputs[0].type, reduction: nil)])
      return bind(single, inputs, outputs)
    }
  }

  /// The kernel of a reduction by itself.
  package static func reduce(
    _ input: Buffer, _ output: Buffer, axes: [Int], reduction: ck_reduction, named name: String
  ) -> BoundKernel? {
    guard input.dtype == .float32, input.count > 0 else { return nil }
    let whole = ReductionOperation(.init(reduction), axes: axes, keepDims: false)
    let program = FusedOperation(
      shape: input.shape, inputCount: 1, steps: [],
      outputs: [.init(register: 0, type: output.type, reduction: whole)])
    return bind(program, [input], [output])
  }

  /// nil when the block machine can't take it: other dtypes, too many axes or registers, nothing to do.
  package static func bind(_ fused: FusedOperation, _ inputs: [Buffer], _ outputs: [Buffer]) -> BoundKernel? {
    guard let box = program(fused, inputs, outputs) else { return nil }
    return BoundKernel(
      call: ck_call(run: ck_program_run, context: UnsafeMutableRawPointer(box.program)), owner: box,
      implementation: "block program")
  }

  package static func program(_ fused: FusedOperation, _ inputs: [Buffer], _ outputs: [Buffer]) -> ProgramBox?
  {
    guard fused.shape.elementCount > 0, takes(fused, inputs, outputs) else { return nil }
    var strides = inputs.map { $0.shape.broadcastStrides(to: fused.shape) }
    var reducedAxes = Set<Int>()
    for output in fused.outputs {
      strides.append(outputStrides(output, over: fused.shape))
      if let reduction = output.reduction { reducedAxes.formUnion(reduction.axes) }
    }
    let groups = (0..<fused.shape.rank).map { reducedAxes.contains($0) ? 1 : 0 }
    var joined = JoinedAxes(shape: fused.shape, strides: strides, groups: groups)
    if joined.sizes.isEmpty {
      joined.sizes = [1]
      joined.strides = strides.map { _ in [1] }
      joined.members = [[]]
    }
    guard joined.sizes.count <= Int(CK_MAX_DIMS) else { return nil }
    var code = BlockCode(fused)
    guard code.lower() else { return nil }
    return ProgramBox(fused, code, joined, reducedAxes, inputs, outputs)
  }

  private static func takes(_ fused: FusedOperation, _ inputs: [Buffer], _ outputs: [Buffer]) -> Bool {
    let converts = fused.steps.contains { if case .conversion = $0.operation { true } else { false } }
    let inputsFit = inputs.allSatisfy {
      $0.dtype == .float32 || $0.dtype == .bool || (converts && $0.dtype != .float64)
    }
    let outputsFit = outputs.allSatisfy {
      $0.dtype == .float32 || $0.dtype == .bool || (converts && $0.dtype == .bfloat16)
    }
    return inputsFit && outputsFit
  }

  /// Steps over the iteration shape: 0 along reduced axes.
  private static func outputStrides(_ output: FusedOperation.Output, over shape: Shape) -> [Int] {
    guard let reduction = output.reduction else { return shape.strides }
    var kept = shape
    for axis in reduction.axes { kept.dimensions[axis] = 1 }
    var strides = kept.strides
    for axis in reduction.axes { strides[axis] = 0 }
    return strides
  }
}

extension ReductionOperation.Kind {
  init(_ reduction: ck_reduction) {
    switch reduction {
    case CK_PRODUCT: self = .product
    case CK_MAXIMUM: self = .maximum
    case CK_MINIMUM: self = .minimum
    default: self = .sum
    }
  }

  var code: ck_reduction {
    switch self {
    case .sum: CK_SUM
    case .product: CK_PRODUCT
    case .maximum: CK_MAXIMUM
    case .minimum: CK_MINIMUM
    }
  }
}

/// A program with the arrays it points to.
package final class ProgramBox {
  package let program: UnsafeMutablePointer<ck_program>
  private let inputs: UnsafeMutablePointer<ck_operand>
  private let outputs: UnsafeMutablePointer<ck_output>
  private let instructions: UnsafeMutablePointer<ck_instruction>
  private let functions: [AnyObject]

  init(
    _ fused: FusedOperation, _ code: BlockCode, _ axes: JoinedAxes, _ reduced: Set<Int>, _ inputs: [Buffer],
    _ outputs: [Buffer]
  ) {
    self.inputs = .allocate(capacity: Swift.max(inputs.count, 1))
    self.outputs = .allocate(capacity: outputs.count)
    instructions = .allocate(capacity: Swift.max(code.instructions.count, 1))
    program = .allocate(capacity: 1)
    functions = code.functions
    for (position, buffer) in inputs.enumerated() {
      var operand = ck_operand()
      operand.data = buffer.bytes
      operand.dtype = buffer.dtype.kernelCode
      fill(&operand.strides, axes.strides[position])
      self.inputs[position] = operand
    }
    for (position, buffer) in outputs.enumerated() {
      var output = ck_output()
      output.operand.data = buffer.bytes
      output.operand.dtype = buffer.dtype.kernelCode
      fill(&output.operand.strides, axes.strides[inputs.count + position])
      output.reg = code.outputRegisters[position]
      let reduction = fused.outputs[position].reduction?.kind.code ?? CK_STORE
      output.reduction = Int32(reduction.rawValue)
      output.scale = 1
      self.outputs[position] = output
    }
    for (position, instruction) in code.instructions.enumerated() { instructions[position] = instruction }
    var description = ck_program()
    description.rank = Int32(axes.sizes.count)
    fill(&description.dims, axes.sizes)
    for (position, members) in axes.members.enumerated() where members.contains(where: reduced.contains) {
      description.reduced |= 1 << UInt32(position)
    }
    description.input_count = Int32(inputs.count)
    description.output_count = Int32(outputs.count)
    description.instruction_count = Int32(code.instructions.count)
    description.register_count = Int32(code.registerCount)
    description.inputs = UnsafePointer(self.inputs)
    description.outputs = UnsafePointer(self.outputs)
    description.instructions = UnsafePointer(instructions)
    program.initialize(to: description)
  }

  deinit {
    ck_program_release(program)
    inputs.deallocate()
    outputs.deallocate()
    instructions.deallocate()
    program.deallocate()
  }
}
