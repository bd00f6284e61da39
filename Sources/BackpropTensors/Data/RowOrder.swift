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
    guard let seed else { return [Int32](0..<Int32(count)) }
    // Counters start at 2⁴⁰ for each epoch, far from where the random operations of training under the same seed count
    // from.
    return Permutation.order(count: count, seed: Int64(seed), counter: (Int64(epoch) &+ 1) &<< 40)
  }
}
