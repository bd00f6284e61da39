import CKernels
import Testing

extension Kernels {
  @Suite struct Programs {
    @Test(
      "an update in place reads every old value before it writes",
      arguments: [1, 10, 127, 128, 129, 4096, 55_050])
    func updateInPlace(count: Int) {
      var numbers = Numbers(seed: 5)
      let p = numbers.take(count), g = numbers.take(count), m = numbers.take(count)
      let v = numbers.take(count).map(abs)
      let rate: Float = 0.01
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let memory = [Memory(p), Memory(g), Memory(m), Memory(v)], scalar = Memory([rate])
          runProgram(
            dims: [count], inputs: memory.map { Operand($0, [1]) } + [Operand(scalar, [0])],
            instructions: [
              instruction(CK_LERP_I, 5, 2, 1, immediate: 0.1), instruction(CK_SQUARE, 6, 1),
              instruction(CK_LERP_I, 7, 3, 6, immediate: 0.001), instruction(CK_SQRT, 8, 7),
              instruction(CK_ADD_I, 8, 8, immediate: 1e-7), instruction(CK_MUL_I, 11, 4, immediate: 2),
              instruction(CK_MUL, 9, 5, 11), instruction(CK_DIV, 9, 9, 8), instruction(CK_SUB, 10, 0, 9),
            ],
            outputs: [
              Output(operand: Operand(memory[0], [1]), register: 10),
              Output(operand: Operand(memory[2], [1]), register: 5),
              Output(operand: Operand(memory[3], [1]), register: 7),
            ])
          #expect(memory.allSatisfy { $0.isIntact })
          return memory.map(\.values)
        }
        #expect(one == two)
        for i in 0..<count {
          let newM = Double(m[i]) + 0.1 * (Double(g[i]) - Double(m[i]))
          let newV = Double(v[i]) + 0.001 * (Double(g[i]) * Double(g[i]) - Double(v[i]))
          let newP = Double(p[i]) - 2 * Double(rate) * newM / (newV.squareRoot() + 1e-7)
          #expect(abs(Double(one[0][i]) - newP) < 3e-6, "\(set), \(i)")
          #expect(
            abs(Double(one[2][i]) - newM) < 3e-7 && abs(Double(one[3][i]) - newV) < 3e-7, "\(set), \(i)")
        }
      }
    }

    @Test("two arrays change places") func swap() {
      let count = 3000
      let a = Memory((0..<count).map(Float.init)), b = Memory((0..<count).map { -Float($0) })
      runProgram(
        dims: [count], inputs: [Operand(a, [1]), Operand(b, [1])], instructions: [],
        outputs: [
          Output(operand: Operand(a, [1]), register: 1), Output(operand: Operand(b, [1]), register: 0),
        ])
      #expect(a.values == (0..<count).map { -Float($0) })
      #expect(b.values == (0..<count).map(Float.init))
    }

    @Test("an output is written over an input that is read later") func lateReader() {
      let count = 1000
      let x = Memory((0..<count).map(Float.init)), y = Memory<Float>(repeating: 0, count: count)
      runProgram(
        dims: [count], inputs: [Operand(x, [1])],
        instructions: [
          instruction(CK_MUL_I, 1, 0, immediate: 2), instruction(CK_ADD_I, 2, 1, immediate: 1),
          instruction(CK_MUL, 3, 2, 0),
        ],
        outputs: [
          Output(operand: Operand(x, [1]), register: 1), Output(operand: Operand(y, [1]), register: 3),
        ])
      #expect(x.values == (0..<count).map { 2 * Float($0) })
      let expected = x.values.map { doubled in (doubled + 1) * doubled / 2 }
      #expect(y.values == expected)
    }

    @Test(
      "operands of every layout",
      arguments: [[64, 10], [7, 64], [3, 5, 17], [2, 1500], [300, 257], [2, 3, 4, 5]])
    func layouts(dims: [Int]) {
      let all = positions(dims), total = all.count, last = dims.count - 1
      var numbers = Numbers(seed: 9)
      let values = numbers.take(total * 2)
      let transposed = Array(rowMajor(Array(dims.reversed())).reversed())
      var bias = Array(repeating: 0, count: dims.count), column = bias
      bias[last] = 1
      column[0] = 1
      let strided = rowMajor(dims).map { $0 * 2 }
      let layouts: [[Int]] = [rowMajor(dims), transposed, bias, column, strided]
      forEachInstructionSet { set in
        let inputs = layouts.map { _ in Memory(values) }
        let halves = Memory(values.map { UInt8(abs($0) * 255) })
        let y = Memory<Float>(repeating: 0, count: total), z = Memory<Float>(repeating: 0, count: total)
        let flags = Memory<UInt8>(repeating: 7, count: total)
        runProgram(
          dims: dims,
          inputs: zip(inputs, layouts).map { Operand($0, $1) } + [Operand(halves, rowMajor(dims), CK_U8)],
          instructions: [
            instruction(CK_ADD, 6, 0, 1), instruction(CK_MUL, 7, 6, 2), instruction(CK_SUB, 8, 7, 3),
            instruction(CK_MULADD, 9, 4, 8, 5), instruction(CK_GT_I, 10, 9, immediate: 100),
          ],
          outputs: [
            Output(operand: Operand(y, rowMajor(dims)), register: 9),
            Output(operand: Operand(z, transposed), register: 8),
            Output(operand: Operand(flags, rowMajor(dims), CK_BOOL), register: 10),
          ])
        #expect(y.isIntact && z.isIntact && flags.isIntact)
        for (i, position) in all.enumerated() {
          let x = layouts.map { Double(values[offset(position, $0)]) }
          let eight = (x[0] + x[1]) * x[2] - x[3]
          let nine = x[4] * eight + Double(halves.pointer[i])
          #expect(abs(Double(z.pointer[offset(position, transposed)]) - eight) < 1e-6, "\(set), \(position)")
          #expect(abs(Double(y.pointer[i]) - nine) < 1e-4, "\(set), \(position)")
          #expect(flags.pointer[i] == (y.pointer[i] > 100 ? 1 : 0))
        }
      }
    }

    @Test("a called function sees each element once") func call() {
      let count = 1000
      let x = Memory((0..<count).map(Float.init)), y = Memory<Float>(repeating: 0, count: count)
      var code = instruction(CK_CALL, 1, 0, 0)
      var seen = 0
      code.function = { context, dst, a, b, count in
        context!.assumingMemoryBound(to: Int.self).pointee += Int(count)
        for i in 0..<Int(count) { dst![i] = a![i] * 3 + b![i] }
      }
      withUnsafeMutablePointer(to: &seen) { pointer in
        code.context = UnsafeMutableRawPointer(pointer)
        runProgram(
          dims: [count], inputs: [Operand(x, [1])], instructions: [code, instruction(CK_NEG, 2, 1)],
          outputs: [Output(operand: Operand(y, [1]), register: 2)])
      }
      #expect(seen == count)
      #expect(y.values == (0..<count).map { -4 * Float($0) })
    }

    @Test("a list of programs does what each does") func list() {
      let sizes = [10, 64, 640, 4096, 50_176, 3, 7000, 1, 9000, 100]
      let memory = sizes.map { count in Memory((0..<count).map { Float($0 % 977) }) }
      let results = sizes.map { Memory<Float>(repeating: 0, count: $0) }
      let total = Memory<Float>(repeating: 0, count: 1)
      func run(_ index: Int, _ pointers: [UnsafeMutablePointer<ck_program>?]) {
        if index < sizes.count {
          withProgram(
            dims: [sizes[index]], inputs: [Operand(memory[index], [1])],
            instructions: [instruction(CK_MUL_I, 1, 0, immediate: Float(index + 1))],
            outputs: [Output(operand: Operand(results[index], [1]), register: 1)]
          ) { run(index + 1, pointers + [$0]) }
        } else if index == sizes.count {
          withProgram(
            dims: [50_176], reduced: [0], inputs: [Operand(memory[4], [1])], instructions: [],
            outputs: [Output(operand: Operand(total, [0]), register: 0, reduction: CK_SUM)]
          ) { run(index + 1, pointers + [$0]) }
        } else {
          pointers.withUnsafeBufferPointer { buffer in
            var list = ck_program_list(programs: buffer.baseAddress, count: Int64(buffer.count))
            ck_program_list_run(&list)
          }
        }
      }
      run(0, [])
      for (i, count) in sizes.enumerated() {
        #expect(results[i].isIntact)
        let expected = memory[i].values.map { value in value * Float(i + 1) }
        #expect(results[i].values == expected && results[i].count == count)
      }
      let expected = (0..<50_176).reduce(0.0) { $0 + Double($1 % 977) }
      #expect(abs(Double(total.pointer[0]) / expected - 1) < 1e-6)
    }

    @Test("a program that runs again reads its numbers anew") func kept() {
      let count = 777
      var numbers = Numbers(seed: 5)
      let x = Memory(numbers.take(count)), y = Memory(numbers.take(count))
      let scale = Memory<Float>([0]), constant = Memory<Float>(repeating: 0, count: count)
      forEachInstructionSet { set in
        let result = Memory<Float>(repeating: 0, count: count)
        withProgram(
          dims: [count],
          inputs: [Operand(x, [1]), Operand(y, [1]), Operand(scale, [0]), Operand(constant, [1])],
          instructions: [
            // (x · s + y) · (s² + 1) + s, blended with x: the number as a factor, as an addend, and what follows from it.
            instruction(CK_SQUARE, 4, 2), instruction(CK_ADD_I, 5, 4, immediate: 1),
            instruction(CK_MULADD, 6, 0, 2, 1), instruction(CK_MULADD, 7, 6, 5, 2),
            instruction(CK_LERP_I, 8, 7, 0, immediate: 0.25), instruction(CK_SUB, 9, 8, 3),
          ],
          outputs: [Output(operand: Operand(result, [1]), register: 9)]
        ) { program in
          for (run, value) in [0, 0.5, 0.5, -2, 0].enumerated() {
            scale.pointer[0] = Float(value)
            ck_program_run(program)
            let s: Double = value
            // A mark after the first run, a plan after the second.
            #expect((Int(bitPattern: program.pointee.kept) > 1) == (run > 0))
            for i in 0..<count {
              let sum = (Double(x.pointer[i]) * s + Double(y.pointer[i])) * (s * s + 1) + s
              let expected = sum + 0.25 * (Double(x.pointer[i]) - sum)
              #expect(abs(Double(result.pointer[i]) - expected) < 1e-5, "\(set), s = \(value), element \(i)")
            }
          }
        }
        #expect(result.isIntact)
      }
    }

    @Test("everything uniform, rank 0, and nothing at all") func degenerate() {
      let a = Memory<Float>([3]), y = Memory<Float>([0])
      runProgram(
        dims: [], inputs: [Operand(a, [])],
        instructions: [instruction(CK_SQUARE, 1, 0), instruction(CK_MULADD, 2, 1, 0, 0)],
        outputs: [Output(operand: Operand(y, []), register: 2)])
      #expect(y.values == [30])
      let many = Memory<Float>(repeating: 0, count: 1000)
      runProgram(
        dims: [1000], inputs: [Operand(a, [0])], instructions: [instruction(CK_EXP, 1, 0)],
        outputs: [Output(operand: Operand(many, [1]), register: 1)])
      #expect(many.values.allSatisfy { ulps($0, 20.085536923187668) <= 2 })
      runProgram(
        dims: [0, 4], inputs: [Operand(a, [0, 0])], instructions: [],
        outputs: [Output(operand: Operand(y, [4, 1]), register: 0)])
      #expect(y.values == [30])
    }
  }
}
