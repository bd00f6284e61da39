/// One entry of a subscript: what it takes of an axis, or a new axis.
///
/// Whole numbers and ranges of them are entries by themselves; the others are written with a dot:
///
/// ```swift
/// let x = Tensor.range(to: 24).reshaped(to: [2, 3, 4])
/// x[1]                          // the second matrix: shape [3, 4]
/// x[..., 0]                     // the first column of each: shape [2, 3]
/// x[0, 1...2, (-2)...]          // rows 1 and 2, the last two columns: shape [2, 2]
/// x[.all, .newAxis, 0]          // shape [2, 1, 4]
/// x[0, .stride(by: -1)]         // rows in reverse order
/// ```
public struct TensorIndex: Hashable, Sendable {
  enum Kind: Hashable, Sendable {
    case position(Int)
    case strided(from: Int?, to: Int?, by: Int)
    case newAxis
    case ellipsis
  }

  let kind: Kind

  init(_ kind: Kind) { self.kind = kind }
}

/// What stands in a tensor's subscript; see ``TensorIndex``.
public protocol TensorIndexing {
  var tensorIndex: TensorIndex { get }
}

extension TensorIndex: TensorIndexing {
  public var tensorIndex: TensorIndex { self }
}

extension TensorIndexing where Self == TensorIndex {
  /// The whole axis.
  public static var all: TensorIndex { TensorIndex(.strided(from: nil, to: nil, by: 1)) }
  /// As many whole axes as the other entries leave over; once at most.
  public static var ellipsis: TensorIndex { TensorIndex(.ellipsis) }
  /// An axis of size 1 that the tensor doesn't have.
  public static var newAxis: TensorIndex { TensorIndex(.newAxis) }
  /// Every `step`-th element from `start` up to but not including `end`; a negative step goes backwards. Left out, they
  /// are the axis' ends.
  public static func stride(from start: Int? = nil, to end: Int? = nil, by step: Int) -> TensorIndex {
    TensorIndex(.strided(from: start, to: end, by: step))
  }
}

extension Int: TensorIndexing {
  public var tensorIndex: TensorIndex { TensorIndex(.position(self)) }
}

/// The end 0 of a range that starts at a negative position is the axis' end: `-2..<0` are the last two.
private func end(_ upper: Int, after lower: Int) -> Int? { lower < 0 && upper == 0 ? nil : upper }

extension Range: TensorIndexing where Bound == Int {
  public var tensorIndex: TensorIndex {
    TensorIndex(.strided(from: lowerBound, to: end(upperBound, after: lowerBound), by: 1))
  }
}

extension ClosedRange: TensorIndexing where Bound == Int {
  public var tensorIndex: TensorIndex {
    TensorIndex(.strided(from: lowerBound, to: end(upperBound + 1, after: lowerBound), by: 1))
  }
}

extension PartialRangeFrom: TensorIndexing where Bound == Int {
  public var tensorIndex: TensorIndex { TensorIndex(.strided(from: lowerBound, to: nil, by: 1)) }
}

extension PartialRangeUpTo: TensorIndexing where Bound == Int {
  public var tensorIndex: TensorIndex { TensorIndex(.strided(from: nil, to: upperBound, by: 1)) }
}

extension PartialRangeThrough: TensorIndexing where Bound == Int {
  public var tensorIndex: TensorIndex {
    TensorIndex(.strided(from: nil, to: upperBound == -1 ? nil : upperBound + 1, by: 1))
  }
}

extension Tensor {
  /// A part of the tensor: one entry for each axis from the front, missing ones take the whole axis. A position takes
  /// one element and its axis is gone; negative ones count from the end. Positions and ranges outside the axis stop the
  /// program.
  public subscript<each Entry: TensorIndexing>(
    entries: repeat each Entry, file file: StaticString = #fileID, line line: UInt = #line
  ) -> Tensor {
    var indices: [TensorIndex] = []
    for entry in repeat each entries { indices.append(entry.tensorIndex) }
    return part(indices, file: file, line: line)
  }

  /// `x[..., 0]`: the last entries for the last axes.
  public subscript<each Entry: TensorIndexing>(
    _: UnboundedRange, entries: repeat each Entry, file file: StaticString = #fileID, line line: UInt = #line
  ) -> Tensor {
    var indices = [TensorIndex(.ellipsis)]
    for entry in repeat each entries { indices.append(entry.tensorIndex) }
    return part(indices, file: file, line: line)
  }

  func part(_ indices: [TensorIndex], file: StaticString, line: UInt) -> Tensor {
    do {
      let slice = try TensorSlice(indices, of: shape)
      let whole = slice.sizes == shape.dimensions && slice.steps.allSatisfy { $0 == 1 }
      let operation = Operation.movement(.slice(starts: slice.starts, sizes: slice.sizes, steps: slice.steps))
      let taken = whole ? self : apply(operation, self, file: file, line: line)
      return taken.reshaped(to: slice.shape)
    } catch {
      programmerError(error.description, file: file, line: line)
    }
  }
}

/// A subscript on a tensor of known shape: a slice, and the shape with axes taken out and put in.
struct TensorSlice {
  var starts: [Int] = []
  var sizes: [Int] = []
  var steps: [Int] = []
  var shape: Shape = []

  init(_ indices: [TensorIndex], of source: Shape) throws(OperationError) {
    let used = indices.count { $0.kind != .newAxis && $0.kind != .ellipsis }
    guard used <= source.rank else {
      throw OperationError("subscript: \(used) entries for the \(source.rank) axes of shape \(source)")
    }
    guard indices.count(where: { $0.kind == .ellipsis }) <= 1 else {
      throw OperationError("subscript: an ellipsis can stand once, two leave open which axes each takes")
    }
    for index in indices {
      switch index.kind {
      case .newAxis: shape.dimensions.append(1)
      case .ellipsis:
        for _ in used..<source.rank { takeWhole(source) }
      case .position(let position): try take(position, of: source)
      case .strided(let start, let end, let step): try take(from: start, to: end, by: step, of: source)
      }
    }
    while starts.count < source.rank { takeWhole(source) }
  }

  private mutating func append(_ start: Int, _ size: Int, _ step: Int) {
    starts.append(start)
    sizes.append(size)
    steps.append(step)
  }

  private mutating func takeWhole(_ source: Shape) {
    let size = source.dimensions[starts.count]
    append(0, size, 1)
    shape.dimensions.append(size)
  }

  private mutating func take(_ position: Int, of source: Shape) throws(OperationError) {
    let axis = starts.count
    let size = source.dimensions[axis]
    guard (-size..<size).contains(position) else {
      let range = size == 0 ? "it is empty" : "expected \(-size)...\(size - 1)"
      throw OperationError("subscript: \(position) is outside axis \(axis) of shape \(source): \(range)")
    }
    append(position < 0 ? position + size : position, 1, 1)
  }

  private mutating func take(
    from start: Int?, to end: Int?, by step: Int, of source: Shape
  ) throws(OperationError) {
    let axis = starts.count
    let size = source.dimensions[axis]
    guard step != 0 else { throw OperationError("subscript: a stride of 0 never ends") }
    for bound in [start, end] {
      guard let bound, !(-size...size).contains(bound) else { continue }
      throw OperationError(
        "subscript: \(bound) is outside axis \(axis) of shape \(source): expected \(-size)...\(size)")
    }
    func fromFront(_ bound: Int) -> Int { bound < 0 ? bound + size : bound }
    var first = start.map(fromFront) ?? (step > 0 ? 0 : size - 1)
    if step < 0 { first = min(first, size - 1) }
    let last = end.map(fromFront) ?? (step > 0 ? size : -1)
    let count = max(0, step > 0 ? (last - first + step - 1) / step : (first - last - step - 1) / -step)
    append(first, count, step)
    shape.dimensions.append(count)
  }
}
