/// How a product is best cut into parts for several threads. The one place that decides.
///
/// oneDNN's own threads would wait for each other at every block, and make every product wait for the scheduler where
/// something else runs on the same cores; so each primitive is made for one thread, and several share a product.
///
/// The figures are times relative to oneDNN 2.6 on two threads of its own, by what it prefers (Zen 4, two cores, best
/// of alternating runs); a part is a primitive by brgemm where nothing else is said.
extension Matmul.Description {
  func formulation(threads: Int) -> Formulation {
    let whole = wholeFormulation
    let batch = destinationBatch ?? []
    // Below this the second thread costs more than it does.
    guard threads > 1, batch.reduce(work, *) > 1 << 16 else { return whole }
    var result = cut(whole, threads: threads, batch: batch)
    let length: Int
    switch result.axis {
    case .batch(let axis): length = batch[axis]
    case .rows: length = m / 16
    case .columns: length = n / 16
    }
    result.parts = min(result.parts, length)
    return result.parts > 1 ? result : whole
  }

  private var work: Int { m * k * n }

  private func cut(_ whole: Formulation, threads: Int, batch: [Int]) -> Formulation {
    if let longest = batch.indices.max(by: { batch[$0] < batch[$1] }), batch[longest] > 1 {
      // 48 times 64x32·32x64ᵀ: 0.77 in 4 parts, 0.81 in 2; [64x64]ᵀ·64x32: 0.84 by gemm, 0.88 by brgemm.
      let method = transposeSource && isFloat ? .gemm : whole.method
      return Formulation(method: method, parts: 2 * threads, axis: .batch(longest))
    }
    if whole.method == .transposed {
      // [256,2048]ᵀ·256x10: 0.30 (by gemm it would be 0.62).
      return m >= 64 * threads ? Formulation(method: .transposed, parts: threads) : whole
    }
    if transposeSource { return cutOfTransposedSource(threads: threads) }
    let byRows = m >= 64 * threads || m >= 16 * threads && (m >= n || n < 32 * threads) || n < 32
    return byRows ? cutByRows(whole, threads: threads) : cutByColumns(whole, threads: threads)
  }

  private var isFloat: Bool {
    sourceType == .float32 && weightsType == .float32 && destinationType == .float32
  }

  /// Twice as many parts as threads, where that costs nothing: a thread that is held up leaves the others some of its
  /// share.
  private func fine(_ threads: Int, _ condition: Bool) -> Int { condition ? 2 * threads : threads }

  /// Parts of srcᵀ have gaps between their rows, which brgemm doesn't take; gemm does. [256,784]ᵀ·256x128: 0.86,
  /// [256,2048]ᵀ·256x2048: 0.96, [768,128]ᵀ·768x512: 0.84, [256,64]ᵀ·256x32: 0.76, [256,1024]ᵀ·256x64: 0.90.
  private func cutOfTransposedSource(threads: Int) -> Formulation {
    let parts = fine(threads, work >= 1 << 23 && m >= 128 * threads)
    let axis: Formulation.Axis = m >= 16 * threads || m >= n ? .rows : .columns
    return Formulation(method: .gemm, parts: axis == .rows ? parts : threads, axis: axis)
  }

  private func cutByRows(_ whole: Formulation, threads: Int) -> Formulation {
    let rows = m / (2 * threads)
    let large = work >= 1 << 23 && rows >= 64 && k >= 64
    guard isFloat, whole.method == .direct else {
      return Formulation(method: whole.method, parts: threads)
    }
    // Transposed weights that are short: brgemm spends its time on transposing them. 256x64·(128x64)ᵀ: 0.80 by gemm
    // and 1.01 by brgemm, 256x128·(784x128)ᵀ: 0.81 and 0.85; but 256x10·(2048x10)ᵀ: 1.5 and 1.09.
    if transposeWeights, k >= 32, k <= 128 {
      return Formulation(method: .gemm, parts: fine(threads, large && rows >= 128))
    }
    // Large weights: each part of brgemm's copies all of them. 256x2048·2048x2048: 1.00 in 4 parts by gemm, 1.14 by
    // brgemm; 256x784·784x2048: 1.02 and 1.07; 256x512·512x512: 0.99 and 1.04.
    if !transposeWeights, k * n >= 1 << 18 {
      return Formulation(method: .gemm, parts: fine(threads, rows >= 16))
    }
    // Two parts and four: 256x2048·(2048x2048)ᵀ: 1.03 and 1.08; 256x128·128x784: 0.97 and 1.03; 768x128·(128x128)ᵀ:
    // 1.01 and 0.89; 768x384·384x128: 0.98 and 0.98; 256x784·784x128: 0.97 and 0.96.
    return Formulation(method: .direct, parts: fine(threads, large && 4 * rows >= n))
  }

  /// A few rows. Plain weights have gaps between the rows of a part: gemm. 32x512·512x512: 0.83, 64x1024·1024x1024:
  /// 0.98. Transposed ones haven't, but the result's rows have: 16x512·(512x512)ᵀ: 1.2 by gemm, 0.81 copied;
  /// 64x1024·(1024x1024)ᵀ: 1.4 and 0.99; 4x1024·(1024x1024)ᵀ: 0.48 by gemm.
  private func cutByColumns(_ whole: Formulation, threads: Int) -> Formulation {
    let readsDestination = postOperations.contains { if case .eltwise = $0 { false } else { true } }
    let copied = transposeWeights && whole.method == .direct && k >= 64 && !readsDestination
    let parts = fine(threads, work >= 1 << 22 && n >= 256 * threads)
    return Formulation(method: copied ? .copied : .gemm, parts: parts, axis: .columns)
  }
}
