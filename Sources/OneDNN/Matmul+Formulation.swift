/// How a matmul is best put to oneDNN. The one place that decides.
///
/// The figures are GFLOP/s with oneDNN 2.6 on a two-core AVX-512 machine (Zen 4; 123 a core is what its multiply-add
/// units can do), best of alternating runs; `direct` is the implementation oneDNN puts first, brgemm.
struct Formulation: Equatable {
  enum Method: Equatable {
    /// As described, by the implementation oneDNN puts first.
    case direct
    /// As described, by oneDNN's gemm.
    case gemm
    /// dstᵀ = weightsᵀ · srcᵀ, transposed into place afterwards.
    case transposed
  }

  /// What is cut into parts.
  enum Axis: Equatable {
    case rows, columns, batch

    func of(_ layout: Layout) -> Int {
      switch self {
      case .rows: layout.dims.count - 2
      case .columns: layout.dims.count - 1
      case .batch: 0
      }
    }
  }

  var method: Method
  /// How many primitives share the work, each on one thread of our own pool.
  var parts = 1
  var axis = Axis.rows
}

extension Matmul.Description {
  /// oneDNN's own threads would wait for each other at every block, and make every product wait for the scheduler where
  /// something else runs on the same cores; so each primitive is made for one thread, and several share a product.
  func formulation(threads: Int) -> Formulation {
    var result = Formulation(method: method)
    // Below this the second thread costs more than it does.
    let work = m * k * n * (destinationBatch ?? []).reduce(1, *)
    let rowOperands = postOperations.contains { if case .binary = $0 { true } else { false } }
    let plain = sourceStrides == nil && weightsStrides == nil && destinationStrides == nil
    guard threads > 1, work > 1 << 16, plain, !rowOperands, result.method != .transposed else {
      return result
    }
    result.parts = threads
    if let batch = destinationBatch, let first = batch.first, first > 1 {
      result.parts = min(threads, first)
      result.axis = .batch
    } else if destinationBatch?.isEmpty != true {
      result.parts = 1
    } else if m >= 16 * threads, m >= n || transposeSource || m >= 64 * threads || n < 32 * threads {
      result.axis = .rows
    } else if n >= 16 * threads {
      result.axis = .columns
      result.method = .gemm
    } else {
      result.parts = 1
    }
    return result
  }

  private var method: Formulation.Method {
    let plain = sourceStrides == nil && weightsStrides == nil && destinationStrides == nil
    let float = sourceType == .float32 && weightsType == .float32 && destinationType == .float32
    guard plain, float, sourceBatch.isEmpty, weightsBatch.isEmpty else { return .direct }
    // One column: brgemm computes 16 and throws 15 away. 256x64·64x1: 7 by brgemm, 29 by gemm; 2048x256ᵀ: 5 and 37.
    if n == 1 { return .gemm }
    return transposeSource ? methodForTransposedSource : methodForFewRows
  }

  /// srcᵀ · weights is what a weight gradient is.
  private var methodForTransposedSource: Formulation.Method {
    guard !transposeWeights else { return .direct }
    // Few columns: src is better read as it lies. [256,2048]ᵀ·256x10: 77 → 132 on two threads, [64,64]ᵀ·64x10:
    // 46 → 59 on one; 2048x256x20: 104 → 152; but 64x64x16 and 2048x256x32: none.
    if n <= (m * k >= 1 << 15 ? 24 : 15), !bias, postOperations.isEmpty { return .transposed }
    // brgemm packs src again for each block of columns, gemm once. One and two threads: 784x256x128: 111 → 116,
    // 214 → 232; 784x256x2048: 97 → 104, 213 → 222; 2048x256x2048: 98 → 110, 214 → 226; 64x256x32: 95 → 110. The
    // exception are rows that lie a multiple of 4 kB apart, where gemm's packing suffers: 1024x256x64: 101 → 79;
    // only with many columns does it pay all the same.
    let rowsCollide = m % 1024 == 0
    return k >= 128 && m >= 64 && n >= 32 && (!rowsCollide || n >= 2048) ? .gemm : .direct
  }

  /// A few rows against large weights: brgemm copies the weights before it uses them.
  private var methodForFewRows: Formulation.Method {
    // 1x512·512x512: 17 → 45; 1x784·(64x784)ᵀ: 17 → 47; but 1x1024·1024x10: 14 → 9.
    if m == 1 { return transposeWeights || (n >= 64 && k * n >= 1 << 16) ? .gemm : .direct }
    // 2x2048·2048x2048: 14 → 27, 8x512·512x512: 74 → 112, 64x2048·2048x2048: 87 → 107, 128 rows: 99 → 99.
    // Transposed weights: 2 rows 22 → 43, 8 rows 65 → 91, 16 rows 72 → 35.
    return k * n >= 1 << 18 && m <= (transposeWeights ? 8 : 64) ? .gemm : .direct
  }
}
