import CKernels

/// Windows over the spatial axes of [batch, spatial…, channels]: what each element of a pooled tensor is made from.
package struct PoolingWindows: Hashable, Sendable {
  package enum Axis: Hashable, Sendable {
    /// One window every `stride` positions of an axis with `before` and `after` positions of padding, which belong to no
    /// window.
    case sliding(size: Int, stride: Int, before: Int, after: Int)
    /// `count` windows that share the axis as equally as can be: window i is ⌊i·n/count⌋ ..< ⌈(i+1)·n/count⌉.
    case adaptive(count: Int)
  }

  /// One to three.
  package var axes: [Axis]

  package init(_ axes: [Axis]) { self.axes = axes }

  /// `padding` as Keras computes it, for inputs of these spatial sizes.
  package init(size: [Int], strides: [Int], padding: WindowPadding, over spatial: [Int]) {
    axes = spatial.indices.map { axis in
      let (before, after) = padding.amounts(
        input: spatial[axis], window: size[axis], stride: strides[axis])
      return .sliding(size: size[axis], stride: strides[axis], before: before, after: after)
    }
  }

  /// How many windows there are along each axis of `spatial`.
  ///
  /// - Complexity: that of the number of axes, however long they are.
  package func counts(over spatial: [Int], in name: String) throws(OperationError) -> [Int] {
    var result: [Int] = []
    for (axis, length) in zip(axes, spatial) {
      guard let count = axis.count(over: length) else {
        throw OperationError("\(name): \(axis.words) doesn't fit an axis of \(length): \(spatial)")
      }
      result.append(count)
    }
    return result
  }

  /// The positions of every window along each axis of `spatial`, which the windows must fit.
  package func ranges(over spatial: [Int]) -> [[Range<Int>]] {
    zip(axes, spatial).map { axis, length in
      (0..<(axis.count(over: length) ?? 0)).map { axis.range(of: $0, over: length) }
    }
  }

  /// Elements of the largest window.
  package func largestVolume(over spatial: [Int]) -> Int {
    zip(axes, spatial).reduce(1) { volume, pair in volume * pair.0.largest(over: pair.1) }
  }

  /// Spatial sizes of a tensor [batch, spatial…, channels] that has as many axes as there are windows.
  func spatial(_ type: TensorType, in name: String) throws(OperationError) -> [Int] {
    guard type.shape.rank == axes.count + 2, type.dtype.isFloatingPoint else {
      throw OperationError(
        "\(name): expected floating-point elements of [batch, \(axes.count) spatial axes, channels], got \(type)"
      )
    }
    return Array(type.shape.dimensions[1...axes.count])
  }
}

extension PoolingWindows.Axis {
  /// How many windows an axis of `length` positions has; nil: not every one has a position in it.
  fileprivate func count(over length: Int) -> Int? {
    switch self {
    case .sliding(let size, let stride, let before, let after):
      let last = length + before + after - size
      guard length > 0, size > 0, stride > 0, last >= 0 else { return nil }
      let count = last / stride + 1
      return size > before && (count - 1) * stride - before < length ? count : nil
    case .adaptive(let count): return count > 0 && length > 0 ? count : nil
    }
  }

  fileprivate func range(of index: Int, over length: Int) -> Range<Int> {
    switch self {
    case .sliding(let size, let stride, let before, _):
      let start = index * stride - before
      return max(start, 0)..<min(start + size, length)
    case .adaptive(let count): return index * length / count..<((index + 1) * length + count - 1) / count
    }
  }

  /// Positions of the largest window.
  fileprivate func largest(over length: Int) -> Int {
    guard let count = count(over: length) else { return 0 }
    switch self {
    case .sliding(let size, let stride, let before, _):
      // Windows grow as they come in at one end, and shrink as they go out at the other: the first that begins where one
      // would lie on the axis as far as it can, or the one before.
      let first = (min(0, length - size) + before + stride - 1) / stride
      return [first - 1, first].map { range(of: min(max($0, 0), count - 1), over: length).count }.max()!
    case .adaptive(let count):
      // Share i begins i·rest/count positions behind i · ⌊length/count⌋, rounded down, and ends rounded up.
      let rest = length % count
      if rest == 0 { return length / count }
      var (divisor, other) = (count, rest)
      while other > 0 { (divisor, other) = (other, divisor % other) }
      return length / count + (rest > divisor ? 2 : 1)
    }
  }

  fileprivate var words: String {
    switch self {
    case .sliding(let size, let stride, let before, let after):
      "a window of \(size) with stride \(stride) and padding \(before) and \(after)"
    case .adaptive(let count): "a share of \(count)"
    }
  }
}

/// How windows and kernels that reach over the edge of an image are met, as Keras names it.
public enum WindowPadding: String, Codable, Hashable, Sendable, CaseIterable {
  /// They don't reach over it.
  case valid
  /// ⌈n / stride⌉ results for n positions; what is missing is shared by both ends, the odd one at the end.
  case same
  /// Results see no position after their own: all that is missing is put before the first one.
  case causal

  /// Positions to add before and after an axis of `input` positions.
  package func amounts(input: Int, window: Int, stride: Int, dilation: Int = 1) -> (before: Int, after: Int) {
    let reach = (window - 1) * dilation
    switch self {
    case .valid: return (0, 0)
    case .causal: return (reach, 0)
    case .same:
      let count = (input + stride - 1) / stride
      let total = max((count - 1) * stride + reach + 1 - input, 0)
      return (total / 2, total - total / 2)
    }
  }
}

/// The windows as the C kernels take them.
final class WindowTable {
  private(set) var windows = ck_windows()
  private var storage: [UnsafeMutablePointer<Int64>] = []

  /// nil when the windows don't fit.
  init?(_ windows: PoolingWindows, input: TensorType, outputSpatial: [Int]? = nil) {
    let spatial = Array(input.shape.dimensions[1...windows.axes.count])
    guard (try? windows.counts(over: spatial, in: "pooling")) != nil else { return nil }
    let ranges = windows.ranges(over: spatial)
    let padding = 3 - spatial.count
    let all = Array(repeating: [0..<1], count: padding) + ranges
    let sizes = Array(repeating: 1, count: padding) + spatial
    for list in all {
      for bounds in [list.map(\.lowerBound), list.map(\.upperBound)] {
        let pointer = UnsafeMutablePointer<Int64>.allocate(capacity: bounds.count)
        for (index, bound) in bounds.enumerated() { pointer[index] = Int64(bound) }
        storage.append(pointer)
      }
    }
    self.windows.batch = Int64(input.shape[0])
    self.windows.channels = Int64(input.shape[-1])
    self.windows.in = (Int64(sizes[0]), Int64(sizes[1]), Int64(sizes[2]))
    self.windows.out = (Int64(all[0].count), Int64(all[1].count), Int64(all[2].count))
    self.windows.begin = (
      UnsafePointer(storage[0]), UnsafePointer(storage[2]), UnsafePointer(storage[4])
    )
    self.windows.end = (UnsafePointer(storage[1]), UnsafePointer(storage[3]), UnsafePointer(storage[5]))
    let neighbours = all.map { Array(zip($0, $0.dropFirst())) }
    self.windows.overlap = neighbours.contains { pairs in
      pairs.contains { $0.upperBound > $1.lowerBound }
    }
    self.windows.covers = zip(all, sizes).allSatisfy { list, size in
      list.first!.lowerBound == 0 && list.last!.upperBound == size
        && zip(list, list.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound }
    }
  }

  deinit { for pointer in storage { pointer.deallocate() } }
}
