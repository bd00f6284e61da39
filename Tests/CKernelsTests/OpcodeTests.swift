import CKernels
import Foundation
import Testing

@Sendable private func truth(_ condition: Bool) -> Double { condition ? 1 : 0 }

/// What an opcode computes, in double, and how far in float32 it may be off.
private struct Case: Sendable {
  var opcode: ck_opcode
  var name: String
  var tolerance = 0.5
  var value: @Sendable (_ a: Double, _ b: Double, _ c: Double, _ immediate: Double) -> Double
}

private func unary(
  _ opcode: ck_opcode, _ name: String, _ ulps: Double = 0.5, _ f: @escaping @Sendable (Double) -> Double
) -> Case {
  Case(opcode: opcode, name: name, tolerance: ulps) { a, _, _, _ in f(a) }
}
private func binary(
  _ opcode: ck_opcode, _ name: String, _ ulps: Double = 0.5,
  _ f: @escaping @Sendable (Double, Double) -> Double
) -> Case {
  Case(opcode: opcode, name: name, tolerance: ulps) { a, b, _, _ in f(a, b) }
}
private func immediate(
  _ opcode: ck_opcode, _ name: String, _ ulps: Double = 0.5,
  _ f: @escaping @Sendable (Double, Double) -> Double
) -> Case {
  Case(opcode: opcode, name: name, tolerance: ulps) { a, _, _, i in f(a, i) }
}
@Sendable private func larger(_ a: Double, _ b: Double) -> Double { a.isNaN || b.isNaN ? .nan : max(a, b) }
@Sendable private func smaller(_ a: Double, _ b: Double) -> Double { a.isNaN || b.isNaN ? .nan : min(a, b) }

private let unaryCases: [Case] = [
  unary(CK_NEG, "neg") { -$0 }, unary(CK_ABS, "abs") { abs($0) },
  unary(CK_SIGN, "sign") { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 }, unary(CK_SQUARE, "square") { $0 * $0 },
  unary(CK_SQRT, "sqrt") { $0.squareRoot() }, unary(CK_RSQRT, "rsqrt", 1.5) { 1 / $0.squareRoot() },
  unary(CK_RECIPROCAL, "reciprocal") { 1 / $0 }, unary(CK_EXP, "exp", 2) { exp($0) },
  unary(CK_EXPM1, "expm1", 3) { expm1($0) }, unary(CK_LOG, "log", 2) { log($0) },
  unary(CK_LOG1P, "log1p", 3) { log1p($0) }, unary(CK_SIN, "sin", 2) { sin($0) },
  unary(CK_COS, "cos", 2) { cos($0) }, unary(CK_TANH, "tanh", 3) { tanh($0) },
  unary(CK_SIGMOID, "sigmoid", 3) { $0 < 0 ? exp($0) / (1 + exp($0)) : 1 / (1 + exp(-$0)) },
  unary(CK_ERF, "erf", 3) { erf($0) }, unary(CK_RELU, "relu") { $0.isNaN ? .nan : max($0, 0) },
  unary(CK_FLOOR, "floor") { $0.rounded(.down) }, unary(CK_CEIL, "ceil") { $0.rounded(.up) },
  unary(CK_ROUND, "round") { $0.rounded(.toNearestOrEven) }, unary(CK_NOT, "not") { truth($0 == 0) },
  unary(CK_ISFINITE, "isfinite") { truth($0.isFinite) }, unary(CK_ISNAN, "isnan") { truth($0.isNaN) },
  unary(CK_SOFTPLUS, "softplus", 3) { $0.isNaN ? .nan : max($0, 0) + log1p(exp(-abs($0))) },
  unary(CK_COPY, "copy") { $0 },
]
private let otherCases: [Case] = [
  binary(CK_ADD, "add") { $0 + $1 }, binary(CK_SUB, "sub") { $0 - $1 }, binary(CK_MUL, "mul") { $0 * $1 },
  binary(CK_DIV, "div") { $0 / $1 }, binary(CK_MAX, "max", 0.5, larger), binary(CK_MIN, "min", 0.5, smaller),
  binary(CK_POW, "pow", 2) { pow($0, $1) }, binary(CK_EQ, "eq") { truth($0 == $1) },
  binary(CK_NE, "ne") { truth($0 != $1) }, binary(CK_LT, "lt") { truth($0 < $1) },
  binary(CK_LE, "le") { truth($0 <= $1) }, binary(CK_GT, "gt") { truth($0 > $1) },
  binary(CK_GE, "ge") { truth($0 >= $1) }, binary(CK_AND, "and") { truth($0 != 0 && $1 != 0) },
  binary(CK_OR, "or") { truth($0 != 0 || $1 != 0) },
  immediate(CK_ADD_I, "add_i") { $0 + $1 }, immediate(CK_MUL_I, "mul_i") { $0 * $1 },
  immediate(CK_DIV_I, "div_i") { $0 / $1 }, immediate(CK_MAX_I, "max_i", 0.5, larger),
  immediate(CK_MIN_I, "min_i", 0.5, smaller), immediate(CK_POW_I, "pow_i", 2) { pow($0, $1) },
  immediate(CK_SET_I, "set_i") { $1 }, immediate(CK_EQ_I, "eq_i") { truth($0 == $1) },
  immediate(CK_NE_I, "ne_i") { truth($0 != $1) }, immediate(CK_LT_I, "lt_i") { truth($0 < $1) },
  immediate(CK_LE_I, "le_i") { truth($0 <= $1) }, immediate(CK_GT_I, "gt_i") { truth($0 > $1) },
  immediate(CK_GE_I, "ge_i") { truth($0 >= $1) }, immediate(CK_RSUB_I, "rsub_i") { $1 - $0 },
  immediate(CK_RDIV_I, "rdiv_i") { $1 / $0 }, immediate(CK_RPOW_I, "rpow_i", 2) { pow($1, $0) },
  Case(opcode: CK_SELECT, name: "select") { a, b, c, _ in a != 0 ? b : c },
  binary(CK_RELU_GRADIENT, "relu_gradient") { $1 > 0 ? $0 : 0 },
]
/// Sums may round twice or once: compared against the size of their terms.
private let sumCases: [Case] = [
  Case(opcode: CK_MULADD, name: "muladd") { a, b, c, _ in a * b + c },
  Case(opcode: CK_MULADD_I, name: "muladd_i") { a, b, _, i in a * i + b },
  Case(opcode: CK_GELU, name: "gelu") { a, _, _, _ in a * (1 + erf(a / 2.0.squareRoot())) / 2 },
  Case(opcode: CK_GELU_SLOPE, name: "gelu_slope") { a, _, _, _ in
    (1 + erf(a / 2.0.squareRoot())) / 2 + a * exp(-a * a / 2) / (2 * Double.pi).squareRoot()
  },
  Case(opcode: CK_LERP_I, name: "lerp_i") { a, b, _, i in a + i * (b - a) },
]

/// Floats from all binades, both signs, with the values where functions break.
private let sweep: [Float] = {
  var values: [Float] = [
    0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 1.5, 2.5, -2.5, .infinity, -.infinity, .nan, .leastNormalMagnitude,
    .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .greatestFiniteMagnitude, 88.72283, 88.73, -87.4, -103.9,
    -104.1,
    0.99999994, 1.0000001, -0.99999994, 16_777_215, 16_777_216, 1e5, -99_999.5, 123_456.7, 3.1415927,
    1.5707964,
  ]
  for pattern in stride(from: UInt32(0), to: 0x7f80_0000, by: 99_991) {
    values += [Float(bitPattern: pattern), -Float(bitPattern: pattern)]
  }
  // Densely where networks live.
  for i in -20_000...20_000 { values.append(Float(i) * 0.000_937) }
  return values
}()

extension Kernels {
  @Suite struct Opcodes {
    @Test("every opcode has a case here") func complete() {
      let covered = Set((unaryCases + otherCases + sumCases).map(\.opcode.rawValue))
      #expect(covered == Set(0..<CK_CALL.rawValue))
    }

    @Test("unary over all binades", arguments: unaryCases.indices) func unaryOverAllBinades(_ index: Int) {
      let test = unaryCases[index]
      forEachInstructionSet { set in
        let x = Memory(sweep), y = Memory<Float>(repeating: 0, count: sweep.count)
        runProgram(
          dims: [sweep.count], inputs: [Operand(x, [1])], instructions: [instruction(test.opcode, 1, 0)],
          outputs: [Output(operand: Operand(y, [1]), register: 1)])
        #expect(y.isIntact)
        var worst = 0.0, at: Float = 0
        for (a, found) in zip(sweep, y.values) {
          // Squares of denormals and the like: the reference rounds to float32 as the operation does.
          let expected = test.value(Double(a), 0, 0, 0)
          let error = ulps(found, expected)
          if error > worst { (worst, at) = (error, a) }
        }
        #expect(worst <= test.tolerance + 1e-6, "\(test.name) on \(set): \(worst) ulp at \(at)")
      }
    }

    @Test("binary, ternary and immediate opcodes", arguments: otherCases.indices)
    func others(_ index: Int) {
      let test = otherCases[index]
      var numbers = Numbers(seed: 7)
      let special: [Float] = [
        0, -0.0, 1, -1, 2, 3, -3, 0.5, -2.5, .infinity, -.infinity, .nan, 0x1p-133, 3e38, 1e4,
      ]
      var a: [Float] = [], b: [Float] = [], c: [Float] = []
      for x in special { for y in special { (a, b, c) = (a + [x], b + [y], c + [numbers.next()]) } }
      for _ in 0..<3000 {
        (a, b, c) = (a + [numbers.next() * 8], b + [numbers.next() * 8], c + [numbers.next()])
      }
      for _ in 0..<1000 { (a, b, c) = (a + [abs(numbers.next() * 40)], b + [numbers.next() * 30], c + [0]) }
      forEachInstructionSet { set in
        for immediate in [Float(0.75), 2, -1, 0, 3] {
          let memory = [Memory(a), Memory(b), Memory(c)], y = Memory<Float>(repeating: 0, count: a.count)
          runProgram(
            dims: [a.count], inputs: memory.map { Operand($0, [1]) },
            instructions: [instruction(test.opcode, 3, 0, 1, 2, immediate: immediate)],
            outputs: [Output(operand: Operand(y, [1]), register: 3)])
          #expect(y.isIntact)
          for i in a.indices {
            let expected = test.value(Double(a[i]), Double(b[i]), Double(c[i]), Double(immediate))
            let error = ulps(y.pointer[i], expected)
            if error > test.tolerance + 1e-6 {
              Issue.record(
                "\(test.name) on \(set): f(\(a[i]), \(b[i]), \(c[i]); \(immediate)) = \(y.pointer[i]), not \(expected)"
              )
              return
            }
          }
        }
      }
    }

    @Test("sums of products", arguments: sumCases.indices) func sums(_ index: Int) {
      let test = sumCases[index]
      var numbers = Numbers(seed: 11)
      let a = numbers.take(3001), b = numbers.take(3001), c = numbers.take(3001)
      forEachInstructionSet { set in
        let memory = [Memory(a), Memory(b), Memory(c)], y = Memory<Float>(repeating: 0, count: a.count)
        runProgram(
          dims: [a.count], inputs: memory.map { Operand($0, [1]) },
          instructions: [instruction(test.opcode, 3, 0, 1, 2, immediate: 0.3)],
          outputs: [Output(operand: Operand(y, [1]), register: 3)])
        for i in a.indices {
          let expected = test.value(Double(a[i]), Double(b[i]), Double(c[i]), Double(Float(0.3)))
          #expect(abs(Double(y.pointer[i]) - expected) <= 3e-7, "\(test.name) on \(set) at \(i)")
        }
      }
    }

    @Test("sine and cosine stay accurate to 1e5 and beyond") func farAngles() {
      var numbers = Numbers(seed: 3)
      let x = (0..<20_000).map { _ in numbers.next() * 1e5 } + (0..<2_000).map { _ in numbers.next() * 1e9 }
      forEachInstructionSet { set in
        let memory = Memory(x), s = Memory<Float>(repeating: 0, count: x.count)
        let c = Memory<Float>(repeating: 0, count: x.count)
        runProgram(
          dims: [x.count], inputs: [Operand(memory, [1])],
          instructions: [instruction(CK_SIN, 1, 0), instruction(CK_COS, 2, 0)],
          outputs: [
            Output(operand: Operand(s, [1]), register: 1), Output(operand: Operand(c, [1]), register: 2),
          ])
        for i in x.indices {
          #expect(ulps(s.pointer[i], sin(Double(x[i]))) <= 2, "sin \(x[i]) on \(set)")
          #expect(ulps(c.pointer[i], cos(Double(x[i]))) <= 2, "cos \(x[i]) on \(set)")
        }
      }
    }
  }
}
