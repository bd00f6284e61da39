/// Samples, one for each position along the first axis: a tensor that may be kept in a smaller dtype than it reads as.
///
/// ```swift
/// let pixels = Tensor([0, 51, 255] as [UInt8], shape: [3, 1])
/// let column = Column(pixels, scale: 1 / 255)
/// column.dtype      // float32
/// column[1].floats  // [0.2]
/// ```
///
/// Pictures stay the bytes they came as, a quarter of the memory, and become float32 batch by batch inside the training
/// step. A plain tensor is a column as it is: a uint8 tensor given to `fit` is cast, never scaled.
public struct Column: Sendable, CustomStringConvertible {
  /// The elements as they are kept.
  public let stored: Tensor
  /// A sample reads as `stored · scale + shift`.
  public let scale: Float
  public let shift: Float

  /// The tensor's first axis counts the samples.
  public init(_ tensor: Tensor, file: StaticString = #fileID, line: UInt = #line) {
    self.init(tensor, scale: 1, shift: 0, file: file, line: line)
  }

  /// A column that reads as `stored · scale + shift` in float32.
  public init(
    _ stored: Tensor, scale: Float, shift: Float = 0, file: StaticString = #fileID, line: UInt = #line
  ) {
    require(
      stored.rank > 0, "a column needs an axis that counts its samples, got a scalar; reshape it to [1]",
      file: file,
      line: line)
    self.stored = stored
    self.scale = scale
    self.shift = shift
  }

  /// Whether the elements read as others than are kept.
  public var isScaled: Bool { scale != 1 || shift != 0 }
  public var shape: Shape { stored.shape }
  /// What the elements read as.
  public var dtype: DType { isScaled ? .float32 : stored.dtype }
  /// The number of samples.
  public var count: Int { stored.shape[0] }
  /// The shape of one sample.
  public var sampleShape: Shape { Shape(stored.shape.dimensions.dropFirst()) }

  /// All samples as one tensor.
  ///
  /// - Complexity: O(elements) where they are scaled: four bytes for each.
  public var tensor: Tensor {
    isScaled ? rows(Array(0..<Int32(count))) : stored
  }

  /// One sample, without the first axis.
  public subscript(row: Int, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    rows([Int32(exactly: row) ?? -1], file: file, line: line).withShape(sampleShape)
  }

  /// Neighbouring samples, copied, in a column that is scaled as this one is.
  public subscript(rows: Range<Int>, file: StaticString = #fileID, line: UInt = #line) -> Column {
    require(
      rows.lowerBound >= 0 && rows.upperBound <= count, "rows \(rows) of a column of \(count)", file: file,
      line: line)
    let rowBytes = sampleShape.elementCount * stored.dtype.byteCount
    let storage = Storage(byteCount: rows.count * rowBytes)
    stored.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress {
        storage.bytes.copyMemory(from: base + rows.lowerBound * rowBytes, byteCount: rows.count * rowBytes)
      }
    }
    let shape = Shape([rows.count] + sampleShape.dimensions)
    return Column(Tensor(storage, shape: shape, dtype: stored.dtype), scale: scale, shift: shift)
  }

  /// The samples at `indices`, in that order, in a column that is scaled as this one is.
  public func selecting(_ indices: [Int32], file: StaticString = #fileID, line: UInt = #line) -> Column {
    let chosen: Tensor = apply(
      .indexing(.gatherRows(affine: nil)), stored, checkedIndices(indices, file: file, line: line))
    return Column(chosen, scale: scale, shift: shift)
  }

  /// The samples at `indices`, in that order, as they read: a batch.
  public func rows(_ indices: [Int32], file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    rows(at: checkedIndices(indices, file: file, line: line))
  }

  /// The same samples in another shape, sharing the elements.
  public func reshapingSamples(to shape: Shape, file: StaticString = #fileID, line: UInt = #line) -> Column {
    require(
      shape.elementCount == sampleShape.elementCount,
      "samples of shape \(sampleShape) have \(sampleShape.elementCount) elements, \(shape) has \(shape.elementCount)",
      file: file, line: line)
    return Column(stored.withShape(Shape([count] + shape.dimensions)), scale: scale, shift: shift)
  }

  public var description: String { "\(tensor)" }

  /// The samples at the positions in `indices` (int32 or int64), as they read. Inside `compiled` this is recorded as
  /// one operation of the step, which looks up, converts and scales.
  package func rows(at indices: Tensor) -> Tensor {
    apply(.indexing(.gatherRows(affine: isScaled ? .init(scale: scale, shift: shift) : nil)), stored, indices)
  }

  private func checkedIndices(_ indices: [Int32], file: StaticString, line: UInt) -> Tensor {
    if let wrong = indices.first(where: { !(0..<count).contains(Int($0)) }) {
      programmerError("there is no row \(wrong) in a column of \(count)", file: file, line: line)
    }
    return Tensor(indices)
  }
}

extension Tensor {
  /// The same elements in another shape of as many.
  fileprivate func withShape(_ shape: Shape) -> Tensor { Tensor(storage(), shape: shape, dtype: dtype) }
}

/// What `fit`, `evaluate` and `predict` take as samples or labels: a tensor or a column.
public protocol ColumnConvertible: Sendable {
  var column: Column { get }
}

extension Column: ColumnConvertible { public var column: Column { self } }
extension Tensor: ColumnConvertible { public var column: Column { Column(self) } }
