import CKernels

/// The order in which an epoch takes the rows of a data set: a pure function of seed and epoch, so that a run that is
/// resumed at epoch 7 sees what the run that wasn't interrupted saw.
///
/// ```swift
/// RowOrder(count: 5, seed: 42).rows(epoch: 0)     // some order of 0..<5, always the same one
/// ```
public struct RowOrder: Sendable, Hashable {
  public let count: Int
  /// nil: as they stand.
  public let seed: Int?

  public init(count: Int, seed: Int?, file: StaticString = #fileID, line: UInt = #line) {
    require(
      (0...Int(Int32.max)).contains(count), "a data set in memory has up to 2³¹ − 1 rows, got \(count)",
      file: file,
      line: line)
    self.count = count
    self.seed = seed
  }

  /// Every row once. Epochs count from 0.
  public func rows(epoch: Int) -> [Int32] {
    var rows = [Int32](0..<Int32(count))
    guard let seed, count > 1 else { return rows }
    let bits = randomBits(2 * count, seed: seed, epoch: epoch)
    // Fisher–Yates. Each place is drawn as the upper half of 64 random bits times the choices left: with at most 2³¹
    // of them the bias is below 2⁻³³.
    for last in stride(from: count - 1, to: 0, by: -1) {
      let word = UInt64(bits[2 * last]) << 32 | UInt64(bits[2 * last + 1])
      rows.swapAt(last, Int(word.multipliedFullWidth(by: UInt64(last + 1)).high))
    }
    return rows
  }

  /// The key is the seed; the counter starts at 2⁴⁰ for each epoch, far from where the random operations of training
  /// under the same seed count from.
  private func randomBits(_ count: Int, seed: Int, epoch: Int) -> [UInt32] {
    let state = [Int64(seed), (Int64(epoch) &+ 1) &<< 40]
    return [UInt32](unsafeUninitializedCapacity: count) { buffer, initialized in
      state.withUnsafeBufferPointer { state in
        var random = ck_random()
        random.dst = UnsafeMutableRawPointer(buffer.baseAddress)
        random.state = state.baseAddress
        random.dst_dtype = DType.int32.kernelCode
        random.distribution = Int32(CK_BITS.rawValue)
        random.count = Int64(count)
        Engine.run(work: count) { ck_random_run(&random) }
      }
      initialized = count
    }
  }
}
