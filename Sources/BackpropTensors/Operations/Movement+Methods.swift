extension Tensor {
  /// The same elements in another shape; one size may be −1 and is computed. Shares the memory.
  public func reshaped(to shape: Shape, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    var target = shape
    if let free = shape.dimensions.firstIndex(of: -1) {
      let known = shape.dimensions.enumerated().reduce(1) { $1.offset == free ? $0 : $0 * $1.element }
      require(
        known != 0 && count % known == 0,
        "reshape: \(self.shape) has \(count) elements, which don't fill \(shape)",
        file: file, line: line)
      target.dimensions[free] = count / known
    }
    return target == self.shape ? self : apply(.movement(.reshape(target)), self, file: file, line: line)
  }

  /// All elements as a vector.
  public func flattened() -> Tensor { reshaped(to: [count]) }

  /// A new axis of size 1 at `axis`.
  public func expanded(axis: Int, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let position = axis < 0 ? axis + rank + 1 : axis
    require(
      (0...rank).contains(position), "expanded: there is no place \(axis) in shape \(shape)", file: file,
      line: line)
    var sizes = shape.dimensions
    sizes.insert(1, at: position)
    return reshaped(to: Shape(sizes))
  }

  /// Without the given axes, which must have size 1; without all such axes when nil.
  public func squeezed(axes: [Int]? = nil, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let gone =
      axes.map { positions(of: $0, in: "squeezed", file: file, line: line) }
      ?? shape.dimensions.indices.filter { shape.dimensions[$0] == 1 }
    for axis in gone {
      require(
        shape.dimensions[axis] == 1, "squeezed: axis \(axis) of shape \(shape) isn't 1", file: file,
        line: line)
    }
    return reshaped(
      to: Shape(shape.dimensions.indices.filter { !gone.contains($0) }.map { shape.dimensions[$0] }))
  }

  /// The axes in another order; reversed when nil.
  public func transposed(_ order: [Int]? = nil, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let order = (order ?? Array((0..<rank).reversed())).map { $0 < 0 ? $0 + rank : $0 }
    if order == Array(0..<rank) { return self }
    return apply(.movement(.transpose(order)), self, file: file, line: line)
  }

  /// Two axes exchanged.
  public func swappingAxes(_ a: Int, _ b: Int, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    var order = Array(0..<rank)
    let places = (
      positions(of: [a], in: "swappingAxes", file: file, line: line)[0],
      positions(of: [b], in: "swappingAxes", file: file, line: line)[0]
    )
    order.swapAt(places.0, places.1)
    return transposed(order, file: file, line: line)
  }

  /// Repeated along new leading axes and axes of size 1 until the shape is `shape`.
  public func broadcast(to shape: Shape, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    shape == self.shape ? self : apply(.movement(.broadcast(shape)), self, file: file, line: line)
  }

  /// `count` elements along `axis`, from `start` on.
  public func sliced(axis: Int, from start: Int, count: Int, file: StaticString = #fileID, line: UInt = #line)
    -> Tensor
  {
    let position = positions(of: [axis], in: "sliced", file: file, line: line)[0]
    var starts = [Int](repeating: 0, count: rank)
    var sizes = shape.dimensions
    starts[position] = start
    sizes[position] = count
    let steps = [Int](repeating: 1, count: rank)
    return apply(.movement(.slice(starts: starts, sizes: sizes, steps: steps)), self, file: file, line: line)
  }

  /// `value` before and after the elements: `widths` has one pair for each axis.
  public func padded(
    _ widths: [(before: Int, after: Int)], value: Double = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    require(
      widths.count == rank && widths.allSatisfy { $0.before >= 0 && $0.after >= 0 },
      "padded: expected \(rank) pairs of widths of 0 or more for shape \(shape), got \(widths)", file: file,
      line: line)
    let padded = Shape(zip(shape.dimensions, widths).map { $0 + $1.before + $1.after })
    let steps = [Int](repeating: 1, count: rank)
    return apply(
      .movement(.place(shape: padded, starts: widths.map(\.before), steps: steps, fill: value)), self,
      file: file, line: line)
  }

  /// The elements in reverse order along `axes`.
  public func flipped(axes: [Int]? = nil, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    var starts = [Int](repeating: 0, count: rank)
    var steps = [Int](repeating: 1, count: rank)
    for axis in positions(of: axes, in: "flipped", file: file, line: line) where shape.dimensions[axis] > 0 {
      starts[axis] = shape.dimensions[axis] - 1
      steps[axis] = -1
    }
    return apply(
      .movement(.slice(starts: starts, sizes: shape.dimensions, steps: steps)), self, file: file, line: line)
  }

  /// The whole tensor repeated `repeats[i]` times along axis i.
  public func tiled(_ repeats: [Int], file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    require(
      repeats.count == rank && repeats.allSatisfy { $0 >= 0 },
      "tiled: expected \(rank) counts for shape \(shape), got \(repeats)", file: file, line: line)
    var spread: [Int] = []
    var single: [Int] = []
    for (size, count) in zip(shape.dimensions, repeats) {
      single += [1, size]
      spread += [count, size]
    }
    let target = Shape(zip(shape.dimensions, repeats).map { $0 * $1 })
    return reshaped(to: Shape(single)).broadcast(to: Shape(spread)).reshaped(to: target)
  }

  /// Tensors one after the other along an axis they all have.
  public static func concatenate(
    _ tensors: [Tensor], axis: Int = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    require(!tensors.isEmpty, "concatenate: there are no tensors", file: file, line: line)
    let dtype = tensors.dropFirst().reduce(tensors[0].dtype) { DType.promoted($0, $1.dtype) }
    let position = tensors[0].positions(of: [axis], in: "concatenate", file: file, line: line)[0]
    if tensors.count == 1 { return tensors[0] }
    return apply(
      .movement(.concatenate(axis: position)), tensors.map { $0.cast(to: dtype) }, file: file, line: line)[0]
  }

  /// Tensors of one shape, along a new axis.
  public static func stack(
    _ tensors: [Tensor], axis: Int = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    concatenate(
      tensors.map { $0.expanded(axis: axis, file: file, line: line) }, axis: axis, file: file, line: line)
  }

  /// `count` equal parts along `axis`.
  public func split(_ count: Int, axis: Int = 0, file: StaticString = #fileID, line: UInt = #line) -> [Tensor]
  {
    let position = positions(of: [axis], in: "split", file: file, line: line)[0]
    let size = shape.dimensions[position]
    require(
      count > 0 && size % count == 0, "split: axis \(axis) of shape \(shape) has no \(count) equal parts",
      file: file,
      line: line)
    let part = size / count
    return (0..<count).map { sliced(axis: position, from: $0 * part, count: part) }
  }
}
