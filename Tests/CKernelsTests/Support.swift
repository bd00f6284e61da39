import CKernels
import Testing

/// Every suite of kernels stands in here: two at once would fight for the pool of threads.
@Suite(.serialized) enum Kernels {}

/// The instruction sets this processor has, fastest first.
let instructionSets: [String] = {
  let chosen = String(cString: ck_instruction_set())
  defer { ck_set_instruction_set(chosen) }
  return ["x86-64-v4", "x86-64-v3", "default"].filter { ck_set_instruction_set($0) }
}()

/// Runs the body with every instruction set, then with the one that was chosen.
func forEachInstructionSet(_ body: (String) throws -> Void) rethrows {
  let chosen = String(cString: ck_instruction_set())
  defer { ck_set_instruction_set(chosen) }
  for name in instructionSets {
    ck_set_instruction_set(name)
    try body(name)
  }
}

/// Runs the body on one thread and on two; both results.
func onOneAndTwoThreads<Result>(_ body: () throws -> Result) rethrows -> (Result, Result) {
  let before = ck_thread_count()
  defer { ck_set_thread_count(before) }
  ck_set_thread_count(1)
  let one = try body()
  ck_set_thread_count(2)
  return (one, try body())
}

/// Keeps memory that is used through its pointer alone alive to here.
func keep(_ memory: Any...) { withExtendedLifetime(memory) {} }

/// Aligned memory with canaries behind it.
final class Memory<Element: BitwiseCopyable> {
  let pointer: UnsafeMutablePointer<Element>
  let count: Int
  private let raw: UnsafeMutableRawPointer
  private static var guardBytes: Int { 64 }

  init(_ values: [Element]) {
    count = values.count
    let bytes = count * MemoryLayout<Element>.stride
    raw = .allocate(byteCount: bytes + Self.guardBytes, alignment: 64)
    pointer = raw.bindMemory(to: Element.self, capacity: count)
    for (i, value) in values.enumerated() { pointer[i] = value }
    for i in 0..<Self.guardBytes { raw.storeBytes(of: 0xA5, toByteOffset: bytes + i, as: UInt8.self) }
  }
  convenience init(repeating value: Element, count: Int) { self.init(Array(repeating: value, count: count)) }

  deinit { raw.deallocate() }

  var values: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
  /// Whether nothing was written past the end.
  var isIntact: Bool {
    let bytes = count * MemoryLayout<Element>.stride
    return (0..<Self.guardBytes).allSatisfy { raw.load(fromByteOffset: bytes + $0, as: UInt8.self) == 0xA5 }
  }
}

/// A six-tuple as C's arrays are imported.
typealias SixInts = (Int64, Int64, Int64, Int64, Int64, Int64)
func six(_ values: [Int]) -> SixInts {
  let v = values.map(Int64.init) + Array(repeating: 0, count: 6 - values.count)
  return (v[0], v[1], v[2], v[3], v[4], v[5])
}

/// Row-major strides.
func rowMajor(_ dims: [Int]) -> [Int] {
  var strides = Array(repeating: 1, count: dims.count)
  for d in stride(from: dims.count - 2, through: 0, by: -1) { strides[d] = strides[d + 1] * dims[d + 1] }
  return strides
}

/// Every combination of indices, in row-major order.
func positions(_ dims: [Int]) -> [[Int]] {
  dims.reduce([[]]) { partial, extent in partial.flatMap { p in (0..<extent).map { p + [$0] } } }
}

func offset(_ position: [Int], _ strides: [Int]) -> Int { zip(position, strides).map(*).reduce(0, +) }

struct Operand {
  var data: UnsafeMutableRawPointer
  var owner: AnyObject
  var dtype: ck_dtype = CK_F32
  var strides: [Int]
  init<T>(_ memory: Memory<T>, _ strides: [Int], _ dtype: ck_dtype = CK_F32) {
    data = UnsafeMutableRawPointer(memory.pointer)
    owner = memory
    self.dtype = dtype
    self.strides = strides
  }
  var c: ck_operand {
    ck_operand(data: data, dtype: Int32(bitPattern: dtype.rawValue), strides: six(strides))
  }
}

struct Output {
  var operand: Operand
  var register: Int
  var reduction: ck_reduction = CK_STORE
  var scale: Float = 1
}

func instruction(
  _ opcode: ck_opcode, _ dst: Int, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, immediate: Float = 0
) -> ck_instruction {
  ck_instruction(
    opcode: UInt16(opcode.rawValue), dst: UInt16(dst), a: UInt16(a), b: UInt16(b), c: UInt16(c),
    immediate: immediate, function: nil, context: nil)
}

func withProgram<Result>(
  dims: [Int], reduced: Set<Int> = [], inputs: [Operand], instructions: [ck_instruction], outputs: [Output],
  _ body: (UnsafeMutablePointer<ck_program>) throws -> Result
) rethrows -> Result {
  let owners = inputs.map(\.owner) + outputs.map(\.operand.owner)
  defer { withExtendedLifetime(owners) {} }
  let inputs = inputs.map(\.c)
  let outputs = outputs.map {
    ck_output(
      operand: $0.operand.c, reg: UInt16($0.register), reduction: Int32(bitPattern: $0.reduction.rawValue),
      scale: $0.scale)
  }
  return try inputs.withUnsafeBufferPointer { inputs in
    try outputs.withUnsafeBufferPointer { outputs in
      try instructions.withUnsafeBufferPointer { instructions in
        var program = ck_program(
          rank: Int32(dims.count), dims: six(dims), reduced: reduced.reduce(0) { $0 | 1 << UInt32($1) },
          input_count: Int32(inputs.count), output_count: Int32(outputs.count),
          instruction_count: Int32(instructions.count), register_count: 64, inputs: inputs.baseAddress,
          outputs: outputs.baseAddress, instructions: instructions.baseAddress, kept: nil)
        defer { ck_program_release(&program) }
        return try body(&program)
      }
    }
  }
}

func runProgram(
  dims: [Int], reduced: Set<Int> = [], inputs: [Operand], instructions: [ck_instruction], outputs: [Output]
) {
  withProgram(dims: dims, reduced: reduced, inputs: inputs, instructions: instructions, outputs: outputs) {
    ck_program_run($0)
  }
}

/// Repeatable numbers in −1...1 (a linear congruential generator; the kernels' own are under test).
struct Numbers {
  var state: UInt64
  init(seed: UInt64) { state = seed &* 2_862_933_555_777_941_757 &+ 3_037_000_493 }
  mutating func next() -> Float {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(Int32(truncatingIfNeeded: state >> 33)) / Float(1 << 30) - 1
  }
  mutating func take(_ count: Int) -> [Float] { (0..<count).map { _ in next() } }
}

/// Distance in units of the expected value's last place (below the normal range: of the smallest normal's).
func ulps(_ found: Float, _ expected: Double) -> Double {
  if expected.isNaN { return found.isNaN ? 0 : .infinity }
  let rounded = Float(expected)
  if found == rounded { return 0 }
  if !found.isFinite || !rounded.isFinite {
    // Near overflow, either side of infinity is a matter of the last place.
    let limit = Double(Float.greatestFiniteMagnitude)
    return found.isNaN || abs(abs(expected) / limit - 1) > 1e-6 ? .infinity : 1
  }
  return abs(Double(found) - expected) / Double(max(rounded.ulp, Float.leastNormalMagnitude.ulp))
}
