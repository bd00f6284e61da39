extension Tensor: CustomStringConvertible {
  /// The elements as NumPy prints them: aligned, at most eight digits after the point, summarised beyond 1,000.
  ///
  /// ```swift
  /// print(Tensor([[1, 2.5], [-3, 4]] as [[Float]]))
  /// // [[ 1.   2.5]
  /// //  [-3.   4. ]]
  /// ```
  public var description: String {
    if isTraced { return "\(type), traced" }
    if rank == 0 { return ScalarFormat.text(self, at: 0) }
    if count == 0 { return "[]" }
    return TensorPrinter(self).text
  }
}

extension Tensor: CustomDebugStringConvertible {
  /// The elements after shape and dtype.
  public var debugDescription: String { isTraced ? description : "\(type)\n\(description)" }
}

/// Lays the elements out in rows and nested brackets, as NumPy's `array2string` does with its default options.
private struct TensorPrinter {
  /// Characters in a line.
  private static let lineWidth = 75
  /// More elements than these are summarised to the first and last few of each axis.
  private static let threshold = 1000
  private static let edge = 3

  private let shape: Shape
  private let strides: [Int]
  private let isSummary: Bool
  private var words: [Int: String] = [:]

  var text: String { block(axis: 0, offset: 0, indent: 1, width: Self.lineWidth) }

  init(_ tensor: Tensor) {
    shape = tensor.shape
    strides = tensor.shape.strides
    isSummary = tensor.count > Self.threshold
    // Only what is shown decides the format.
    let shown = places(axis: 0, offset: 0)
    for (place, word) in zip(shown, ScalarFormat.aligned(tensor, at: shown)) { words[place] = word }
  }

  /// Positions along `axis` that are shown; nil is the gap.
  private func entries(_ axis: Int) -> [Int?] {
    let size = shape.dimensions[axis]
    guard isSummary, size > 2 * Self.edge else { return Array(0..<size) }
    return Array(0..<Self.edge) + [nil] + Array(size - Self.edge..<size)
  }

  private func places(axis: Int, offset: Int) -> [Int] {
    if axis == shape.rank { return [offset] }
    return entries(axis).compactMap { $0 }.flatMap {
      places(axis: axis + 1, offset: offset + $0 * strides[axis])
    }
  }

  private func block(axis: Int, offset: Int, indent: Int, width: Int) -> String {
    let body =
      axis == shape.rank - 1
      ? row(axis: axis, offset: offset, indent: indent, width: width)
      : rows(axis: axis, offset: offset, indent: indent, width: width)
    return "[" + body.dropFirst(indent) + "]"
  }

  private func rows(axis: Int, offset: Int, indent: Int, width: Int) -> String {
    let margin = String(repeating: " ", count: indent)
    let parts = entries(axis).map { position -> String in
      guard let position else { return margin + "..." }
      return margin
        + block(
          axis: axis + 1, offset: offset + position * strides[axis], indent: indent + 1, width: width - 1)
    }
    return parts.joined(separator: String(repeating: "\n", count: shape.rank - axis - 1))
  }

  /// One line, or several when the elements don't fit into `width`.
  private func row(axis: Int, offset: Int, indent: Int, width: Int) -> String {
    let margin = String(repeating: " ", count: indent)
    var lines: [String] = []
    var line = margin
    for position in entries(axis) {
      let word = position.map { words[offset + $0 * strides[axis]]! } ?? "..."
      if line.count + word.count > width - 1, line.count > indent {
        lines.append(line.withoutTrailingSpaces)
        line = margin
      }
      line += word + " "
    }
    line.removeLast()
    return (lines + [line]).joined(separator: "\n")
  }
}

extension String {
  fileprivate var withoutTrailingSpaces: String {
    var end = endIndex
    while end > startIndex, self[index(before: end)] == " " { end = index(before: end) }
    return String(self[..<end])
  }
}
