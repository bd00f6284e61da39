import BackpropData
import BackpropTensors

/// The header of an `.npy` file: a Python dictionary of three keys.
///
/// Source: numpy.lib.format, versions 1.0 to 3.0.
struct NPYHeader {
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  private static let largest = 1 << 20

  let dtype: DType
  let shape: [Int]
  /// Whether the first axis varies fastest.
  let isColumnMajor: Bool
  /// Where the elements begin.
  let end: Int

  /// - Throws: `DataError` with the offset.
  init(_ region: ByteRegion) throws {
    var cursor = try ByteCursor(region, at: 0, count: min(region.count, 12))
    try cursor.expect(Self.magic, "an .npy file's first bytes")
    let version = try cursor.byte("a version")
    guard (1...3).contains(version) else {
      throw region.failure(at: 6, expected: "version 1 to 3", found: "\(version)")
    }
    try cursor.skip(1)
    let size =
      version == 1 ? try cursor.short("the header's size") : try cursor.size(bytes: 4, "the header's size")
    guard size <= Self.largest else {
      throw region.failure(at: 8, expected: "a header of at most 1 MiB", found: "\(size) bytes")
    }
    end = cursor.position + size
    var parser = PythonLiteral(
      region, offset: cursor.position, try region.bytes(at: cursor.position, count: size))
    var fields: [String: PythonLiteral.Value] = [:]
    try parser.expect("{")
    while !parser.takes("}") {
      let (offset, key) = (parser.offset, try parser.text())
      try parser.expect(":")
      guard fields.updateValue(try parser.value(), forKey: key) == nil else {
        throw region.failure(at: offset, expected: "one key of each name", found: "'\(key)' twice")
      }
      if !parser.takes(",") { try parser.expect("}"); break }
    }
    func field(_ key: String) throws -> PythonLiteral.Value {
      if let value = fields[key] { return value }
      throw region.failure(
        at: 10, expected: "the key '\(key)'", found: fields.keys.sorted().joined(separator: ", "))
    }
    guard case .bool(let order) = try field("fortran_order") else {
      throw region.failure(at: 10, expected: "True or False for 'fortran_order'", found: "something else")
    }
    guard case .tuple(let sizes) = try field("shape"), sizes.count <= 32 else {
      throw region.failure(
        at: 10, expected: "a tuple of at most 32 sizes for 'shape'", found: "something else")
    }
    guard case .text(let code) = try field("descr") else {
      throw region.failure(
        at: 10, expected: "one dtype for 'descr'", found: "a structure of several", advice: Self.advice)
    }
    dtype = try Self.dtype(code, region)
    (shape, isColumnMajor) = (sizes, order)
  }

  private static let advice = "save it from NumPy as float32: array.astype('<f4')"

  private static func dtype(_ code: String, _ region: ByteRegion) throws -> DType {
    let plain = bytes(code) ?? code
    if let dtype = DType.allCases.first(where: { self.code(of: $0) == plain }) { return dtype }
    let found =
      code.hasPrefix(">")
      ? "'\(code)', in another byte order"
      : code.hasSuffix("O") ? "'\(code)', pickled objects, which would run code" : "'\(code)'"
    let known = DType.allCases.compactMap { self.code(of: $0) }.joined(separator: ", ")
    throw region.failure(at: 10, expected: "a dtype among \(known)", found: found, advice: advice)
  }

  /// Single bytes have no order, whatever the first character says.
  private static func bytes(_ code: String) -> String? {
    guard code.hasSuffix("1"), let first = code.first, "<>=|".contains(first) else { return nil }
    return "|" + code.dropFirst()
  }

  /// nil for bfloat16, which NumPy doesn't have.
  private static func code(of dtype: DType) -> String? {
    switch dtype {
    case .float32: "<f4"
    case .float64: "<f8"
    case .float16: "<f2"
    case .bfloat16: nil
    case .int8: "|i1"
    case .int16: "<i2"
    case .int32: "<i4"
    case .int64: "<i8"
    case .uint8: "|u1"
    case .bool: "|b1"
    }
  }

  /// As NumPy writes it: padded so that the elements begin at a multiple of 64.
  static func encoded(_ type: TensorType, name: String) throws -> [UInt8] {
    guard let code = code(of: type.dtype) else {
      throw DataError(
        file: name, place: .wholeFile, expected: "a dtype that NumPy has", found: "\(type.dtype)",
        advice: "cast it to float32, or save it as safetensors")
    }
    let sizes = type.shape.dimensions.map { "\($0)" }
    let tuple = "(" + sizes.joined(separator: ", ") + (sizes.count == 1 ? ",)" : ")")
    var text = Array("{'descr': '\(code)', 'fortran_order': False, 'shape': \(tuple), }".utf8)
    let padding = (64 - (10 + text.count + 1) % 64) % 64
    text += [UInt8](repeating: UInt8(ascii: " "), count: padding) + Array("\n".utf8)
    var head = magic + [1, 0]
    head.append(little: UInt16(text.count))
    return head + text
  }
}

/// As much of Python's literals as such headers hold.
private struct PythonLiteral {
  enum Value {
    case text(String)
    case bool(Bool)
    case tuple([Int])
    /// A list, which stands for a structure.
    case list
  }

  private let region: ByteRegion
  private let base: Int
  private let bytes: [UInt8]
  private var position = 0

  init(_ region: ByteRegion, offset: Int, _ bytes: [UInt8]) {
    (self.region, base, self.bytes) = (region, offset, bytes)
  }

  var offset: Int { base + position }

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[position]) { position += 1 }
  }

  mutating func takes(_ word: String) -> Bool {
    skipSpace()
    guard bytes[position...].starts(with: word.utf8) else { return false }
    position += word.utf8.count
    return true
  }

  mutating func expect(_ word: String) throws {
    if !takes(word) { throw failure("'\(word)'") }
  }

  private func failure(_ expected: String) -> DataError {
    let found = position < bytes.count ? excerpt(bytes[position...].prefix(12)) : "the header's end"
    return region.failure(at: offset, expected: expected, found: found)
  }

  mutating func text() throws -> String {
    skipSpace()
    guard position < bytes.count,
      bytes[position] == UInt8(ascii: "'") || bytes[position] == UInt8(ascii: "\"")
    else { throw failure("a text in quotes") }
    let rest = bytes[(position + 1)...]
    guard let end = rest.firstIndex(of: bytes[position]) else { throw failure("a closing quote") }
    defer { position = end + 1 }
    return String(decoding: bytes[(position + 1)..<end], as: UTF8.self)
  }

  mutating func value() throws -> Value {
    if takes("True") { return .bool(true) }
    if takes("False") { return .bool(false) }
    if takes("(") { return .tuple(try integers()) }
    if takes("[") {
      // Whatever it holds, it is refused.
      var depth = 1
      while depth > 0 {
        guard position < bytes.count else { throw failure("']'") }
        depth += bytes[position] == UInt8(ascii: "[") ? 1 : bytes[position] == UInt8(ascii: "]") ? -1 : 0
        position += 1
      }
      return .list
    }
    return .text(try text())
  }

  private mutating func integers() throws -> [Int] {
    var result: [Int] = []
    while !takes(")") {
      skipSpace()
      let digits = bytes[position...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      guard let size = Int(String(decoding: digits, as: UTF8.self)) else { throw failure("a size") }
      position += digits.count
      // Python 2 wrote long integers so.
      _ = takes("L")
      result.append(size)
      if !takes(",") { try expect(")"); break }
    }
    return result
  }
}
