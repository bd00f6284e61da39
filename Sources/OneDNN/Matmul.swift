import COneDNN

/// dst = post-operations(src · weights + bias), 2-D or batched, each operand read where it lies.
package final class Matmul: Sendable {
  package let description: Description
  package let threads: Int
  package let primitive: Primitive
  let source, weights, destination: MemoryDescriptor
  let bias: MemoryDescriptor?
  let postOperands: [(position: Int, descriptor: MemoryDescriptor)]

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

  /// The primitive for a description, made for `threads` threads: execute it with as many set.
  package static func primitive(for description: Description, threads: Int) throws(OneDNNError) -> Matmul {
    try cache.value(for: description, threads: threads) { () throws(OneDNNError) -> Matmul in
      try Threads.with(threads) { () throws(OneDNNError) -> Matmul in
        try Matmul(description, threads: threads)
      }
    }
  }

  private init(_ description: Description, threads: Int) throws(OneDNNError) {
    self.description = description
    self.threads = threads
    let layouts = try description.layouts()
    let source = try MemoryDescriptor(layouts.source)
    let weights = try MemoryDescriptor(layouts.weights)
    let destination = try MemoryDescriptor(layouts.destination)
    var bias: MemoryDescriptor?
    if let layout = layouts.bias { bias = try MemoryDescriptor(layout) }
    let attributes = try PrimitiveAttributes(postOperations: description.postOperations)
    let descriptor = try PrimitiveDescriptor("dnnl_matmul_primitive_desc_create", "\(description)") {
      odn_matmul_primitive_desc_create(
        &$0, Engine.shared.handle, source.handle, weights.handle, bias?.handle, destination.handle,
        attributes.handle)
    }
    primitive = try Primitive(descriptor)
    (self.source, self.weights, self.destination, self.bias) = (source, weights, destination, bias)
    postOperands = attributes.operands
  }

  /// Bytes of scratch memory an execution needs.
  package var scratchpadSize: Int { primitive.scratchpadSize }
  package var implementation: String { primitive.implementation }
}

extension Matmul.Description: CustomStringConvertible {
  struct Layouts {
    var source, weights, destination: Layout
    var bias: Layout?
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
      bias: bias ? Layout(ones + [n], destinationType) : nil)
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

/// A matmul bound to addresses: `run(context)` executes it.
package final class MatmulExecution {
  private let matmul: Matmul
  private let source, weights, destination, scratchpad: Memory
  private let bias: Memory?
  private let postOperands: [Memory]
  private let execution: Execution

  /// `bias` is needed when the description has one; `scratchpad` has `matmul.scratchpadSize` bytes (aligned to 64) and
  /// may be nil when that is 0; `postOperands` are the operands of binary post-operations, in their order. The memory
  /// stays the caller's. Executions that share a scratchpad must not run at the same time.
  package init(
    _ matmul: Matmul, source: UnsafeMutableRawPointer, weights: UnsafeMutableRawPointer,
    bias: UnsafeMutableRawPointer? = nil, destination: UnsafeMutableRawPointer,
    scratchpad: UnsafeMutableRawPointer? = nil, postOperands: [UnsafeMutableRawPointer] = [],
    failure: Execution.Failure = .init()
  ) throws(OneDNNError) {
    let described = matmul.description
    if described.bias != (bias != nil) || postOperands.count != matmul.postOperands.count
      || (scratchpad == nil && matmul.scratchpadSize > 0)
    {
      throw OneDNNError(
        call: "MatmulExecution", status: dnnl_invalid_arguments,
        request: "\(described): bias \(bias == nil ? "missing" : "given"), "
          + "\(postOperands.count) of \(matmul.postOperands.count) post-operands, "
          + "scratchpad \(scratchpad == nil ? "missing" : "given") (\(matmul.scratchpadSize) bytes needed)")
    }
    self.matmul = matmul
    self.source = try Memory(matmul.source, at: source)
    self.weights = try Memory(matmul.weights, at: weights)
    self.destination = try Memory(matmul.destination, at: destination)
    self.scratchpad = try Memory(matmul.primitive.scratchpad, at: scratchpad)
    var arguments: [(number: Int32, memory: Memory)] = [
      (DNNL_ARG_SRC, self.source), (DNNL_ARG_WEIGHTS, self.weights), (DNNL_ARG_DST, self.destination),
      (DNNL_ARG_SCRATCHPAD, self.scratchpad),
    ]
    var biasMemory: Memory?
    if let bias, let descriptor = matmul.bias {
      let memory = try Memory(descriptor, at: bias)
      arguments.append((DNNL_ARG_BIAS, memory))
      biasMemory = memory
    }
    self.bias = biasMemory
    var operands: [Memory] = []
    for (operand, pointer) in zip(matmul.postOperands, postOperands) {
      let memory = try Memory(operand.descriptor, at: pointer)
      arguments.append((odn_argument_post_op(Int32(operand.position)), memory))
      operands.append(memory)
    }
    self.postOperands = operands
    execution = Execution([.init(primitive: matmul.primitive, arguments: arguments)], failure: failure)
  }

  /// The function to call with `context`.
  package var run: @convention(c) (UnsafeMutableRawPointer?) -> Void { execution.run }
  /// Valid as long as this object.
  package var context: UnsafeMutableRawPointer { execution.context }

  /// Points the same operation at other memory; what isn't given stays.
  package func setPointers(
    source: UnsafeMutableRawPointer? = nil, weights: UnsafeMutableRawPointer? = nil,
    bias: UnsafeMutableRawPointer? = nil, destination: UnsafeMutableRawPointer? = nil,
    scratchpad: UnsafeMutableRawPointer? = nil
  ) throws(OneDNNError) {
    if let source { try self.source.setData(source) }
    if let weights { try self.weights.setData(weights) }
    if let bias { try self.bias?.setData(bias) }
    if let destination { try self.destination.setData(destination) }
    if let scratchpad { try self.scratchpad.setData(scratchpad) }
  }

  /// Runs now and throws if that fails.
  package func callAsFunction() throws(OneDNNError) { try execution("\(matmul.description)") }
}
