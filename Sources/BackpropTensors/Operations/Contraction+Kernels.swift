import CKernels
import OneDNN

extension MatmulOptions {
  /// Our own kernel where it is the best, oneDNN for the others; nil for what neither takes.
  func kernel(_ inputs: [Buffer], _ output: Buffer, _ scratch: UnsafeMutableRawPointer?) -> BoundKernel? {
    let operand: DType = isMixed ? .bfloat16 : .float32
    guard inputs[..<2].allSatisfy({ $0.dtype == operand && $0.count > 0 }), output.dtype == .float32,
      output.count > 0
    else { return nil }
    if let own = ownProduct(inputs.map(\.type)) {
      let arguments = own.arguments(self, inputs, output.bytes, scratch)
      return BoundKernel("own product", arguments, run: ck_matmul_run)
    }
    guard let description = try? description(inputs.map(\.type)), let matmul = try? primitive(description),
      let execution = try? MatmulExecution(
        matmul, source: inputs[0].bytes, weights: inputs[1].bytes, bias: bias ? inputs[2].bytes : nil,
        destination: output.bytes, scratchpad: scratch, failure: .shared)
    else { return nil }
    return BoundKernel(
      call: ck_call(run: execution.run, context: execution.context), owner: execution,
      implementation: matmul.implementation)
  }

  @Sendable func scratchBytes(_ types: [TensorType]) -> Int {
    if let own = ownProduct(types) { return own.scratchBytes(transposeB: transposeB) }
    guard let description = try? description(types), let matmul = try? primitive(description) else {
      return 0
    }
    return matmul.scratchpadSize
  }

  /// The leading axes of a left operand that is multiplied by one matrix are rows like the others.
  private func description(_ types: [TensorType]) throws -> Matmul.Description {
    let sizes = try sizes(types[0].shape, types[1].shape)
    var left = types[0].shape.dimensions.dropLast(2)
    let right = types[1].shape.dimensions.dropLast(2)
    var m = sizes.m
    if right.isEmpty, !transposeA {
      m *= left.reduce(1, *)
      left = []
    }
    return Matmul.Description(
      m: m, k: sizes.k, n: sizes.n, transposeSource: transposeA, transposeWeights: transposeB, bias: bias,
      activation: activation == .relu ? .relu() : nil, sourceBatch: Array(left), weightsBatch: Array(right),
      type: isMixed ? .bfloat16 : .float32, destinationType: .float32)
  }

  private func primitive(_ description: Matmul.Description) throws -> Matmul {
    try Matmul.primitive(for: description, threads: Int(ck_thread_count()))
  }

  /// The sizes when our own kernel is the best: one matrix on the right, few enough columns that b's rows lie close
  /// together, and operands that the second-level cache holds; or a few hundred rows against large weights. Measured
  /// against oneDNN 2.6 on two Zen 4 cores, batch 64 of the guide's program: 64x784·784x64 29.3 → 27.7 µs,
  /// [64,784]ᵀ·64x64 33.0 → 29.6, 64x64·64x64 3.5 → 2.6; on two of a Xeon, 256x2048·2048x2048: 17.1 → 10.4 ms,
  /// 256x784·784x2048: 5.9 → 3.2 (its parts pack the weights one by one), 768x128·128x512: 1.0 → 0.40.
  func ownProduct(_ types: [TensorType]) -> OwnProduct? {
    guard types.allSatisfy({ $0.dtype == .float32 }), types[1].shape.rank == 2,
      types[0].shape.rank == 2 || !transposeA, let sizes = try? sizes(types[0].shape, types[1].shape)
    else { return nil }
    let m = sizes.m * sizes.batch.elementCount
    guard m > 0, sizes.k > 0, sizes.n > 0 else { return nil }
    // Many columns of a short sum: storing is what costs, and b is packed. 256x10·(2048x10)ᵀ by oneDNN: 258 µs.
    let mostColumns = transposeB && sizes.k <= 32 ? 8192 : 1024
    let isSmall =
      sizes.n <= mostColumns && sizes.k <= 2048 && m * sizes.k <= 1 << 18 && sizes.k * sizes.n <= 1 << 18
    let hasLargeWeights =
      !transposeA && !transposeB && m <= 512 && sizes.k <= 4096 && (128...8192).contains(sizes.n)
      && ck_matmul_packs_weights(Int64(m), Int64(sizes.k), Int64(sizes.n))
    guard isSmall || hasLargeWeights else { return nil }
    return OwnProduct(m: m, k: sizes.k, n: sizes.n)
  }
}

/// A product for `ck_matmul_run`.
struct OwnProduct {
  var m, k, n: Int

  func isCutAlongK(transposeB: Bool) -> Bool {
    ck_matmul_part_count(Int64(m), Int64(k), Int64(n), transposeB) > 1
  }

  func scratchBytes(transposeB: Bool) -> Int {
    Int(ck_matmul_scratch_bytes(Int64(m), Int64(k), Int64(n), transposeB))
  }

  func arguments(
    _ options: MatmulOptions, _ inputs: [Buffer], _ output: UnsafeMutableRawPointer?,
    _ scratch: UnsafeMutableRawPointer?
  ) -> ck_matmul {
    var arguments = ck_matmul()
    arguments.a = inputs[0].floats
    arguments.b = inputs[1].floats
    arguments.bias = options.bias ? inputs[2].floats : nil
    arguments.c = output?.assumingMemoryBound(to: Float.self)
    arguments.m = Int64(m)
    arguments.k = Int64(k)
    arguments.n = Int64(n)
    arguments.transpose_a = options.transposeA
    arguments.transpose_b = options.transposeB
    arguments.a_in_parts = inputs[0].inParts
    arguments.relu = options.activation == .relu
    arguments.packed = scratch?.assumingMemoryBound(to: Float.self)
    return arguments
  }
}
