import COneDNN
import Testing

@testable import OneDNN

extension Convolution.Description: CustomTestStringConvertible {
  public var testDescription: String { description }

  /// Over images whose size all axes share.
  fileprivate init(
    _ batch: Int, _ size: [Int], _ channels: Int, _ outputs: Int, kernel: [Int], strides: [Int]? = nil,
    dilation: [Int]? = nil, before: [Int]? = nil, after: [Int]? = nil, groups: Int = 1
  ) {
    let ones = size.map { _ in 1 }, zeros = size.map { _ in 0 }
    let (strides, dilation) = (strides ?? ones, dilation ?? ones)
    let (before, after) = (before ?? zeros, after ?? zeros)
    let output = size.indices.map {
      (size[$0] + before[$0] + after[$0] - (kernel[$0] - 1) * dilation[$0] - 1) / strides[$0] + 1
    }
    self.init(
      batch: batch, input: size, inputChannels: channels, output: output, outputChannels: outputs,
      kernel: kernel, strides: strides, dilation: dilation, paddingBefore: before, paddingAfter: after)
    self.groups = groups
  }

  fileprivate var counts: (source: Int, weights: Int, destination: Int) {
    (
      batch * input.reduce(inputChannels, *), kernel.reduce(inputChannels / groups * outputChannels, *),
      batch * output.reduce(outputChannels, *)
    )
  }

  /// Calls `body` with the places of every product: in src, in the weights, in dst.
  fileprivate func forEachProduct(_ body: (Int, Int, Int) -> Void) {
    func positions(_ sizes: [Int]) -> [[Int]] {
      sizes.reduce([[]]) { all, size in all.flatMap { head in (0..<size).map { head + [$0] } } }
    }
    func offset(_ position: [Int], _ sizes: [Int]) -> Int {
      zip(position, sizes).reduce(0) { $0 * $1.1 + $1.0 }
    }
    let (inputs, outputs) = (inputChannels / groups, outputChannels / groups)
    for image in 0..<batch {
      for place in positions(output) {
        let destination = offset([image] + place, [batch] + output) * outputChannels
        for cell in positions(kernel) {
          let source = place.indices.map {
            place[$0] * strides[$0] + cell[$0] * dilation[$0] - paddingBefore[$0]
          }
          guard zip(source, input).allSatisfy({ (0..<$1).contains($0) }) else { continue }
          let from = offset([image] + source, [batch] + input) * inputChannels
          for channel in 0..<inputs {
            for result in 0..<outputChannels {
              body(
                from + result / outputs * inputs + channel,
                (offset(cell, kernel) * inputs + channel) * outputChannels + result, destination + result)
            }
          }
        }
      }
    }
  }
}

@Suite("convolution", .serialized)
struct ConvolutionTests {
  static let cases: [Convolution.Description] = [
    .init(3, [6, 5], 3, 4, kernel: [3, 2]), .init(2, [7], 2, 5, kernel: [4], strides: [2]),
    .init(1, [4, 3, 5], 2, 3, kernel: [2, 2, 3]),
    .init(5, [8, 8], 16, 32, kernel: [3, 3], before: [1, 1], after: [1, 1]),
    .init(2, [7, 6], 2, 3, kernel: [3, 3], strides: [2, 1], before: [1, 0], after: [0, 2]),
    .init(2, [9, 8], 2, 3, kernel: [3, 2], dilation: [2, 3]),
    .init(2, [5, 5], 6, 4, kernel: [3, 3], before: [1, 1], after: [1, 1], groups: 2),
    .init(2, [6, 6], 16, 16, kernel: [3, 3], before: [1, 1], after: [1, 1], groups: 16),
    .init(2, [6, 6], 3, 6, kernel: [3, 3], groups: 3),
    .init(4, [5, 5], 16, 16, kernel: [1, 1], strides: [2, 2]),
    // Enough work to be shared, in parts of two sizes.
    .init(7, [16, 16], 16, 16, kernel: [3, 3], before: [1, 1], after: [1, 1]),
    // One image, in bands of its rows.
    .init(1, [17, 16], 16, 32, kernel: [3, 3], before: [1, 1], after: [1, 1]),
    .init(
      1, [41, 16], 24, 40, kernel: [3, 2], strides: [2, 1], dilation: [2, 1], before: [3, 0], after: [1, 2]),
    .init(1, [900], 16, 48, kernel: [4]),
    // The second band would be nothing but padding.
    .init(1, [4, 32], 64, 32, kernel: [2, 2], before: [0, 0], after: [12, 0]),
  ]

  @Test("all three products, on one thread and on two", arguments: cases)
  func products(_ description: Convolution.Description) throws {
    let counts = description.counts
    func numbers(_ count: Int, _ factor: Int) -> [Float] {
      (0..<count).map { Float(($0 * factor) % 17 - 8) / 8 }
    }
    let (source, weights) = (numbers(counts.source, 7), numbers(counts.weights, 5))
    let destination = numbers(counts.destination, 11)
    for direction in [Convolution.Direction.forward, .data, .weights] {
      var description = description
      description.direction = direction
      var expected = [Double](
        repeating: 0,
        count: direction == .forward
          ? counts.destination : direction == .data ? counts.source : counts.weights)
      description.forEachProduct { s, w, d in
        switch direction {
        case .forward: expected[d] += Double(source[s] * weights[w])
        case .data: expected[s] += Double(destination[d] * weights[w])
        case .weights: expected[w] += Double(source[s] * destination[d])
        }
      }
      var ofOneThread: [Float] = []
      for threads in [1, 2] {
        let made = try Convolution.primitive(for: description, threads: threads)
        let buffers = [Buffer(source, .float32), Buffer(weights, .float32), Buffer(destination, .float32)]
        let scratchpad = Buffer(bytes: made.scratchpadSize)
        let execution = try ConvolutionExecution(
          made, source: buffers[0].data, weights: buffers[1].data, destination: buffers[2].data,
          scratchpad: scratchpad.data)
        // Twice: what was written the first time must not be added to.
        try execution()
        try execution()
        let result = buffers[direction == .forward ? 2 : direction == .data ? 0 : 1].floats(expected.count)
        let worst = zip(result, expected).map { abs(Double($0) - $1) }.max() ?? 0
        #expect(worst <= 1e-3, "\(direction) on \(threads): \(made.implementation)")
        if threads == 1 { ofOneThread = result }
        // By weights each thread has a sum of its own.
        if direction != .weights { #expect(result == ofOneThread, "\(direction): \(made.implementation)") }
      }
    }
  }

  @Test("bias and relu on the way out")
  func epilogue() throws {
    var description = Self.cases[0]
    description.bias = true
    description.activation = .relu()
    let counts = description.counts
    let source = Buffer((0..<counts.source).map { Float($0 % 5) - 2 }, .float32)
    let weights = Buffer((0..<counts.weights).map { Float($0 % 3) - 1 }, .float32)
    let bias = Buffer([1, -2, 3, 0], .float32)
    let destination = Buffer(Array(repeating: 9, count: counts.destination), .float32)
    var expected = (0..<counts.destination).map { [1, -2, 3, 0][$0 % 4] as Double }
    description.forEachProduct { s, w, d in expected[d] += Double((s % 5 - 2) * (w % 3 - 1)) }
    let made = try Convolution.primitive(for: description, threads: 2)
    let scratchpad = Buffer(bytes: made.scratchpadSize)
    let execution = try ConvolutionExecution(
      made, source: source.data, weights: weights.data, bias: bias.data, destination: destination.data,
      scratchpad: scratchpad.data)
    try execution()
    #expect(destination.floats(counts.destination).map(Double.init) == expected.map { max($0, 0) })
    #expect {
      try ConvolutionExecution(
        made, source: source.data, weights: weights.data, destination: destination.data,
        scratchpad: scratchpad.data)
    } throws: { "\($0)".contains("bias missing") }
  }

  @Test("no fall to a slow implementation where oneDNN has a fast one")
  func implementations() throws {
    guard instructionSetIsWide else { return }
    let shapes: [Convolution.Description] = [
      .init(8, [28, 28], 1, 32, kernel: [3, 3]), .init(8, [13, 13], 32, 64, kernel: [3, 3]),
      .init(8, [32, 32], 3, 16, kernel: [3, 3], before: [1, 1], after: [1, 1]),
      .init(8, [32, 32], 16, 32, kernel: [3, 3], strides: [2, 2], before: [0, 0], after: [1, 1]),
      .init(8, [32, 32], 16, 32, kernel: [1, 1], strides: [2, 2]),
      .init(8, [16, 16], 32, 32, kernel: [3, 3], before: [1, 1], after: [1, 1], groups: 32),
      .init(4, [8, 8, 8], 16, 16, kernel: [3, 3, 3]), .init(8, [64], 32, 32, kernel: [5]),
    ]
    for shape in shapes {
      for direction in [Convolution.Direction.forward, .data, .weights] {
        var shape = shape
        shape.direction = direction
        let name = try Convolution.primitive(for: shape, threads: 2).implementation
        #expect(!name.contains("ref") && !name.contains("gemm"), "\(shape): \(name)")
      }
    }
  }

  /// With fewer registers oneDNN itself prefers gemm for some.
  private var instructionSetIsWide: Bool {
    dnnl_get_effective_cpu_isa().rawValue >= dnnl_cpu_isa_avx512_core.rawValue
  }
}
