@testable import OneDNN

/// A matmul with its operands in memory and the same in float64 beside it.
struct MatmulCase {
  var description: Matmul.Description
  var source, weights, bias, former: [Float]
  /// Operands of binary post-operations, dense.
  var operands: [[Float]] = []

  init(_ description: Matmul.Description, seed: UInt64 = 1) {
    self.description = description
    var random = SplitMix(state: seed)
    let count = { (dims: [Int]) in dims.reduce(1, *) }
    let batch = description.destinationBatch!
    let d = description
    source = random.floats(count(d.sourceBatch) * d.m * d.k)
    weights = random.floats(count(d.weightsBatch) * d.k * d.n)
    bias = random.floats(d.n)
    former = random.floats(count(batch) * d.m * d.n)
    for operation in d.postOperations {
      if case .binary(_, let layout) = operation { operands.append(random.floats(count(layout.dims))) }
    }
    if d.sourceType == .bfloat16 { source = source.map(\.roundedToBFloat16) }
    if d.weightsType == .bfloat16 { weights = weights.map(\.roundedToBFloat16) }
    if d.destinationType == .bfloat16 {
      bias = bias.map(\.roundedToBFloat16)
      former = former.map(\.roundedToBFloat16)
    }
  }

  /// In float64 by the definition. `tolerance` is, for each element, 1 for the sum of its terms' magnitudes.
  func reference() -> (values: [Double], magnitudes: [Double]) {
    let d = description
    let batch = d.destinationBatch!
    var values: [Double] = []
    var magnitudes: [Double] = []
    for index in 0..<batch.reduce(1, *) {
      let a = offset(of: index, in: batch, for: d.sourceBatch) * d.m * d.k
      let b = offset(of: index, in: batch, for: d.weightsBatch) * d.k * d.n
      for i in 0..<d.m {
        for j in 0..<d.n {
          var sum = 0.0
          var magnitude = 0.0
          for p in 0..<d.k {
            let x = Double(source[a + (d.transposeSource ? p * d.m + i : i * d.k + p)])
            let w = Double(weights[b + (d.transposeWeights ? j * d.k + p : p * d.n + j)])
            sum += x * w
            magnitude += abs(x * w)
          }
          if d.bias { sum += Double(bias[j]) }
          (sum, magnitude) = finish(sum, magnitude + 1, position: [index, i, j], batch: batch)
          values.append(sum)
          magnitudes.append(magnitude)
        }
      }
    }
    return (values, magnitudes)
  }

  private func finish(_ value: Double, _ magnitude: Double, position: [Int], batch: [Int]) -> (Double, Double)
  {
    let d = description
    var (value, magnitude) = (value, magnitude)
    var next = operands.makeIterator()
    for operation in d.postOperations {
      switch operation {
      case .sum(let scale):
        value += Double(scale) * Double(former[(position[0] * d.m + position[1]) * d.n + position[2]])
      case .eltwise(.relu(let slope)): value = value > 0 ? value : Double(slope) * value
      case .binary(let kind, let layout):
        // The tests use operands of one row or one column only.
        let operand = next.next()!
        let element = operand[layout.dims.last! == 1 ? position[1] : position[2]]
        value = kind == .add ? value + Double(element) : value * Double(element)
        if kind == .multiply {
          magnitude *= max(abs(Double(element)), 1e-3)
        } else {
          magnitude += abs(Double(element))
        }
      default: fatalError("no reference for \(operation)")
      }
    }
    return (value, magnitude)
  }

  private func offset(of index: Int, in batch: [Int], for own: [Int]) -> Int {
    let padded = Array(repeating: 1, count: batch.count - own.count) + own
    var rest = index
    var coordinates = batch
    for axis in batch.indices.reversed() {
      coordinates[axis] = rest % batch[axis]
      rest /= batch[axis]
    }
    return zip(padded, coordinates).reduce(0) { $0 * $1.0 + ($1.0 == 1 ? 0 : $1.1) }
  }

  /// Through oneDNN, cut for `threads` threads.
  func run(threads: Int = 1) throws -> [Float] {
    try run(Matmul.primitive(for: description, threads: threads))
  }

  /// Through a given formulation of the description.
  func run(_ matmul: Matmul) throws -> [Float] {
    let d = description
    let source = Buffer(self.source, d.sourceType)
    let weights = Buffer(self.weights, d.weightsType)
    let bias = Buffer(self.bias, d.destinationType)
    let destination = Buffer(former, d.destinationType)
    let scratchpad = Buffer(bytes: matmul.scratchpadSize)
    let operands = self.operands.map { Buffer($0, .float32) }
    let execution = try MatmulExecution(
      matmul, source: source.data, weights: weights.data, bias: d.bias ? bias.data : nil,
      destination: destination.data, scratchpad: scratchpad.data, postOperands: operands.map(\.data))
    // Without this a buffer may be freed after its pointer was taken.
    try withExtendedLifetime((source, weights, bias, scratchpad, operands)) { try execution() }
    return destination.floats(former.count)
  }
}

/// Bytes of the test's own, aligned as the library's are.
final class Buffer {
  let data: UnsafeMutableRawPointer
  let type: DataType

  init(bytes: Int) {
    data = .allocate(byteCount: max(bytes, 64), alignment: 64)
    data.initializeMemory(as: UInt8.self, repeating: 0, count: max(bytes, 64))
    type = .uint8
  }

  init(_ values: [Float], _ type: DataType) {
    data = .allocate(byteCount: max(values.count * type.size, 64), alignment: 64)
    self.type = type
    for (index, value) in values.enumerated() {
      if type == .bfloat16 {
        data.storeBytes(of: UInt16(value.bitPattern >> 16), toByteOffset: 2 * index, as: UInt16.self)
      } else {
        data.storeBytes(of: value, toByteOffset: 4 * index, as: Float.self)
      }
    }
  }

  deinit { data.deallocate() }

  func floats(_ count: Int) -> [Float] {
    (0..<count).map { index in
      type == .bfloat16
        ? Float(bitPattern: UInt32(data.load(fromByteOffset: 2 * index, as: UInt16.self)) << 16)
        : data.load(fromByteOffset: 4 * index, as: Float.self)
    }
  }
}

extension Float {
  /// Truncated, which is enough for test data: the low half of the pattern is zero.
  var roundedToBFloat16: Float { Float(bitPattern: bitPattern & 0xffff_0000) }
}

struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func floats(_ count: Int) -> [Float] {
    (0..<count).map { _ in Float.random(in: -1...1, using: &self) }
  }
}
