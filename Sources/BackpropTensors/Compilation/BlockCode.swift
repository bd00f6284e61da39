import CKernels

/// Instructions of the block machine for the steps of a fused operation, with registers shared by values that don't
/// live at the same time.
struct BlockCode {
  private let fused: FusedOperation
  private(set) var instructions: [ck_instruction] = []
  private(set) var outputRegisters: [UInt16] = []
  private(set) var functions: [AnyObject] = []
  private(set) var registerCount: Int

  /// The machine register that holds each value (input or step) now.
  private var places: [Int]
  /// How often each value is still read, outputs included.
  private var reads: [Int]
  private var free: [Int] = []
  /// Multiplications that the addition which reads them does too, and differences that the blend does which reads them.
  private var absorbed = Set<Int>()
  /// a + (b − a) · constant, by the step of the addition.
  private var blends: [Int: Blend] = [:]

  private struct Blend {
    let from: Int
    let to: FusedOperation.Operand
    let share: Double
  }

  init(_ fused: FusedOperation) {
    self.fused = fused
    registerCount = fused.inputCount
    let count = fused.inputCount + fused.steps.count
    places = Array(0..<fused.inputCount) + [Int](repeating: -1, count: fused.steps.count)
    reads = [Int](repeating: 0, count: count)
    for step in fused.steps {
      for case .register(let register) in step.operands { reads[register] += 1 }
    }
    // A result stays in its register to the end.
    for output in fused.outputs { reads[output.register] += 1 }
  }

  /// False when the machine's limits are exceeded.
  mutating func lower() -> Bool {
    for position in fused.steps.indices { absorbProduct(position) }
    for position in fused.steps.indices { absorbDifference(position) }
    for position in fused.steps.indices where !absorbed.contains(position) {
      guard lower(position) else { return false }
    }
    for output in fused.outputs { outputRegisters.append(UInt16(resultRegister(output))) }
    return registerCount <= Int(CK_MAX_REGISTERS) && instructions.count <= Int(CK_MAX_INSTRUCTIONS)
      && fused.outputs.count <= Int(CK_MAX_OUTPUTS)
  }

  /// A stored result that is an input's register itself needs an instruction that writes it.
  private mutating func resultRegister(_ output: FusedOperation.Output) -> Int {
    let place = places[output.register]
    guard place < fused.inputCount, output.reduction == nil else { return place }
    let register = takeRegister()
    emit(CK_COPY, to: register, place)
    return register
  }

  // MARK: Registers

  private mutating func takeRegister() -> Int {
    if let register = free.popLast() { return register }
    registerCount += 1
    return registerCount - 1
  }

  private mutating func release(_ value: Int) {
    reads[value] -= 1
    let place = places[value]
    guard reads[value] == 0, place >= fused.inputCount else { return }
    // Another value may be the same register under another name.
    let isShared = places.indices.contains { $0 != value && places[$0] == place && reads[$0] > 0 }
    if !isShared { free.append(place) }
  }

  // MARK: Steps

  /// a · b + c in one instruction where the product is read by that addition only.
  private mutating func absorbProduct(_ position: Int) {
    let step = fused.steps[position]
    guard step.operation == .binary(.add) else { return }
    for case .register(let value) in step.operands {
      let product = value - fused.inputCount
      guard product >= 0, !absorbed.contains(product), reads[value] == 1,
        fused.steps[product].operation == .binary(.multiply),
        step.operands.allSatisfy({ if case .register = $0 { true } else { false } })
      else { continue }
      absorbed.insert(product)
      return
    }
  }

  /// a + (b − a) · constant in one instruction: the moving averages of every optimizer.
  private mutating func absorbDifference(_ position: Int) {
    let step = fused.steps[position]
    guard step.operation == .binary(.add) else { return }
    for side in 0..<2 {
      guard case .register(let product) = step.operands[side], absorbed.contains(product - fused.inputCount),
        case .register(let from) = step.operands[1 - side],
        let (difference, share) = scaled(product - fused.inputCount)
      else { continue }
      let subtraction = difference - fused.inputCount
      guard subtraction >= 0, reads[difference] == 1,
        fused.steps[subtraction].operation == .binary(.subtract),
        fused.steps[subtraction].operands[1] == .register(from)
      else { continue }
      absorbed.insert(subtraction)
      blends[position] = Blend(from: from, to: fused.steps[subtraction].operands[0], share: share)
      return
    }
  }

  /// Value and constant of a multiplication by a constant.
  private func scaled(_ position: Int) -> (value: Int, constant: Double)? {
    let operands = fused.steps[position].operands
    switch (operands[0], operands[1]) {
    case (.register(let value), .constant(let constant)), (.constant(let constant), .register(let value)):
      return (value, constant)
    default: return nil
    }
  }

  private mutating func lower(_ position: Int) -> Bool {
    let step = fused.steps[position]
    let value = fused.inputCount + position
    let rule = step.operation.rule
    guard let element = rule.element else { return false }
    switch element {
    case .conversion:
      lowerConversion(step, to: value)
    case .opcode(let code) where UInt32(code) == CK_COPY.rawValue:
      // Stretching: the register already holds the whole iteration shape.
      alias(step.operands[0], as: value)
    case .opcode(let code):
      if let blend = blends[position] {
        let (from, to) = (places[blend.from], register(of: blend.to))
        // Both read `from`: the difference and the sum.
        finish([.register(blend.from), .register(blend.from), blend.to], to: value) {
          $0.emit(CK_LERP_I, to: $1, from, to, immediate: Float(blend.share))
        }
        return true
      }
      if lowerMultiplyAdd(step, to: value) { return true }
      lower(ck_opcode(UInt32(code)), step.operands, to: value)
    case .function(let function):
      let operands = step.operands.map { register(of: $0) }
      let box = FunctionBox(function)
      functions.append(box)
      finish(step.operands, to: value) { code, target in
        code.emit(
          CK_CALL, to: target, operands[0], operands.count > 1 ? operands[1] : operands[0], function: box)
      }
    }
    return true
  }

  private mutating func lowerConversion(_ step: FusedOperation.Step, to value: Int) {
    guard case .conversion(.cast(.bool)) = step.operation else {
      alias(step.operands[0], as: value)
      return
    }
    let source = register(of: step.operands[0])
    finish(step.operands, to: value) { $0.emit(CK_NE_I, to: $1, source, immediate: 0) }
  }

  private mutating func alias(_ operand: FusedOperation.Operand, as value: Int) {
    guard case .register(let source) = operand else {
      places[value] = register(of: operand)
      return
    }
    places[value] = places[source]
    release(source)
  }

  private mutating func lowerMultiplyAdd(_ step: FusedOperation.Step, to value: Int) -> Bool {
    guard step.operation == .binary(.add), step.operands.count == 2 else { return false }
    for side in 0..<2 {
      guard case .register(let product) = step.operands[side], absorbed.contains(product - fused.inputCount)
      else {
        continue
      }
      let other = step.operands[1 - side]
      let factors = fused.steps[product - fused.inputCount].operands
      let addend = register(of: other)
      let all = factors + [other]
      if case .constant(let factor) = factors[1] {
        let left = register(of: factors[0])
        finish(all, to: value) { $0.emit(CK_MULADD_I, to: $1, left, addend, immediate: Float(factor)) }
      } else if case .constant(let factor) = factors[0] {
        let right = register(of: factors[1])
        finish(all, to: value) { $0.emit(CK_MULADD_I, to: $1, right, addend, immediate: Float(factor)) }
      } else {
        let (left, right) = (register(of: factors[0]), register(of: factors[1]))
        finish(all, to: value) { $0.emit(CK_MULADD, to: $1, left, right, addend) }
      }
      return true
    }
    return false
  }

  private mutating func lower(_ opcode: ck_opcode, _ operands: [FusedOperation.Operand], to value: Int) {
    if operands.count == 2, case .constant(let constant) = operands[1],
      let form = Self.immediateRight(opcode, constant)
    {
      let left = register(of: operands[0])
      finish(operands, to: value) { $0.emit(form.0, to: $1, left, immediate: form.1) }
      return
    }
    if operands.count == 2, case .constant(let constant) = operands[0],
      let form = Self.immediateLeft(opcode, constant)
    {
      let right = register(of: operands[1])
      finish(operands, to: value) { $0.emit(form.0, to: $1, right, immediate: form.1) }
      return
    }
    let registers = operands.map { register(of: $0) }
    finish(operands, to: value) { code, target in
      code.emit(
        opcode, to: target, registers[0], registers.count > 1 ? registers[1] : 0,
        registers.count > 2 ? registers[2] : 0)
    }
  }

  /// The register of an operand; a constant is set into one of its own.
  private mutating func register(of operand: FusedOperation.Operand) -> Int {
    switch operand {
    case .register(let value): return places[value]
    case .constant(let constant):
      let register = takeRegister()
      emit(CK_SET_I, to: register, 0, immediate: Float(constant))
      return register
    }
  }

  /// Frees what was read for the last time, then takes a register for the result: it may be one just freed, since
  /// every instruction reads an element before it writes it.
  private mutating func finish(
    _ operands: [FusedOperation.Operand], to value: Int, _ emit: (inout BlockCode, Int) -> Void
  ) {
    for case .register(let source) in operands { release(source) }
    let target = takeRegister()
    places[value] = target
    emit(&self, target)
  }

  private mutating func emit(
    _ opcode: ck_opcode, to target: Int, _ a: Int, _ b: Int = 0, _ c: Int = 0, immediate: Float = 0,
    function: FunctionBox? = nil
  ) {
    var instruction = ck_instruction()
    instruction.opcode = UInt16(opcode.rawValue)
    instruction.dst = UInt16(target)
    instruction.a = UInt16(a)
    instruction.b = UInt16(b)
    instruction.c = UInt16(c)
    instruction.immediate = immediate
    if let function {
      instruction.context = Unmanaged.passUnretained(function).toOpaque()
      instruction.function = { context, target, a, b, count in
        let function = Unmanaged<FunctionBox>.fromOpaque(context!).takeUnretainedValue().function
        for index in 0..<Int(count) { target![index] = function(a![index], b![index]) }
      }
    }
    instructions.append(instruction)
  }

  // MARK: Immediates

  /// `register op constant`
  private static func immediateRight(_ opcode: ck_opcode, _ constant: Double) -> (ck_opcode, Float)? {
    let value = Float(constant)
    return switch opcode {
    case CK_ADD: (CK_ADD_I, value)
    case CK_SUB: (CK_ADD_I, -value)
    case CK_MUL: (CK_MUL_I, value)
    case CK_DIV: (CK_DIV_I, value)
    case CK_MAX: (CK_MAX_I, value)
    case CK_MIN: (CK_MIN_I, value)
    case CK_POW: (CK_POW_I, value)
    case CK_EQ: (CK_EQ_I, value)
    case CK_NE: (CK_NE_I, value)
    case CK_LT: (CK_LT_I, value)
    case CK_LE: (CK_LE_I, value)
    case CK_GT: (CK_GT_I, value)
    case CK_GE: (CK_GE_I, value)
    default: nil
    }
  }

  /// `constant op register`
  private static func immediateLeft(_ opcode: ck_opcode, _ constant: Double) -> (ck_opcode, Float)? {
    let value = Float(constant)
    return switch opcode {
    case CK_ADD: (CK_ADD_I, value)
    case CK_SUB: (CK_RSUB_I, value)
    case CK_MUL: (CK_MUL_I, value)
    case CK_DIV: (CK_RDIV_I, value)
    case CK_MAX: (CK_MAX_I, value)
    case CK_MIN: (CK_MIN_I, value)
    case CK_POW: (CK_RPOW_I, value)
    case CK_EQ: (CK_EQ_I, value)
    case CK_NE: (CK_NE_I, value)
    case CK_LT: (CK_GT_I, value)
    case CK_LE: (CK_GE_I, value)
    case CK_GT: (CK_LT_I, value)
    case CK_GE: (CK_LE_I, value)
    default: nil
    }
  }
}

private final class FunctionBox {
  let function: (Float, Float) -> Float
  init(_ function: @escaping (Float, Float) -> Float) { self.function = function }
}
