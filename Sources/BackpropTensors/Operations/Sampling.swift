import CKernels

/// Random numbers as a function of a state: seed, counter and position give the same number always (Philox 4×32-10,
/// Salmon et al., 2011).
package enum SamplingOperation: SampledFamily {
  case uniform(Shape)
  case normal(Shape)
  /// Normal, within two standard deviations.
  case truncatedNormal(Shape)
  /// 1 with probability p, else 0, as float32.
  case bernoulli(Shape, p: Double)
  /// 32 random bits, as int32.
  case bits(Shape)
  /// 0..<count in random order, as int32.
  case permutation(count: Int)

  package var operation: Operation { .sampling(self) }

  package enum Kind: CaseIterable { case uniform, normal, truncatedNormal, bernoulli, bits, permutation }

  package var kind: Kind {
    switch self {
    case .uniform: .uniform
    case .normal: .normal
    case .truncatedNormal: .truncatedNormal
    case .bernoulli: .bernoulli
    case .bits: .bits
    case .permutation: .permutation
    }
  }

  package var shape: Shape {
    switch self {
    case .uniform(let shape), .normal(let shape), .truncatedNormal(let shape), .bits(let shape): shape
    case .bernoulli(let shape, _): shape
    case .permutation(let count): [count]
    }
  }

  /// How many Philox blocks of four numbers it draws: the counter moves on by as many.
  package var blockCount: Int {
    let numbers =
      switch self {
      case .permutation(let count): Permutation.bitCount(count)
      default: shape.elementCount
      }
    return (numbers + 3) / 4
  }

  private var facts: (name: String, distribution: ck_distribution, dtype: DType, a: Double) {
    switch self {
    case .uniform: ("uniform", CK_UNIFORM, .float32, 0)
    case .normal: ("normal", CK_NORMAL, .float32, 0)
    case .truncatedNormal: ("truncatedNormal", CK_TRUNCATED_NORMAL, .float32, 0)
    case .bernoulli(_, let p): ("bernoulli", CK_BERNOULLI, .float32, p)
    case .bits: ("bits", CK_BITS, .int32, 0)
    case .permutation: ("permutation", CK_BITS, .int32, 0)
    }
  }

  package static var samples: [Sample] {
    let shapes: [Shape] = [[3, 5], [], [0], [1000]]
    return shapes.flatMap { shape in
      let kinds: [SamplingOperation] = [
        .uniform(shape), .normal(shape), .truncatedNormal(shape), .bernoulli(shape, p: 0.3), .bits(shape),
        .permutation(count: shape.elementCount),
      ]
      return kinds.map {
        Sample(.sampling($0), [.init([2], .int64, elements: [7, 3])])
      }
    }
  }

  package var rule: Rule {
    if case .permutation = self { return permutationRule }
    let (facts, shape) = (facts, shape)
    let bind: @Sendable ([Buffer], [Buffer]) -> BoundKernel = { inputs, outputs in
      let arguments = ck_random(
        dst: outputs[0].bytes, state: UnsafePointer(inputs[0].bytes.assumingMemoryBound(to: Int64.self)),
        dst_dtype: outputs[0].dtype.kernelCode, distribution: Int32(facts.distribution.rawValue),
        count: Int64(shape.elementCount), a: Float(facts.a))
      return BoundKernel(facts.name, arguments, run: ck_random_run)
    }
    return Rule(
      facts.name,
      infer: { types throws(OperationError) in [try result(types)] },
      value: .reference { bind($0, $1).run() },
      kernel: { inputs, outputs, _ in bind(inputs, outputs) })
  }

  private var permutationRule: Rule {
    let bind: @Sendable ([Buffer], [Buffer]) -> BoundKernel = { inputs, outputs in
      let bits = Storage(byteCount: 4 * Permutation.bitCount(outputs[0].count))
      return BoundKernel("permutation") {
        Permutation.fill(
          outputs[0].elements(as: Int32.self),
          state: UnsafePointer(inputs[0].bytes.assumingMemoryBound(to: Int64.self)),
          bits: bits.bytes.assumingMemoryBound(to: UInt32.self))
      }
    }
    return Rule(
      facts.name, infer: { types throws(OperationError) in [try result(types)] },
      value: .reference { bind($0, $1).run() },
      kernel: { inputs, outputs, _ in bind(inputs, outputs) })
  }

  private func result(_ types: [TensorType]) throws(OperationError) -> TensorType {
    guard types[0] == TensorType([2], .int64) else {
      throw OperationError("\(facts.name): expected a state of int64[2] (seed, counter), got \(types[0])")
    }
    return TensorType(shape, facts.dtype)
  }
}
