import BackpropTensors

/// The types of elements that this subset of HDF5 knows. Source: HDF5 File Format Specification 3.0, IV.A.2.d.
enum HDF5Type: Equatable {
  case float(bytes: Int)
  case integer(bytes: Int, isSigned: Bool)
  /// h5py's bool: an enumeration FALSE, TRUE over int8.
  case boolean
  /// Bytes without a meaning. Keras stores bfloat16 so, and says it in the attribute `dtype`.
  case opaque(bytes: Int)
  /// A string of a fixed number of bytes.
  case string(bytes: Int)
  /// A string of any length, which lies in a global heap.
  case variableString

  var byteCount: Int {
    switch self {
    case .float(let bytes), .integer(let bytes, _), .opaque(let bytes), .string(let bytes): bytes
    case .boolean: 1
    case .variableString: 16
    }
  }

  /// The dtype of a tensor of such elements; nil when there is none.
  func dtype(named attribute: String?) -> DType? {
    switch self {
    case .float(2): .float16
    case .float(4): .float32
    case .float(8): .float64
    case .integer(1, true): .int8
    case .integer(2, true): .int16
    case .integer(4, true): .int32
    case .integer(8, true): .int64
    case .integer(1, false): .uint8
    case .boolean: .bool
    case .opaque(2) where attribute == "bfloat16": .bfloat16
    default: nil
    }
  }

  init(_ dtype: DType) {
    self =
      switch dtype {
      case .float16, .float32, .float64: .float(bytes: dtype.byteCount)
      case .int8, .int16, .int32, .int64: .integer(bytes: dtype.byteCount, isSigned: true)
      case .uint8: .integer(bytes: 1, isSigned: false)
      case .bool: .boolean
      case .bfloat16: .opaque(bytes: 2)
      }
  }

  // MARK: - Reading

  /// Reads a datatype message.
  init(reading cursor: inout ByteCursor, nested: Bool = false) throws {
    let start = cursor.offset
    let classAndVersion = try cursor.byte("a datatype")
    var flags = 0
    for shift in 0..<3 { flags |= try cursor.byte("a datatype's flags") << (8 * shift) }
    let size = try cursor.size(bytes: 4, "an element's size")
    func unknown(_ what: String) -> any Error {
      cursor.region.failure(
        at: start, expected: "little-endian numbers, booleans, strings or opaque bytes", found: what)
    }
    switch classAndVersion & 15 {
    case 0:
      guard flags & 1 == 0 else { throw unknown("big-endian integers") }
      let (bitOffset, precision) = (try cursor.short("a bit offset"), try cursor.short("a precision"))
      guard [1, 2, 4, 8].contains(size), bitOffset == 0, precision == 8 * size else {
        throw unknown("integers of \(precision) bits in \(size) bytes")
      }
      self = .integer(bytes: size, isSigned: flags & 8 != 0)
    case 1:
      guard flags & 0x41 == 0 else { throw unknown("floats in another byte order") }
      let layout = Array(try cursor.take(12, "a float's layout"))
      guard layout == Self.floatLayout(bytes: size) else { throw unknown("floats that aren't IEEE 754") }
      self = .float(bytes: size)
    case 3: self = .string(bytes: size)
    case 5: self = .opaque(bytes: size)
    case 8:
      guard !nested else { throw unknown("an enumeration of enumerations") }
      guard try HDF5Type(reading: &cursor, nested: true) == .integer(bytes: 1, isSigned: true), flags == 2
      else {
        throw unknown("an enumeration that isn't FALSE and TRUE")
      }
      self = .boolean
    case 9:
      guard flags & 15 == 1, size == 16 else { throw unknown("variable-length sequences") }
      self = .variableString
    default: throw unknown("class \(classAndVersion & 15)")
    }
  }

  // MARK: - Writing

  /// Bit offset and precision, the exponent's and the mantissa's place and size, the exponent's bias.
  private static func floatLayout(bytes: Int) -> [UInt8]? {
    switch bytes {
    case 2: [0, 0, 16, 0, 10, 5, 0, 10, 15, 0, 0, 0]
    case 4: [0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0]
    case 8: [0, 0, 64, 0, 52, 11, 0, 52, 0xFF, 3, 0, 0]
    default: nil
    }
  }

  /// The datatype message, version 1.
  var encoded: [UInt8] {
    switch self {
    case .float(let bytes):
      Self.head(1, [0x20, UInt8(8 * bytes - 1), 0], bytes) + (Self.floatLayout(bytes: bytes) ?? [])
    case .integer(let bytes, let isSigned):
      Self.head(0, [isSigned ? 8 : 0, 0, 0], bytes) + [0, 0, UInt8(8 * bytes), 0]
    case .boolean:
      Self.head(8, [2, 0, 0], 1) + HDF5Type.integer(bytes: 1, isSigned: true).encoded
        + Array("FALSE\0\0\0TRUE\0\0\0\0".utf8) + [0, 1]
    case .opaque(let bytes): Self.head(5, [0, 0, 0], bytes)
    case .string(let bytes): Self.head(3, [0x11, 0, 0], bytes)  // UTF-8, padded with zeros
    case .variableString:
      // A string in UTF-8, ended by a zero, over bytes.
      Self.head(9, [1, 1, 0], 16) + Self.head(0, [0, 0, 0], 1) + [0, 0, 8, 0]
    }
  }

  private static func head(_ kind: UInt8, _ flags: [UInt8], _ size: Int) -> [UInt8] {
    var bytes = [0x10 | kind] + flags
    bytes.append(little: UInt32(size))
    return bytes
  }
}
