import Testing

@testable import OneDNN

@Suite("matmul against float64", .serialized)
struct MatmulTests {
  /// `tolerance` is relative to the sum of the terms' magnitudes.
  func compare(_ description: Matmul.Description, threads: Int = 1, tolerance: Double = 1e-6) throws {
    let example = MatmulCase(description)
    let values = try example.run(threads: threads)
    let reference = example.reference()
    try #require(values.count == reference.values.count)
    for index in values.indices {
      let error = abs(Double(values[index]) - reference.values[index])
      #expect(
        error <= tolerance * reference.magnitudes[index],
        "\(description), element \(index): \(values[index]), reference \(reference.values[index])")
      if !(error <= tolerance * reference.magnitudes[index]) { return }
    }
  }

  static let sizes = [
    [1, 1, 1], [1, 7, 5], [3, 1, 2], [5, 3, 1], [17, 33, 9], [64, 784, 64], [64, 64, 10], [31, 129, 65],
    [256, 100, 300], [128, 10, 64],
  ]

  @Test("every transposition, odd sizes, one and two threads", arguments: sizes, [1, 2])
  func transpositions(size: [Int], threads: Int) throws {
    for transposeSource in [false, true] {
      for transposeWeights in [false, true] {
        try compare(
          .init(
            m: size[0], k: size[1], n: size[2], transposeSource: transposeSource,
            transposeWeights: transposeWeights),
          threads: threads)
      }
    }
  }

  @Test("bias, activation and accumulation", arguments: sizes)
  func finishing(size: [Int]) throws {
    let (m, k, n) = (size[0], size[1], size[2])
    try compare(.init(m: m, k: k, n: n, bias: true))
    try compare(.init(m: m, k: k, n: n, activation: .relu()))
    try compare(.init(m: m, k: k, n: n, bias: true, activation: .relu()))
    try compare(.init(m: m, k: k, n: n, bias: true, activation: .relu(negativeSlope: 0.25)))
    try compare(.init(m: m, k: k, n: n, accumulate: true))
    try compare(.init(m: m, k: k, n: n, transposeSource: true, accumulate: true))
    try compare(
      .init(m: m, k: k, n: n, transposeWeights: true, bias: true, activation: .relu(), accumulate: true))
    var scaled = Matmul.Description(m: m, k: k, n: n)
    scaled.postOperations = [.sum(scale: -0.5)]
    try compare(scaled)
  }

  /// One product and how it is put to oneDNN for two threads.
  struct Formulated: Sendable {
    var m, k, n: Int
    var transposeSource = false
    var transposeWeights = false
    var expected: Formulation
  }

  /// Shapes for which something else than oneDNN's first choice is faster, or that are cut in other ways.
  static let formulated: [Formulated] = [
    .init(m: 64, k: 64, n: 10, transposeSource: true, expected: .init(method: .transposed)),
    .init(m: 300, k: 128, n: 20, transposeSource: true, expected: .init(method: .transposed, parts: 2)),
    .init(m: 64, k: 64, n: 20, transposeSource: true, expected: .init(method: .gemm, parts: 2)),
    .init(
      m: 64, k: 64, n: 10, transposeSource: true, transposeWeights: true, expected: .init(method: .direct)),
    .init(m: 65, k: 130, n: 33, transposeSource: true, expected: .init(method: .gemm, parts: 2)),
    .init(m: 1024, k: 256, n: 40, transposeSource: true, expected: .init(method: .gemm, parts: 4)),
    .init(
      m: 20, k: 130, n: 130, transposeSource: true, expected: .init(method: .gemm, parts: 2, axis: .columns)),
    .init(m: 33, k: 70, n: 1, expected: .init(method: .gemm)),
    .init(m: 300, k: 400, n: 1, expected: .init(method: .gemm, parts: 2)),
    .init(m: 1, k: 300, n: 50, expected: .init(method: .direct)),
    .init(m: 1, k: 300, n: 300, expected: .init(method: .gemm, parts: 2, axis: .columns)),
    .init(
      m: 3, k: 512, n: 520, transposeWeights: true, expected: .init(method: .gemm, parts: 2, axis: .columns)),
    .init(
      m: 17, k: 300, n: 200, transposeWeights: true,
      expected: .init(method: .copied, parts: 2, axis: .columns)),
    .init(m: 260, k: 64, n: 70, transposeWeights: true, expected: .init(method: .gemm, parts: 2)),
    .init(m: 129, k: 512, n: 520, expected: .init(method: .gemm, parts: 4)),
    .init(m: 513, k: 200, n: 100, expected: .init(method: .direct, parts: 4)),
    .init(m: 64, k: 64, n: 64, expected: .init(method: .direct, parts: 2)),
  ]

  @Test("every formulation, on one and two threads", arguments: formulated)
  func formulations(_ given: Formulated) throws {
    var description = Matmul.Description(
      m: given.m, k: given.k, n: given.n, transposeSource: given.transposeSource,
      transposeWeights: given.transposeWeights)
    #expect(description.formulation(threads: 2) == given.expected, "\(description)")
    for threads in [1, 2] { try compare(description, threads: threads) }
    description.bias = true
    description.postOperations = [.sum(), .eltwise(.relu())]
    #expect(description.formulation(threads: 2).method != .transposed)
    #expect(description.formulation(threads: 2).method != .copied)
    for threads in [1, 2] { try compare(description, threads: threads) }
  }

  @Test("batches are shared between threads")
  func sharedBatches() throws {
    for (source, weights, axis) in [([5], [5], 0), ([5], [1], 0), ([3, 4], [3, 4], 1), ([1], [6], 0)] {
      let description = Matmul.Description(m: 40, k: 33, n: 50, sourceBatch: source, weightsBatch: weights)
      try compare(description, threads: 2)
      #expect(description.formulation(threads: 2).axis == .batch(axis))
    }
  }

  @Test("a small product is made in one part, for one thread")
  func smallOnOneThread() throws {
    let description = Matmul.Description(m: 64, k: 64, n: 10)
    #expect(description.formulation(threads: 2).parts == 1)
    let sizes = try [1, 2].map { try Matmul.primitive(for: description, threads: $0).scratchpadSize }
    #expect(sizes[0] == sizes[1])
  }

  @Test("binary post-operations: a row, a column, and in their order")
  func binary() throws {
    let (m, k, n) = (13, 21, 34)
    var description = Matmul.Description(m: m, k: k, n: n, bias: true)
    description.postOperations = [.binary(.add, Layout([1, n], .float32))]
    try compare(description)
    description.postOperations = [
      .binary(.multiply, Layout([1, n], .float32)), .eltwise(.relu()),
      .binary(.add, Layout([m, 1], .float32)),
    ]
    try compare(description)
  }

  @Test(
    "batches, broadcast ones included",
    arguments: [
      ([5], [5]), ([5], [1]), ([1], [5]), ([5], []), ([], [5]), ([2, 3], [2, 3]), ([2, 3], [3]),
      ([2, 1], [1, 3]),
      ([1, 1], [4]), ([2, 3, 2], [2, 3, 2]),
    ] as [([Int], [Int])])
  func batches(source: [Int], weights: [Int]) throws {
    for transposed in [false, true] {
      for (m, k, n) in [(4, 8, 16), (7, 5, 3)] {
        let description = Matmul.Description(
          m: m, k: k, n: n, transposeSource: transposed, transposeWeights: transposed, sourceBatch: source,
          weightsBatch: weights)
        try compare(description)
        try compare(description, threads: 2)
        var finished = description
        finished.bias = true
        finished.postOperations = [.sum(), .eltwise(.relu())]
        try compare(finished)
      }
    }
  }

  @Test("bfloat16 operands, float32 and bfloat16 results")
  func bfloat16() throws {
    for (m, k, n) in [(64, 784, 64), (7, 33, 5)] {
      for transposed in [false, true] {
        for result in [DataType.float32, .bfloat16] {
          let description = Matmul.Description(
            m: m, k: k, n: n, transposeSource: transposed, transposeWeights: transposed, bias: true,
            activation: .relu(), type: .bfloat16, destinationType: result)
          do {
            try compare(description, tolerance: result == .float32 ? 1e-6 : 5e-3)
          } catch let error as OneDNNError where error.status == "unimplemented" {
            // This processor has no instructions oneDNN could use for it.
          }
        }
      }
    }
  }

  @Test("strides: an operand inside a larger array")
  func strides() throws {
    // Columns 2..<5 of a 4×8 array, rows of a result of width 6.
    let (m, k, n) = (4, 3, 5)
    var description = Matmul.Description(m: m, k: k, n: n)
    description.sourceStrides = [8, 1]
    description.destinationStrides = [6, 1]
    var random = SplitMix(state: 3)
    let (wide, weights) = (random.floats(4 * 8), random.floats(k * n))
    let matmul = try Matmul.primitive(for: description, threads: 1)
    let (a, b) = (Buffer(wide, .float32), Buffer(weights, .float32))
    let c = Buffer(Array(repeating: 9, count: m * 6), .float32)
    let scratchpad = Buffer(bytes: matmul.scratchpadSize)
    try MatmulExecution(
      matmul, source: a.data + 2 * 4, weights: b.data, destination: c.data, scratchpad: scratchpad.data)()
    let result = c.floats(m * 6)
    for i in 0..<m {
      for j in 0..<n {
        var expected = 0.0
        for p in 0..<k { expected += Double(wide[i * 8 + 2 + p]) * Double(weights[p * n + j]) }
        #expect(abs(Double(result[i * 6 + j]) - expected) < 1e-6)
      }
      #expect(result[i * 6 + 5] == 9, "the gap between rows is left alone")
    }
  }

  @Test("setPointers: the same execution on other memory")
  func rebind() throws {
    let description = Matmul.Description(m: 2, k: 2, n: 2, bias: true)
    let matmul = try Matmul.primitive(for: description, threads: 1)
    let identity = Buffer([1, 0, 0, 1], .float32)
    let (x, y) = (Buffer([1, 2, 3, 4], .float32), Buffer([5, 6, 7, 8], .float32))
    let (zero, one) = (Buffer([0, 0], .float32), Buffer([1, 1], .float32))
    let (first, second) = (Buffer([0, 0, 0, 0], .float32), Buffer([0, 0, 0, 0], .float32))
    let scratchpad = Buffer(bytes: matmul.scratchpadSize)
    let execution = try MatmulExecution(
      matmul, source: x.data, weights: identity.data, bias: zero.data, destination: first.data,
      scratchpad: scratchpad.data)
    try execution()
    try execution.setPointers(source: y.data, bias: one.data, destination: second.data)
    try execution()
    #expect(first.floats(4) == [1, 2, 3, 4])
    #expect(second.floats(4) == [6, 7, 8, 9])
  }
}
