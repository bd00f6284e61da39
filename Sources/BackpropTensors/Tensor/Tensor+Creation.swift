extension Tensor {
  /// A tensor of `shape` from its elements in row-major order.
  public init<Element: TensorElement>(
    _ elements: [Element], shape: Shape, file: StaticString = #fileID, line: UInt = #line
  ) {
    require(
      elements.count == shape.elementCount,
      "a tensor of shape \(shape) has \(shape.elementCount) elements, got \(elements.count)", file: file,
      line: line)
    let storage = Storage(byteCount: elements.count * MemoryLayout<Element>.stride)
    elements.withUnsafeBytes { source in
      if let base = source.baseAddress { storage.bytes.copyMemory(from: base, byteCount: source.count) }
    }
    self.init(storage, shape: shape, dtype: Element.dtype)
  }

  /// A vector.
  public init<Element: TensorElement>(_ elements: [Element]) { self.init(elements, shape: [elements.count]) }

  /// A scalar.
  public init<Element: TensorElement>(_ value: Element) { self.init([value], shape: []) }

  /// A matrix from its rows.
  public init<Element: TensorElement>(_ rows: [[Element]], file: StaticString = #fileID, line: UInt = #line) {
    let width = rows.first?.count ?? 0
    for (index, row) in rows.enumerated() {
      require(
        row.count == width, "row \(index) has \(row.count) elements, row 0 has \(width)", file: file,
        line: line)
    }
    self.init(Array(rows.joined()), shape: [rows.count, width], file: file, line: line)
  }

  /// A rank-3 tensor from its matrices.
  public init<Element: TensorElement>(
    _ planes: [[[Element]]], file: StaticString = #fileID, line: UInt = #line
  ) {
    let height = planes.first?.count ?? 0
    let width = planes.first?.first?.count ?? 0
    for plane in planes {
      require(
        plane.count == height && plane.allSatisfy { $0.count == width },
        "every matrix of a rank-3 tensor must be \(height) × \(width), as the first", file: file, line: line)
    }
    self.init(Array(planes.joined().joined()), shape: [planes.count, height, width], file: file, line: line)
  }

  /// `value` in every place.
  public init(repeating value: Double, shape: Shape, dtype: DType = .float32) {
    self = Tensor.scalar(value, dtype: dtype).broadcast(to: shape)
  }

  public static func zeros(_ shape: Shape, dtype: DType = .float32) -> Tensor {
    Tensor(repeating: 0, shape: shape, dtype: dtype)
  }

  public static func ones(_ shape: Shape, dtype: DType = .float32) -> Tensor {
    Tensor(repeating: 1, shape: shape, dtype: dtype)
  }

  public static func zeros(like other: Tensor) -> Tensor { zeros(other.shape, dtype: other.dtype) }
  public static func ones(like other: Tensor) -> Tensor { ones(other.shape, dtype: other.dtype) }

  /// `start`, `start + step`, … up to but not including `end`.
  public static func range(from start: Int = 0, to end: Int, by step: Int = 1, dtype: DType = .int32)
    -> Tensor
  {
    let count = Swift.max(0, (end - start + step - step.signum()) / step)
    if let result = Tensor.ofTypeOnly([count], dtype) { return result }
    return Tensor(Array(stride(from: start, to: end, by: step))).cast(to: dtype)
  }

  /// `count` evenly spaced numbers from `start` to `end`, both included.
  public static func linspace(from start: Double, to end: Double, count: Int, dtype: DType = .float32)
    -> Tensor
  {
    let step = count > 1 ? (end - start) / Double(count - 1) : 0
    return Tensor((0..<count).map { start + Double($0) * step }).cast(to: dtype)
  }

  /// The identity matrix, or a rectangle with ones on its main diagonal.
  public static func eye(_ rows: Int, columns: Int? = nil, dtype: DType = .float32) -> Tensor {
    let columns = columns ?? rows
    var elements = [Float](repeating: 0, count: rows * columns)
    for index in 0..<Swift.min(rows, columns) { elements[index * columns + index] = 1 }
    return Tensor(elements, shape: [rows, columns]).cast(to: dtype)
  }

  /// A stored scalar of any dtype.
  package static func scalar(_ value: Double, dtype: DType) -> Tensor {
    let storage = Storage(byteCount: dtype.byteCount)
    storeElement(value, at: 0, in: storage.bytes, dtype: dtype)
    return Tensor(storage, shape: [], dtype: dtype)
  }
}
