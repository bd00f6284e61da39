import CKernels
import Testing

private let layouts: [([Int], Set<Int>)] = [
  ([1], [0]), ([7], [0]), ([128], [0]), ([1000], [0]), ([100_003], [0]),
  ([64, 10], [1]), ([64, 10], [0]), ([64, 64], [0]), ([64, 64], [1]), ([3, 5000], [1]), ([3, 5000], [0]),
  ([5000, 3], [0]), ([5000, 3], [1]), ([20, 700], [0]), ([20, 700], [1]), ([1000, 600], [0]),
  ([2, 100_000], [1]),
  ([33, 9, 17], [1]), ([33, 9, 17], [0, 2]), ([33, 9, 17], [0, 1]), ([33, 9, 17], [1, 2]),
  ([33, 9, 17], [0, 1, 2]),
  ([4, 300, 513], [1]), ([4, 1, 300], [1]), ([1, 40], [0]), ([70_000, 2], [0]), ([6, 5, 4, 3], [0, 2]),
  ([6, 5, 4, 3], [1, 3]), ([20, 2000, 3], [1, 2]), ([100, 3, 3], [1, 2]), ([2, 3, 4, 5, 6], [0, 2, 4]),
  // Rows of whole vectors, several to a tile.
  ([3000, 4], [0]), ([1040, 8], [0]), ([1000, 16], [0]), ([1001, 16], [0]), ([3, 1024, 16], [1]),
  ([640, 32], [0]),
  ([300, 64], [0]), ([200, 128], [0]), ([2, 40, 8, 64], [1, 2]),
]

private func fold(_ reduction: ck_reduction, _ a: Double, _ b: Double) -> Double {
  switch reduction {
  case CK_SUM: a + b
  case CK_PRODUCT: a * b
  case CK_MAXIMUM: max(a, b)
  default: min(a, b)
  }
}
private func identity(_ reduction: ck_reduction) -> Double {
  switch reduction {
  case CK_SUM: 0
  case CK_PRODUCT: 1
  case CK_MAXIMUM: -.infinity
  default: .infinity
  }
}

extension Kernels {
  @Suite struct Reductions {
    @Test("all layouts, with what is stored beside them", arguments: layouts.indices)
    func layout(_ index: Int) {
      let (dims, reduced) = layouts[index]
      let all = positions(dims), strides = rowMajor(dims)
      let keptDims = dims.indices.map { reduced.contains($0) ? 1 : dims[$0] }
      var keptStrides = rowMajor(keptDims)
      for d in reduced { keptStrides[d] = 0 }
      let kept = keptDims.reduce(1, *), terms = Double(all.count / kept)
      var numbers = Numbers(seed: UInt64(index))
      let x = numbers.take(all.count), w = numbers.take(dims.last!)
      var weightStrides = dims.map { _ in 0 }
      weightStrides[dims.count - 1] = 1

      let reductions = [CK_SUM, CK_PRODUCT, CK_MAXIMUM, CK_MINIMUM]
      var expected = reductions.map { Array(repeating: identity($0), count: kept) }
      var magnitudes = Array(repeating: 0.0, count: kept)
      for (i, position) in all.enumerated() {
        let to = offset(position, keptStrides)
        let value = Double(x[i] + w[position.last!])
        for (r, reduction) in reductions.enumerated() {
          // A product of many would vanish: of 1 + a small part.
          let term = reduction == CK_PRODUCT ? Double(1 + Float(value) * 0.001) : value
          expected[r][to] = fold(reduction, expected[r][to], term)
        }
        magnitudes[to] += abs(value)
      }

      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let input = Memory(x), weights = Memory(w), stored = Memory<Float>(repeating: 0, count: all.count)
          let results = reductions.map { _ in Memory<Float>(repeating: -99, count: kept) }
          runProgram(
            dims: dims, reduced: reduced, inputs: [Operand(input, strides), Operand(weights, weightStrides)],
            instructions: [
              instruction(CK_ADD, 2, 0, 1), instruction(CK_MUL_I, 3, 2, immediate: 0.001),
              instruction(CK_ADD_I, 3, 3, immediate: 1),
            ],
            outputs: [Output(operand: Operand(stored, strides), register: 2)]
              + reductions.indices.map {
                Output(
                  operand: Operand(results[$0], keptStrides), register: reductions[$0] == CK_PRODUCT ? 3 : 2,
                  reduction: reductions[$0], scale: reductions[$0] == CK_SUM ? 0.5 : 1)
              })
          #expect(stored.isIntact && results.allSatisfy { $0.isIntact })
          var wrong = 0
          for (i, position) in all.enumerated() where stored.pointer[i] != x[i] + w[position.last!] {
            wrong += 1
          }
          #expect(wrong == 0)
          return results.map(\.values)
        }
        #expect(one == two, "\(set): one thread and two differ")
        for (r, reduction) in reductions.enumerated() {
          for k in 0..<kept {
            let found = Double(one[r][k])
            switch reduction {
            case CK_SUM:
              let error = abs(found - 0.5 * expected[r][k])
              #expect(error <= 5e-7 * magnitudes[k], "sum \(dims) over \(reduced), \(set)")
            case CK_PRODUCT:
              let error = abs(found / expected[r][k] - 1)
              #expect(error <= 2e-7 * (terms + 4).squareRoot() * 4, "product \(dims) over \(reduced), \(set)")
            default: #expect(found == expected[r][k], "\(dims) over \(reduced), \(set)")
            }
          }
        }
      }
    }

    @Test("column sums of so many strided operands that rows are cut", arguments: [250, 300, 500, 700, 1500])
    func manyOperands(columns: Int) {
      let rows = 9, operands = 40
      var numbers = Numbers(seed: 31)
      let values = (0..<operands).map { _ in numbers.take(rows * columns * 2) }
      forEachInstructionSet { set in
        let inputs = values.map { Memory($0) }, sums = Memory<Float>(repeating: 0, count: columns)
        let rowSums = Memory<Float>(repeating: 0, count: rows)
        let add = (1..<operands).map { instruction(CK_ADD, operands, $0 == 1 ? 0 : operands, $0) }
        for (reduced, result, strides) in [(0, sums, [0, 1]), (1, rowSums, [1, 0])] {
          runProgram(
            dims: [rows, columns], reduced: [reduced], inputs: inputs.map { Operand($0, [2 * columns, 2]) },
            instructions: add,
            outputs: [Output(operand: Operand(result, strides), register: operands, reduction: CK_SUM)])
        }
        #expect(sums.isIntact && rowSums.isIntact)
        var byColumn = Array(repeating: 0.0, count: columns), byRow = Array(repeating: 0.0, count: rows)
        for r in 0..<rows {
          for c in 0..<columns {
            let sum = values.reduce(0.0) { $0 + Double($1[(r * columns + c) * 2]) }
            byColumn[c] += sum
            byRow[r] += sum
          }
        }
        for c in 0..<columns {
          #expect(abs(Double(sums.pointer[c]) - byColumn[c]) < 1e-4, "\(set), column \(c)")
        }
        for r in 0..<rows { #expect(abs(Double(rowSums.pointer[r]) - byRow[r]) < 1e-3, "\(set), row \(r)") }
      }
    }

    @Test("sums of values and squares of which none is kept", arguments: [8, 16, 32, 64, 128])
    func sumsAlone(columns: Int) {
      let rows = 1024
      var numbers = Numbers(seed: 5)
      let x = numbers.take(rows * columns), shift = numbers.take(columns)
      forEachInstructionSet { set in
        let input = Memory(x), shifts = Memory(shift)
        let results = (0..<3).map { _ in Memory<Float>(repeating: 0, count: columns) }
        runProgram(
          dims: [rows, columns], reduced: [0],
          inputs: [Operand(input, [columns, 1]), Operand(shifts, [0, 1])],
          instructions: [
            instruction(CK_SUB, 2, 0, 1), instruction(CK_SQUARE, 3, 2), instruction(CK_MULADD, 4, 3, 2, 0),
          ],
          outputs: [2, 3, 4].enumerated().map {
            Output(operand: Operand(results[$0], [0, 1]), register: $1, reduction: CK_SUM)
          })
        for c in 0..<columns {
          var sums = [0.0, 0, 0]
          for r in 0..<rows {
            let value = Double(x[r * columns + c]), difference = value - Double(shift[c])
            sums[0] += difference
            sums[1] += difference * difference
            sums[2] += difference * difference * difference + value
          }
          for k in sums.indices {
            #expect(abs(Double(results[k].pointer[c]) - sums[k]) < 2e-3, "\(set), column \(c), sum \(k)")
          }
        }
      }
    }

    @Test("a sum over a million elements keeps six digits", arguments: [4, 16, 64, 100])
    func accuracy(columns: Int) {
      var numbers = Numbers(seed: 1)
      let count = 1_000_000
      let x = numbers.take(count).map { abs($0) + 0.1 }
      let expected = x.reduce(0.0) { $0 + Double($1) }
      forEachInstructionSet { set in
        let input = Memory(x), total = Memory<Float>([0]), sums = Memory<Float>(repeating: 0, count: columns)
        runProgram(
          dims: [count], reduced: [0], inputs: [Operand(input, [1])], instructions: [],
          outputs: [Output(operand: Operand(total, [0]), register: 0, reduction: CK_SUM)])
        #expect(abs(Double(total.pointer[0]) / expected - 1) < 5e-7, "\(set)")
        runProgram(
          dims: [count / columns, columns], reduced: [0], inputs: [Operand(input, [columns, 1])],
          instructions: [],
          outputs: [Output(operand: Operand(sums, [0, 1]), register: 0, reduction: CK_SUM)])
        let together = sums.values.reduce(0.0) { $0 + Double($1) }
        #expect(abs(together / expected - 1) < 5e-7, "\(set)")
      }
    }

    @Test("NaN reaches a maximum and a minimum", arguments: [[1, 5000], [700, 40], [16, 16]])
    func notANumber(dims: [Int]) {
      for reduced in [Set([0]), Set([1]), Set([0, 1])] {
        var x = Array(repeating: Float(1), count: dims[0] * dims[1])
        x[x.count / 2] = .nan
        let input = Memory(x)
        var strides = rowMajor(dims.indices.map { reduced.contains($0) ? 1 : dims[$0] })
        for d in reduced { strides[d] = 0 }
        var kept = 1
        for d in dims.indices where !reduced.contains(d) { kept *= dims[d] }
        for reduction in [CK_MAXIMUM, CK_MINIMUM] {
          let y = Memory<Float>(repeating: 0, count: kept)
          runProgram(
            dims: dims, reduced: reduced, inputs: [Operand(input, rowMajor(dims))], instructions: [],
            outputs: [Output(operand: Operand(y, strides), register: 0, reduction: reduction)])
          #expect(y.values.filter(\.isNaN).count == 1)
          #expect(y.values.filter { $0 == 1 }.count == kept - 1)
        }
      }
    }

    @Test("a reduction over nothing is the identity") func empty() {
      let x = Memory<Float>([0]), y = Memory<Float>(repeating: 5, count: 3)
      runProgram(
        dims: [3, 0], reduced: [1], inputs: [Operand(x, [0, 1])], instructions: [],
        outputs: [Output(operand: Operand(y, [1, 0]), register: 0, reduction: CK_SUM)])
      #expect(y.values == [0, 0, 0])
    }
  }
}
