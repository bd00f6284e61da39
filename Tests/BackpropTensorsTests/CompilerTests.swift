import CKernels
import Testing

@testable import BackpropTensors

@Suite("Compiled programs give what eager code gives")
struct CompilerTests {
  /// Two layers with a cross-entropy, as a user would write it.
  private static func loss(_ x: Tensor, _ labels: Tensor, _ weights: [Tensor]) -> Tensor {
    let hidden = (x.matmul(weights[0]) + weights[1]).relu()
    let logits = hidden.matmul(weights[2]) + weights[3]
    return logits.sparseCrossentropy(labels: labels).mean()
  }

  private static func makeWeights(_ random: RandomGenerator) -> [Tensor] {
    [
      random.normal([12, 16], standardDeviation: 0.3), random.normal([16], standardDeviation: 0.1),
      random.normal([16, 5], standardDeviation: 0.3), random.normal([5], standardDeviation: 0.1),
    ]
  }

  private static let labels = Tensor([0, 4, 2, 1, 3, 3, 0, 2] as [Int32])

  @Test("a training step with Adam follows its eager twin for ten steps")
  func trainingStep() {
    let random = RandomGenerator(seed: 3)
    let start = Self.makeWeights(random)
    let x = random.normal([8, 12])
    func run(compiledStep: Bool) -> (losses: [Float], weights: [[Float]]) {
      let weights = start.map { Variable($0, name: "weight") }
      let first = start.map { Variable(Tensor.zeros(like: $0), name: "m") }
      let second = start.map { Variable(Tensor.zeros(like: $0), name: "v") }
      let count = Variable(Tensor(0 as Int64), name: "iterations")
      let body: @Sendable ([Tensor]) -> [Tensor] = { inputs in
        let (loss, gradients) = valueAndGradient(at: weights) {
          Self.loss(inputs[0], Self.labels, weights.map(\.value))
        }
        let step = (count.value + 1).cast(to: .float32)
        let rate =
          (1 - Tensor(0.999 as Float).power(step)).sqrt() / (1 - Tensor(0.9 as Float).power(step)) * 0.01
        for (index, gradient) in gradients.enumerated() {
          let gradient = gradient!
          let m = first[index].value + (gradient - first[index].value) * 0.1
          let v = second[index].value + (gradient.squared() - second[index].value) * 0.001
          weights[index].value = weights[index].value - m * rate / (v.sqrt() + 1e-7)
          first[index].value = m
          second[index].value = v
        }
        count.value = count.value + 1
        return [loss]
      }
      let step = compiled(name: "step", body)
      var losses: [Float] = []
      for _ in 0..<10 { losses.append((compiledStep ? step([x]) : body([x]))[0].floats[0]) }
      #expect(count.value.integers == [10])
      return (losses, weights.map(\.value.floats))
    }
    let eager = run(compiledStep: false)
    let fast = run(compiledStep: true)
    for (a, b) in zip(eager.losses, fast.losses) { #expect(abs(a - b) < 1e-5 * abs(a) + 1e-6) }
    for (a, b) in zip(eager.weights.joined(), fast.weights.joined()) { #expect(abs(a - b) < 1e-4) }
    #expect(fast.losses.last! < fast.losses.first! * 0.9)
  }

  @Test("a loss that isn't finite leaves every variable as it was")
  func guardedLoss() throws {
    let weight = Variable(Tensor([1, 2] as [Float]), name: "w")
    let counter = Variable(Tensor(0 as Int32), name: "count")
    let program = Program.compile(inputs: [TensorType([2], .float32)]) { inputs in
      let (loss, gradients) = valueAndGradient(at: [weight]) { (weight.value * inputs[0]).sum() }
      VariableScopes.tracer?.guardFinite(loss)
      weight.value = weight.value - gradients[0]! * 0.5
      counter.value = counter.value + 1
      return [loss]
    }
    let input = program.input(0).assumingMemoryBound(to: Float.self)
    (input[0], input[1]) = (2, 4)
    #expect(program.run())
    #expect(weight.value.floats == [0, 0])
    #expect(program.output(0).load(as: Float.self) == 10)
    (input[0], input[1]) = (.nan, 1)
    #expect(!program.run())
    #expect(weight.value.floats == [0, 0])
    #expect(counter.value.integers == [1])
  }

  @Test("results may be variables' old and new values, exchanged ones too")
  func exchangedVariables() {
    let a = Variable(Tensor([1, 2, 3] as [Float]), name: "a")
    let b = Variable(Tensor([4, 5, 6] as [Float]), name: "b")
    let swap = compiled { _ in
      let old = a.value
      a.value = b.value
      b.value = old
      return [old, a.value * 10, b.value]
    }
    let results = swap([])
    #expect(results.map(\.floats) == [[1, 2, 3], [40, 50, 60], [1, 2, 3]])
    #expect(a.value.floats == [4, 5, 6])
    #expect(b.value.floats == [1, 2, 3])
    #expect(swap([]).map(\.floats) == [[4, 5, 6], [10, 20, 30], [4, 5, 6]])
  }

  @Test("an old value read after its variable is written is the old one")
  func oldValueOutlivesWrite() {
    let a = Variable(Tensor([1, 2, 3] as [Float]), name: "a")
    let step = compiled { inputs in
      let old = a.value
      a.value = old + 1
      // Reads the old value transposed in time: after the write, through a matmul.
      let product = old.reshaped(to: [1, 3]).matmul(inputs[0])
      return [product, old * 2 + a.value]
    }
    let x = Tensor.ones([3, 2])
    #expect(step([x]).map(\.floats) == [[6, 6], [4, 7, 10]])
    #expect(step([x]).map(\.floats) == [[9, 9], [7, 10, 13]])
    #expect(a.value.floats == [3, 4, 5])
  }

  @Test("random numbers in a program are the eager ones, new at each run")
  func randomNumbers() {
    let (eager, traced) = (RandomGenerator(seed: 5), RandomGenerator(seed: 5))
    let draw = compiled { _ in [traced.uniform([10]), traced.bernoulli([10], probability: 0.5)] }
    for _ in 0..<3 {
      let expected = [eager.uniform([10]), eager.bernoulli([10], probability: 0.5)]
      #expect(draw([]).map(\.floats) == expected.map(\.floats))
    }
  }

  #if arch(x86_64)
    @Test("numbers below the normal range count as 0 in a program, on every thread, and nowhere else")
    func subnormalNumbers() {
      let least = Float.leastNormalMagnitude
      let numbers = Tensor(repeating: Double(least), shape: [300_000])
      let (half, twice) = (compiled { [$0[0] * 0.5] }, compiled { [$0[0] * 2] })
      #expect(half([numbers])[0].floats.allSatisfy { $0 == 0 })
      let subnormal = numbers * 0.5
      #expect(subnormal.floats.allSatisfy { $0 == least / 2 })
      #expect(twice([subnormal])[0].floats.allSatisfy { $0 == 0 })
      #expect((subnormal * 2).floats.allSatisfy { $0 == least })
      #expect(half([numbers * 2])[0].floats.allSatisfy { $0 == least })
    }
  #endif

  @Test("one program for each combination of shapes, eight at most")
  func programsByShape() {
    let double = compiled { [$0[0] * 2] }
    for size in 1...10 {
      #expect(double(Tensor.ones([size])).floats == [Float](repeating: 2, count: size))
      #expect(double(Tensor.ones([size])).floats == [Float](repeating: 2, count: size))
    }
    #expect(double.programCount == 8)
    double.invalidate()
    #expect(double.programCount == 0)
  }

  @Test("chains fuse: bias and relu into the matmul, the rest into block programs")
  func fusion() {
    let w = Variable(Tensor.ones([4, 3]), name: "w")
    let b = Variable(Tensor.ones([3]), name: "b")
    let program = Program.compile(inputs: [TensorType([2, 4], .float32)]) { inputs in
      let y = (inputs[0].matmul(w.value) + b.value).relu()
      let z = (y.tanh() * 2 + y.exp()).squared()
      return [z.sum(axes: [0]), z]
    }
    #expect(program.plan.kernels.count == 2)
    #expect(program.plan.kernels[1].name.hasPrefix("fused("))
  }

  @Test(
    "a product of our own kernel flows into the program that reads it",
    arguments: [(784, 64, 64), (30, 5, 7), (1, 3, 2), (100, 40, 150)])
  func continuedProduct(m: Int, k: Int, n: Int) {
    let random = RandomGenerator(seed: 9)
    let start = random.normal([m, n])
    let (x, d, rate) = (random.normal([k, m]), random.normal([k, n]), Tensor(0.5 as Float))
    func run(_ compiles: Bool) -> [[Float]] {
      let (weight, mean) = (Variable(start, name: "w"), Variable(Tensor.zeros([m, n]), name: "m"))
      let body: @Sendable ([Tensor]) -> [Tensor] = { inputs in
        let g = inputs[0].matmul(inputs[1], transposeSelf: true)
        mean.value = mean.value + (g - mean.value) * 0.1
        weight.value = weight.value - mean.value * inputs[2]
        return []
      }
      let step = compiled(body)
      for _ in 0..<3 { _ = compiles ? step([x, d, rate]) : body([x, d, rate]) }
      if compiles {
        let kernels = step.program(for: [x, d, rate].map(\.type)).plan.kernels
        #expect(kernels.count == 1 && kernels[0].name.hasPrefix("matmul then"))
      }
      return [weight.value.floats, mean.value.floats]
    }
    for (eager, fast) in zip(run(false), run(true)) {
      for (a, b) in zip(eager, fast) { #expect(abs(a - b) <= 1e-5 * (abs(a) + 1)) }
    }
  }

  @Test("a group isn't fused around an operation in its middle")
  func noCycleThroughMatmul() {
    let f: @Sendable ([Tensor]) -> [Tensor] = { inputs in
      let a = inputs[0].tanh()
      let product = a.matmul(inputs[0])
      return [(a + product).exp() * a.sum()]
    }
    let x = RandomGenerator(seed: 1).normal([5, 5])
    let (eager, fast) = (f([x])[0].floats, compiled(f)(x).floats)
    for (a, b) in zip(eager, fast) { #expect(abs(a - b) <= 1e-5 * abs(a)) }
  }

  @Test("an arena is smaller than the values it holds")
  func arenaIsShared() {
    let program = Program.compile(inputs: [TensorType([64, 64], .float32)]) { inputs in
      var x = inputs[0]
      for _ in 0..<10 { x = x.matmul(x).tanh() }
      return [x]
    }
    #expect(program.plan.arenaBytes < program.plan.unsharedBytes / 2)
  }

  // MARK: What passes do

  private static func optimized(_ types: [TensorType], _ body: ([Tensor]) -> [Tensor]) -> Graph {
    let recorded = Tracer.record { tracer in
      tracer.finish(body(types.map(tracer.input)).map { $0.stopGradient() })
    }
    return Compiler.optimized(recorded, named: "test")
  }

  private static func scaledRows(_ inputs: [Tensor]) -> Tensor {
    apply(.indexing(.gatherRows(affine: .init(scale: 1 / 255, shift: 0))), Array(inputs[..<2]))[0]
  }

  @Test("a gathered batch lies in parts where products alone read it, and only there")
  func cutColumns() {
    let types = [
      TensorType([500, 784], .uint8), TensorType([64], .int32), TensorType([784, 32], .float32),
    ]
    let bytes = Self.optimized(types) { [$0[0].gathered($0[1]).cast(to: .float32).matmul($0[2])] }
    let batch = Self.optimized(types) { inputs in
      let batch = Self.scaledRows(inputs)
      return [batch.matmul(inputs[2])]
    }
    let read = Self.optimized(types) { inputs in
      let batch = Self.scaledRows(inputs)
      return [batch.matmul(inputs[2]), batch.sum()]
    }
    let narrow = Self.optimized([TensorType([500, 40], .uint8), types[1], TensorType([40, 32], .float32)]) {
      [Self.scaledRows($0).matmul($0[2])]
    }
    #expect(batch.inParts.count == 1)
    // Bytes that are cast later, read by a sum too, too narrow to be cut.
    for graph in [bytes, read, narrow] { #expect(graph.inParts.isEmpty) }
  }

  @Test("a moving average is one instruction") func blend() {
    let type = TensorType([64], .float32)
    let average = FusedOperation(
      shape: type.shape, inputCount: 2,
      steps: [
        .init(operation: .binary(.subtract), operands: [.register(1), .register(0)]),
        .init(operation: .binary(.multiply), operands: [.register(2), .constant(0.1)]),
        .init(operation: .binary(.add), operands: [.register(0), .register(3)]),
      ],
      outputs: [.init(register: 4, type: type, reduction: nil)])
    var code = BlockCode(average)
    let isLowered = code.lower()
    #expect(isLowered)
    #expect(code.instructions.map { UInt32($0.opcode) } == [CK_LERP_I.rawValue])
    // A difference that something else reads stays.
    var shared = average
    shared.outputs.append(.init(register: 2, type: type, reduction: nil))
    code = BlockCode(shared)
    let isSharedLowered = code.lower()
    #expect(isSharedLowered && code.instructions.count == 2)
  }
}
