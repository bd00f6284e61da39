import CKernels

/// Random numbers as a function of a state: seed, counter and position give the same number always (Philox 4×32-10,
/// Salmon et al., 2011).
package enum SamplingOperation: OperationFamily {
  case uniform(Shape)
  case normal(Shape)
  /// Normal, within two standard deviations.
  case truncatedNormal(Shape)
  /// 1 with probability p, else 0, as float32.
  case bernoulli(Shape, p: Double)
  /// 32 random bits, as int32.
  case bits(Shape)

  package var operation: Operation { .sampling(self) }

  package var shape: Shape {
    switch self {
    case .uniform(let shape), .normal(let shape), .truncatedNormal(let shape), .bits(let shape): shape
    case .bernoulli(let shape, _): shape
    }
  }

  private var facts: (name: String, distribution: ck_distribution, dtype: DType, a: Double) {
    switch self {
    case .uniform: ("uniform", CK_UNIFORM, .float32, 0)
    case .normal: ("normal", CK_NORMAL, .float32, 0)
    case .truncatedNormal: ("truncatedNormal", CK_TRUNCATED_NORMAL, .float32, 0)
    case .bernoulli(_, let p): ("bernoulli", CK_BERNOULLI, .float32, p)
    case .bits: ("bits", CK_BITS, .int32, 0)
    }
  }

  package static var samples: [Sample] {
    let shapes: [Shape] = [[3, 5], [], [0], [1000]]
    return shapes.flatMap { shape in
      [SamplingOperation.uniform(shape), .normal(shape), .truncatedNormal(shape), .bernoulli(shape, p: 0.3), .bits(shape)].map {
        Sample(.sampling($0), [.init([2], .int64, elements: [7, 3])])
      }
    }
  }

  package var rule: Rule {
    let facts = facts
    let shape = shape
    let bind: @Sendable ([Buffer], [Buffer]) -> BoundKernel = { inputs, outputs in
      let arguments = ck_random(
        dst: outputs[0].bytes, state: UnsafePointer(inputs[0].bytes.assumingMemoryBound(to: Int64.self)),
        dst_dtype: outputs[0].dtype.kernelCode, distribution: Int32(facts.distribution.rawValue),
        count: Int64(shape.elementCount), a: Float(facts.a))
      return BoundKernel(facts.name, arguments, run: ck_random_run)
    }
    return Rule(
      facts.name,
      infer: { types throws(OperationError) in
        guard types[0] == TensorType([2], .int64) else {
          throw OperationError("\(facts.name): expected a state of int64[2] (seed, counter), got \(types[0])")
        }
        return [TensorType(shape, facts.dtype)]
      },
      value: .reference { bind($0, $1).run() },
      kernel: { inputs, outputs, _ in bind(inputs, outputs) })
  }
}
