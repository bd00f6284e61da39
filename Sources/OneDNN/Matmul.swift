import COneDNN

/// dst = post-operations(src · weights + bias), 2-D or batched, each operand read where it lies.
package final class Matmul: Sendable {
  package let description: Description
  let formulation: Formulation
  /// The primitives to execute: part by part, each part with as many.
  let steps: [Step]
  /// Parts that don't depend on each other.
  let parts: Int
  /// Bytes of scratch memory an execution needs.
  package let scratchpadSize: Int

  struct Step: Sendable {
    var primitive: Primitive
    var operands: [Operand]
  }

  /// One argument of a primitive, and where its bytes are to be found.
  struct Operand: Sendable {
    var number: Int32
    var descriptor: MemoryDescriptor
    var role: Role
    /// In bytes, from where the role's memory begins.
    var offset = 0
  }

  enum Role: Equatable {
    case source, weights, bias, destination, scratch
    case postOperand(Int)
  }

  /// What oneDNN chose, such as `brg:avx512_core` or `2 × gemm:jit`.
  package var implementation: String {
    let one = steps.prefix(steps.count / parts).map(\.primitive.implementation).joined(separator: " + ")
    return parts == 1 ? one : "\(parts) × \(one)"
  }

  /// What is computed, by value: the key under which the primitive is kept.
  package struct Description: Hashable, Sendable {
    /// Leading dimensions of src and of weights. They broadcast as in NumPy; the destination has the result's.
    package var sourceBatch: [Int] = []
    package var weightsBatch: [Int] = []
    package var m: Int
    package var k: Int
    package var n: Int
    package var sourceType: DataType = .float32
    package var weightsType: DataType = .float32
    package var destinationType: DataType = .float32
    /// src is stored as [..., k, m].
    package var transposeSource: Bool = false
    /// weights are stored as [..., n, k].
    package var transposeWeights: Bool = false
    /// In elements, over the batch dimensions and the two of the logical matrix ([m, k], [k, n], [m, n]); nil: dense
    /// and row-major, with the `transpose` flags applied. When set, the operand's `transpose` flag is not looked at.
    package var sourceStrides: [Int]?
    package var weightsStrides: [Int]?
    package var destinationStrides: [Int]?
    /// One value for each column, of the destination's type.
    package var bias: Bool = false
    package var postOperations: [PostOperation] = []

    package init(m: Int, k: Int, n: Int) {
      self.m = m
      self.k = k
      self.n = n
    }

    /// The common cases in one call; the rest through the properties. With `accumulate` the destination's former
    /// values are added before the activation.
    package init(
      m: Int, k: Int, n: Int, transposeSource: Bool = false, transposeWeights: Bool = false,
      bias: Bool = false,
      activation: Eltwise? = nil, accumulate: Bool = false, sourceBatch: [Int] = [], weightsBatch: [Int] = [],
      type: DataType = .float32, destinationType: DataType? = nil
    ) {
      self.init(m: m, k: k, n: n)
      self.sourceBatch = sourceBatch
      self.weightsBatch = weightsBatch
      self.transposeSource = transposeSource
      self.transposeWeights = transposeWeights
      self.bias = bias
      sourceType = type
      weightsType = type
      self.destinationType = destinationType ?? type
      if accumulate { postOperations.append(.sum()) }
      if let activation { postOperations.append(.eltwise(activation)) }
    }
  }

  private static let cache = PrimitiveCache<Description, Matmul>(capacity: 1024)

  /// The primitive for a description, cut into parts for `threads` threads of the pool. It may be executed on any
  /// number of them, and computes the same bits on each.
  package static func primitive(for description: Description, threads: Int) throws(OneDNNError) -> Matmul {
    try cache.value(for: description, threads: threads) { () throws(OneDNNError) -> Matmul in
      try forOneThread { () throws(OneDNNError) -> Matmul in
        try Matmul(description, description.formulation(threads: threads))
      }
    }
  }

  /// By any formulation, for comparisons.
  init(_ description: Description, _ formulation: Formulation) throws(OneDNNError) {
    self.description = description
    self.formulation = formulation
    let layouts = try description.layouts()
    (steps, parts, scratchpadSize) = try Matmul.steps(description, layouts, formulation)
  }
}

extension Matmul.Description: CustomStringConvertible {
  struct Layouts {
    var source, weights, destination: Layout
    var bias: Layout?
    var postOperations: [PostOperation] = []
  }

  /// The result's leading dimensions; nil when the operands' don't fit.
  package var destinationBatch: [Int]? {
    let rank = max(sourceBatch.count, weightsBatch.count)
    var result: [Int] = []
    for (a, b) in zip(Self.padded(sourceBatch, to: rank), Self.padded(weightsBatch, to: rank)) {
      guard a == b || a == 1 || b == 1 else { return nil }
      result.append(a == 1 ? b : a)
    }
    return result
  }

  private static func padded(_ batch: [Int], to rank: Int) -> [Int] {
    Array(repeating: 1, count: rank - batch.count) + batch
  }

  /// What oneDNN is told. All operands get the same rank, and every size is at least 1: the caller knows better what
  /// to do with nothing.
  func layouts() throws(OneDNNError) -> Layouts {
    guard let batch = destinationBatch, min(m, k, n, batch.min() ?? 1) > 0 else {
      throw OneDNNError(
        call: "dnnl_matmul_primitive_desc_create", status: dnnl_invalid_arguments, request: description)
    }
    func operand(
      _ batch: [Int], _ rows: Int, _ columns: Int, _ type: DataType, _ transposed: Bool, _ strides: [Int]?
    ) -> Layout {
      if let strides { return Layout(batch + [rows, columns], type, strides: strides) }
      return transposed
        ? Layout(batch + [columns, rows], type).transposed : Layout(batch + [rows, columns], type)
    }
    let rank = batch.count
    let source = operand(
      Self.padded(sourceBatch, to: rank), m, k, sourceType, transposeSource, sourceStrides)
    let weights = operand(
      Self.padded(weightsBatch, to: rank), k, n, weightsType, transposeWeights, weightsStrides)
    let destination = operand(batch, m, n, destinationType, false, destinationStrides)
    let ones = Array(repeating: 1, count: rank + 1)
    return Layouts(
      source: source, weights: weights, destination: destination,
      bias: bias ? Layout(ones + [n], destinationType) : nil, postOperations: postOperations)
  }

  package var description: String {
    func shape(_ batch: [Int], _ rows: Int, _ columns: Int, _ transposed: Bool) -> String {
      transposed ? "\(batch + [columns, rows])ᵀ" : "\(batch + [rows, columns])"
    }
    var text = "matmul \(sourceType)\(shape(sourceBatch, m, k, transposeSource && sourceStrides == nil))"
    text += " · \(weightsType)\(shape(weightsBatch, k, n, transposeWeights && weightsStrides == nil))"
    if bias { text += " + bias" }
    text += " → \(destinationType)"
    let strides = [("src", sourceStrides), ("weights", weightsStrides), ("dst", destinationStrides)]
    for (name, strides) in strides { if let strides { text += ", \(name) strides \(strides)" } }
    if !postOperations.isEmpty { text += ", then \(postOperations)" }
    return text
  }
}
