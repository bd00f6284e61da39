import BackpropTensors

/// A run of bytes on the way into a file. A tensor is written from where it lies, so a file takes no second copy of it.
enum FilePiece {
  case bytes([UInt8])
  case tensor(Tensor)

  var count: Int {
    switch self {
    case .bytes(let bytes): bytes.count
    case .tensor(let tensor): tensor.count * tensor.dtype.byteCount
    }
  }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    switch self {
    case .bytes(let bytes): try bytes.withUnsafeBytes(body)
    case .tensor(let tensor): try tensor.withUnsafeBytes(body)
    }
  }
}

extension [UInt8] {
  /// Appends `value`, little-endian.
  mutating func append<Value: FixedWidthInteger>(little value: Value) {
    var rest = value
    for _ in 0..<MemoryLayout<Value>.size {
      append(UInt8(truncatingIfNeeded: rest))
      rest = MemoryLayout<Value>.size == 1 ? 0 : rest >> 8
    }
  }

  /// Appends zeros up to a multiple of `alignment`.
  mutating func pad(to alignment: Int) {
    append(contentsOf: repeatElement(0, count: (alignment - count % alignment) % alignment))
  }
}
