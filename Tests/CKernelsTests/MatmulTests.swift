import CKernels
import Testing

private struct Product {
  var m: Int, n: Int, k: Int
  var transposeA = false, transposeB = false, bias = false, relu = false
}

private func scratch(_ p: Product) -> Memory<Float> {
  let bytes = ck_matmul_scratch_bytes(Int64(p.m), Int64(p.k), Int64(p.n), p.transposeB)
  return Memory(repeating: .nan, count: Int(bytes) / 4)
}

private struct Operands {
  let a: Memory<Float>, b: Memory<Float>, bias: Memory<Float>
  init(_ p: Product, seed: UInt64) {
    var numbers = Numbers(seed: seed)
    a = Memory(numbers.take(p.m * p.k))
    b = Memory(numbers.take(p.k * p.n))
    bias = Memory(numbers.take(p.n))
  }
  /// What the product must be, with the sum of the terms' magnitudes.
  func expected(_ p: Product) -> [(value: Double, size: Double)] {
    var results: [(value: Double, size: Double)] = []
    for i in 0..<p.m {
      for j in 0..<p.n {
        var sum = p.bias ? Double(bias.pointer[j]) : 0, size = abs(sum)
        for l in 0..<p.k {
          let left = a.pointer[p.transposeA ? l * p.m + i : i * p.k + l]
          let right = b.pointer[p.transposeB ? j * p.k + l : l * p.n + j]
          sum += Double(left) * Double(right)
          size += abs(Double(left) * Double(right))
        }
        results.append((p.relu ? max(sum, 0) : sum, size))
      }
    }
    return results
  }
  func arguments(_ p: Product, into c: Memory<Float>?, packed: Memory<Float>) -> ck_matmul {
    ck_matmul(
      a: a.pointer, b: b.pointer, bias: p.bias ? bias.pointer : nil, c: c?.pointer, m: Int64(p.m),
      k: Int64(p.k),
      n: Int64(p.n), transpose_a: p.transposeA, transpose_b: p.transposeB, relu: p.relu, a_in_parts: false,
      packed: packed.pointer,
      program: nil, program_input: 0)
  }
}

/// The first part's columns of every row, then the next part's.
func parted<Element>(_ values: [Element], rows: Int, columns: Int) -> [Element] {
  let count = Int(ck_gather_part_count(Int64(columns)))
  let length = ((columns + count - 1) / count + 15) / 16 * 16
  return stride(from: 0, to: columns, by: length).flatMap { first in
    (0..<rows).flatMap { values[($0 * columns + first)..<($0 * columns + min(first + length, columns))] }
  }
}

private let sizes: [(m: Int, n: Int, k: Int)] = [
  (1, 1, 1), (2, 3, 4), (7, 5, 9), (8, 16, 8), (8, 32, 1), (9, 33, 17), (64, 10, 64), (64, 64, 10),
  (33, 70, 45),
  (1, 64, 100), (65, 48, 513), (40, 12, 1100), (64, 600, 30), (64, 64, 784), (5, 4, 0),
  (1, 10, 1603), (1, 37, 7), (1, 20, 45), (30, 200, 37), (15, 130, 1300), (1, 300, 45),
]

extension Kernels {
  @Suite struct Matmuls {
    @Test("every transposition, with bias and relu on the way out", arguments: sizes.indices)
    func products(_ index: Int) {
      let size = sizes[index]
      for way in 0..<16 {
        let product = Product(
          m: size.m, n: size.n, k: size.k, transposeA: way & 1 == 1, transposeB: way & 2 == 2,
          bias: way & 4 == 4,
          relu: way & 8 == 8)
        let operands = Operands(product, seed: UInt64(index)), expected = operands.expected(product)
        forEachInstructionSet { set in
          let (one, two) = onOneAndTwoThreads {
            let c = Memory<Float>(repeating: 77, count: size.m * size.n), packed = scratch(product)
            var arguments = operands.arguments(product, into: c, packed: packed)
            ck_matmul_run(&arguments)
            #expect(c.isIntact && packed.isIntact)
            return c.values
          }
          #expect(one == two, "\(set): one thread and two differ")
          let wrong = zip(one, expected).filter { found, expected in
            !(abs(Double(found) - expected.value) <= 1e-6 * expected.size)
          }
          #expect(
            wrong.isEmpty,
            "\(product) on \(set): \(wrong.count) wrong, first \(String(describing: wrong.first))")
        }
      }
    }

    @Test(
      "a program takes the product's elements as its input",
      arguments: [(64, 64, 10), (64, 10, 64), (784, 64, 64), (3, 5, 7), (13, 1000, 9), (27, 33, 1)])
    func programs(m: Int, n: Int, k: Int) {
      for way in 0..<8 {
        let product = Product(
          m: m, n: n, k: k, transposeA: way & 1 == 1, transposeB: way & 2 == 2, bias: way & 4 == 4)
        let operands = Operands(product, seed: 17), expected = operands.expected(product)
        var numbers = Numbers(seed: 18)
        let mask = numbers.take(m * n), start = numbers.take(m * n)
        forEachInstructionSet { set in
          let (one, two) = onOneAndTwoThreads {
            let masks = Memory(mask), sum = Memory(start), masked = Memory<Float>(repeating: 7, count: m * n)
            let packed = scratch(product), half = Memory<Float>([0.5])
            // Input 2 is the product: sum += ½ · product in place; masked = product where mask > 0.
            let unused = Memory<Float>(repeating: .nan, count: m * n)
            withProgram(
              dims: [m * n],
              inputs: [Operand(masks, [1]), Operand(sum, [1]), Operand(unused, [1]), Operand(half, [0])],
              instructions: [instruction(CK_MULADD, 4, 2, 3, 1), instruction(CK_RELU_GRADIENT, 5, 2, 0)],
              outputs: [
                Output(operand: Operand(sum, [1]), register: 4),
                Output(operand: Operand(masked, [1]), register: 5),
              ]
            ) {
              var arguments = operands.arguments(product, into: nil, packed: packed)
              arguments.program = $0
              arguments.program_input = 2
              ck_matmul_run(&arguments)
            }
            #expect(sum.isIntact && masked.isIntact && packed.isIntact)
            return [sum.values, masked.values]
          }
          #expect(one == two, "\(set): one thread and two differ")
          for i in 0..<m * n {
            let (value, size) = expected[i]
            let sum = Double(start[i]) + 0.5 * value
            guard abs(Double(one[0][i]) - sum) <= 1e-6 * (size + 1),
              abs(Double(one[1][i]) - (mask[i] > 0 ? value : 0)) <= 1e-6 * size
            else {
              Issue.record(
                "\(product) on \(set), element \(i): \(one[0][i]), \(one[1][i]), not \(sum), \(value)")
              return
            }
          }
        }
      }
    }

    @Test(
      "a left operand in parts gives the same bits as one in rows",
      arguments: [(64, 64, 784), (784, 64, 64), (1000, 40, 33), (5, 300, 2000)])
    func parts(m: Int, n: Int, k: Int) {
      for transposeA in [false, true] {
        let product = Product(m: m, n: n, k: k, transposeA: transposeA)
        if !transposeA, ck_matmul_part_count(Int64(m), Int64(k), Int64(n), false) < 2 { continue }
        let operands = Operands(product, seed: 23)
        let columns = transposeA ? m : k
        let inParts = Memory(parted(operands.a.values, rows: m * k / columns, columns: columns))
        forEachInstructionSet { set in
          let (one, two) = onOneAndTwoThreads {
            let rows = Memory<Float>(repeating: 7, count: m * n),
              parts = Memory<Float>(repeating: 8, count: m * n)
            let packed = scratch(product)
            var arguments = operands.arguments(product, into: rows, packed: packed)
            ck_matmul_run(&arguments)
            arguments.a = UnsafePointer(inParts.pointer)
            arguments.a_in_parts = true
            arguments.c = parts.pointer
            ck_matmul_run(&arguments)
            keep(inParts)
            #expect(parts.isIntact)
            return [rows.values, parts.values]
          }
          #expect(one[0] == one[1] && one == two, "\(product) on \(set)")
        }
      }
    }

    @Test(
      "with large weights, which are packed, the same bits as with half of them at a time",
      arguments: [130, 300])
    func largeWeights(m: Int) {
      let whole = Product(m: m, n: 259, k: 1030, bias: true, relu: true)
      #expect(ck_matmul_scratch_bytes(Int64(m), 1030, 259, false) >= 1030 * 259 * 4)
      let operands = Operands(whole, seed: 29)
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let c = Memory<Float>(repeating: 7, count: m * whole.n), packed = scratch(whole)
          var arguments = operands.arguments(whole, into: c, packed: packed)
          ck_matmul_run(&arguments)
          #expect(c.isIntact && packed.isIntact)
          return c.values
        }
        #expect(one == two, "\(set): one thread and two differ")
        for columns in [0..<130, 130..<259] {
          let part = Product(m: m, n: columns.count, k: whole.k, bias: true, relu: true)
          let b = Memory(
            (0..<whole.k).flatMap { row in columns.map { operands.b.pointer[row * whole.n + $0] } })
          let c = Memory<Float>(repeating: 8, count: m * part.n), packed = scratch(part)
          var arguments = operands.arguments(part, into: c, packed: packed)
          arguments.b = UnsafePointer(b.pointer)
          arguments.bias = UnsafePointer(operands.bias.pointer + columns.lowerBound)
          ck_matmul_run(&arguments)
          keep(b)
          let same = (0..<m).allSatisfy { row in
            (0..<part.n).allSatisfy {
              c.pointer[row * part.n + $0] == one[row * whole.n + columns.lowerBound + $0]
            }
          }
          #expect(same, "\(set), columns \(columns)")
        }
      }
    }

    @Test("NaN and infinity come through") func special() {
      let product = Product(m: 2, n: 2, k: 2)
      let a = Memory<Float>([.nan, 1, .infinity, 1]), b = Memory<Float>([1, 0, 1, 1])
      let c = Memory<Float>(repeating: 0, count: 4), packed = scratch(product)
      for relu in [false, true] {
        var arguments = ck_matmul(
          a: a.pointer, b: b.pointer, bias: nil, c: c.pointer, m: 2, k: 2, n: 2, transpose_a: false,
          transpose_b: false, relu: relu, a_in_parts: false, packed: packed.pointer, program: nil,
          program_input: 0)
        ck_matmul_run(&arguments)
        keep(a, b, packed)
        // [NaN, NaN·0 + 1], [∞ + 1, ∞·0 + 1]
        #expect(c.pointer[0].isNaN && c.pointer[1].isNaN && c.pointer[2] == .infinity && c.pointer[3].isNaN)
      }
    }
  }
}
