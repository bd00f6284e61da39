/// The sizes of a tensor's axes, outermost first. `[]` is a scalar's.
///
/// ```swift
/// let shape: Shape = [32, 28, 28]
/// shape.rank           // 3
/// shape.elementCount   // 25_088
/// shape[-1]            // 28: negative positions count from the end
/// ```
public struct Shape: Hashable, Sendable, Codable {
  public var dimensions: [Int]

  public init(_ dimensions: [Int]) { self.dimensions = dimensions }

  public init(_ dimensions: some Sequence<Int>) { self.dimensions = Array(dimensions) }

  public init(from decoder: Decoder) throws {
    dimensions = try decoder.singleValueContainer().decode([Int].self)
  }

  public func encode(to encoder: Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(dimensions)
  }

  public var rank: Int { dimensions.count }

  /// The product of the sizes; 1 for a scalar.
  public var elementCount: Int {
    var count = 1
    for dimension in dimensions {
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      count = overflow ? .max : product
    }
    return count
  }

  /// Steps, in elements, from one position to the next along each axis of a row-major tensor.
  package var strides: [Int] {
    var strides = [Int](repeating: 1, count: rank)
    var step = 1
    for axis in stride(from: rank - 1, through: 0, by: -1) {
      strides[axis] = step
      step *= dimensions[axis]
    }
    return strides
  }

  /// `axis` counted from the front, or nil when there is no such axis.
  package func position(of axis: Int) -> Int? {
    let position = axis < 0 ? axis + rank : axis
    return dimensions.indices.contains(position) ? position : nil
  }

  package func position(of axis: Int, in operation: String) throws(OperationError) -> Int {
    if let position = position(of: axis) { return position }
    throw OperationError("\(operation): there is no axis \(axis) in a tensor of shape \(self)")
  }

  /// The shape of `a op b`: axes are aligned at the end, and an axis of 1 (or a missing one) stretches; nil when the
  /// shapes don't fit.
  package static func broadcast(_ a: Shape, _ b: Shape) -> Shape? {
    if a == b { return a }
    let rank = Swift.max(a.rank, b.rank)
    var result = [Int](repeating: 1, count: rank)
    for back in 1...Swift.max(rank, 1) where back <= rank {
      let left = back <= a.rank ? a.dimensions[a.rank - back] : 1
      let right = back <= b.rank ? b.dimensions[b.rank - back] : 1
      guard left == right || left == 1 || right == 1 else { return nil }
      result[rank - back] = left == 1 ? right : left
    }
    return Shape(result)
  }

  /// Steps, in elements, for reading a row-major tensor of this shape as if it had the shape `target`: 0 where an axis
  /// is stretched.
  package func broadcastStrides(to target: Shape) -> [Int] {
    let own = strides
    var result = [Int](repeating: 0, count: target.rank)
    let offset = target.rank - rank
    for axis in 0..<rank where dimensions[axis] != 1 || target.dimensions[axis + offset] == 1 {
      result[axis + offset] = dimensions[axis] == 1 ? 0 : own[axis]
    }
    return result
  }
}

extension Shape: RandomAccessCollection, ExpressibleByArrayLiteral, CustomStringConvertible {
  public init(arrayLiteral elements: Int...) { dimensions = elements }

  public var startIndex: Int { 0 }
  public var endIndex: Int { dimensions.count }

  /// The size of an axis; a negative position counts from the end.
  public subscript(axis: Int) -> Int {
    get {
      guard let position = position(of: axis) else { programmerError("shape \(self) has no axis \(axis)") }
      return dimensions[position]
    }
    set {
      guard let position = position(of: axis) else { programmerError("shape \(self) has no axis \(axis)") }
      dimensions[position] = newValue
    }
  }

  public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}

/// A tensor without its elements: what shape checks, graphs and plans work on.
public struct TensorType: Hashable, Sendable, CustomStringConvertible {
  public var shape: Shape
  public var dtype: DType

  public init(_ shape: Shape, _ dtype: DType) {
    self.shape = shape
    self.dtype = dtype
  }

  package var byteCount: Int {
    let (size, overflow) = shape.elementCount.multipliedReportingOverflow(by: dtype.byteCount)
    return overflow ? .max : size
  }

  public var description: String { "\(dtype)\(shape)" }
}
