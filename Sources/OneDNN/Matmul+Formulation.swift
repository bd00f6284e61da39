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
    /// dst's rows in so many parts, a gemm on one thread for each: no thread waits for another before the end.
    case gemmByRows(parts: Int)
    /// dstᵀ = weightsᵀ · srcᵀ, transposed into place afterwards.
    case transposed
  }

  var method: Method
  var threads: Int

  /// Whether the primitives run at once.
  var isConcurrent: Bool { if case .gemmByRows = method { true } else { false } }
}

extension Matmul.Description {
  func formulation(threads: Int) -> Formulation {
    // Below this the second thread costs more than it does. 64x64·64x10: 1.4 µs on one thread, 1.6 on two;
    // 64x10·(64x10)ᵀ: 1.2 and 1.6; but 64x64·64x64: 4.9 and 3.5.
    let threads = m * k * n <= 1 << 16 && sourceBatch.isEmpty && weightsBatch.isEmpty ? 1 : threads
    return Formulation(method: method(threads: threads), threads: threads)
  }

  private func method(threads: Int) -> Formulation.Method {
    let plain = sourceStrides == nil && weightsStrides == nil && destinationStrides == nil
    let float = sourceType == .float32 && weightsType == .float32 && destinationType == .float32
    guard plain, float, sourceBatch.isEmpty, weightsBatch.isEmpty else { return .direct }
    // One column: brgemm computes 16 and throws 15 away. 256x64·64x1: 7 by brgemm, 29 by gemm; 2048x256ᵀ: 5 and 37.
    if n == 1 { return .gemm }
    return transposeSource ? methodForTransposedSource(threads: threads) : methodForFewRows
  }

  /// srcᵀ · weights is what a weight gradient is.
  private func methodForTransposedSource(threads: Int) -> Formulation.Method {
    guard !transposeWeights else { return .direct }
    // Few columns: src is better read as it lies. [256,2048]ᵀ·256x10: 77 → 132 on two threads, [64,64]ᵀ·64x10:
    // 46 → 59 on one; 2048x256x20: 104 → 152; but 64x64x16 and 2048x256x32: none.
    if n <= (m * k >= 1 << 15 ? 24 : 15), !bias, postOperations.isEmpty { return .transposed }
    // brgemm packs src again for each block of columns, gemm once. One and two threads: 784x256x128: 111 → 116,
    // 214 → 232; 784x256x2048: 97 → 104, 213 → 222; 2048x256x2048: 98 → 110, 214 → 226; 64x256x32: 95 → 110. The
    // exception are rows that lie a multiple of 4 kB apart, where gemm's packing suffers: 1024x256x64: 101 → 79;
    // only with many columns does it pay all the same.
    let rowsCollide = m % 1024 == 0
    guard k >= 128, m >= 64, n >= 32, !rowsCollide || n >= 2048 else { return .direct }
    // A gemm on several threads makes them wait for each other at every block: on a quiet machine that costs little
    // (64x256x32: 135 → 162 in two parts, 2048x256x2048: 209 → 217), with something else running on the same cores it
    // doubles the time.
    let rowOperands = postOperations.contains { if case .binary = $0 { true } else { false } }
    return threads > 1 && m >= 32 * threads && !rowOperands ? .gemmByRows(parts: threads) : .gemm
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
