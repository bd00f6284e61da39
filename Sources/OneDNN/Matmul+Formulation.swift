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
    /// By the implementation oneDNN puts first into memory without gaps, copied into place afterwards: brgemm doesn't
    /// write rows that lie apart, as those of some columns do.
    case copied
  }

  /// What is cut into parts.
  enum Axis: Equatable {
    case rows, columns
    case batch(Int)

    func index(in destination: Layout) -> Int {
      switch self {
      case .rows: destination.dims.count - 2
      case .columns: destination.dims.count - 1
      case .batch(let axis): axis
      }
    }
  }

  var method: Method
  /// How many primitives share the work, each on one thread of our own pool.
  var parts = 1
  var axis = Axis.rows
}

extension Matmul.Description {
  /// For `threads` threads of the pool. The cuts are in Matmul+Cuts.swift; this is what is done on one thread.
  var wholeFormulation: Formulation { Formulation(method: method) }

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
