/// Where a product is cut into parts.
extension Formulation {
  /// What each part computes of the cut axis. Fewer parts than wanted where the axis is short.
  func ranges(of destination: Layout) -> [Range<Int>] {
    let length = destination.dims[axis.index(in: destination)]
    // Matrices are cut at multiples of 16, the width of the kernels' registers.
    let unit = if case .batch = axis { 1 } else { 16 }
    let bounds = (0...parts).map { $0 == parts ? length : length * $0 / parts / unit * unit }
    return zip(bounds, bounds.dropFirst()).map { $0..<$1 }.filter { !$0.isEmpty }
  }
}

extension Matmul.Description.Layouts {
  /// Bytes from where an operand's memory begins to where a part begins.
  struct Offsets {
    var source, weights, bias, destination: Int
    var postOperands: [Int]

    func offset(of role: Matmul.Role) -> Int {
      switch role {
      case .source: source
      case .weights: weights
      case .bias: bias
      case .destination: destination
      case .postOperand(let index): postOperands[index]
      case .scratch: 0
      }
    }
  }

  /// Keeps what a range along one axis of the destination needs.
  mutating func cut(_ axis: Int, _ range: Range<Int>) -> Offsets {
    let rows = destination.dims.count - 2
    var postOperands: [Int] = []
    for index in postOperations.indices {
      guard case .binary(let kind, var layout) = postOperations[index] else { continue }
      postOperands.append(layout.cut(axis, range))
      postOperations[index] = .binary(kind, layout)
    }
    // src has no columns of dst, weights have no rows of it.
    return Offsets(
      source: axis == rows + 1 ? 0 : source.cut(axis, range),
      weights: axis == rows ? 0 : weights.cut(axis, range),
      bias: bias?.cut(axis, range) ?? 0, destination: destination.cut(axis, range), postOperands: postOperands
    )
  }
}

extension Layout {
  /// Keeps a range of one dimension (a dimension of 1 repeats and stays); gives the offset of its begin in bytes.
  fileprivate mutating func cut(_ axis: Int, _ range: Range<Int>) -> Int {
    guard dims[axis] > 1 else { return 0 }
    let strides = strides ?? Layout.rowMajorStrides(dims)
    self.strides = strides
    dims[axis] = range.count
    return range.lowerBound * strides[axis] * dataType.size
  }
}
