/// What a tensor's elements are like: for people who look into files, and for logs.
package struct TensorStatistics: Sendable, Equatable {
  package private(set) var count = 0
  package private(set) var nanCount = 0
  package private(set) var infiniteCount = 0
  package private(set) var zeroCount = 0
  /// Of the finite elements; NaN where there is none.
  package private(set) var minimum = Double.nan
  package private(set) var maximum = Double.nan
  package private(set) var mean = Double.nan
  package private(set) var standardDeviation = Double.nan

  /// - Complexity: O(elements), in two passes: a sum of squares alone would lose small deviations from a large mean.
  package init(_ tensor: Tensor) {
    count = tensor.count
    let (count, dtype) = (count, tensor.dtype)
    var result = self
    tensor.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress, count > 0 else { return }
      result.gather(count) { loadElement($0, from: base, dtype: dtype) }
    }
    self = result
  }

  private mutating func gather(_ count: Int, _ element: (Int) -> Double) {
    var (low, high, sum) = (Double.infinity, -Double.infinity, 0.0)
    for index in 0..<count {
      let value = element(index)
      guard value.isFinite else {
        if value.isNaN { nanCount += 1 } else { infiniteCount += 1 }
        continue
      }
      if value == 0 { zeroCount += 1 }
      low = min(low, value)
      high = max(high, value)
      sum += value
    }
    let finite = count - nanCount - infiniteCount
    guard finite > 0 else { return }
    (minimum, maximum) = (low, high)
    mean = sum / Double(finite)
    var squares = 0.0
    for index in 0..<count {
      let difference = element(index) - mean
      if difference.isFinite { squares += difference * difference }
    }
    standardDeviation = (squares / Double(finite)).squareRoot()
  }
}
