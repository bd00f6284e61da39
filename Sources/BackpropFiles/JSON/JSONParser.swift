import BackpropData
import BackpropNetworks

/// Reads JSON as Python writes it: RFC 8259, and the bare words NaN, Infinity and -Infinity.
///
/// An error names the offset. Of a key that comes twice the last counts, as in Python. A value lies at most 200 levels
/// deep, which no model reaches and every stack holds.
struct JSONParser {
  private let bytes: [UInt8]
  private let name: String
  private var position = 0
  private static let maximumDepth = 200

  static func parse(_ bytes: [UInt8], name: String) throws -> ConfigValue {
    var parser = JSONParser(bytes, name: name)
    let value = try parser.value(depth: 0)
    parser.skipSpace()
    guard parser.position == bytes.count else { throw parser.failure("the end after the value") }
    return value
  }

  private init(_ bytes: [UInt8], name: String) {
    self.bytes = bytes
    self.name = name
  }

  private func failure(_ expected: String, at offset: Int? = nil) -> DataError {
    let offset = offset ?? position
    let found = offset < bytes.count ? excerpt(bytes[offset...].prefix(12)) : "the end"
    return DataError(file: name, place: .offset(offset), expected: expected, found: found)
  }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func value(depth: Int) throws -> ConfigValue {
    guard depth < Self.maximumDepth else { throw failure("at most \(Self.maximumDepth) levels of brackets") }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-")?, (UInt8(ascii: "0")...UInt8(ascii: "9"))?: return try number()
    default:
      for (word, value) in Self.words where take(word: word) { return value }
      throw failure("a JSON value")
    }
  }

  private static let words: [(StaticString, ConfigValue)] = [
    ("null", .null), ("true", .bool(true)), ("false", .bool(false)), ("NaN", .number(.nan)),
    ("Infinity", .number(.infinity)),
  ]

  private mutating func take(word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    let isNext = word.withUTF8Buffer { bytes[position...].prefix(count).elementsEqual($0) }
    if isNext { position += count }
    return isNext
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func object(depth: Int) throws -> ConfigValue {
    position += 1
    var fields: [String: ConfigValue] = [:]
    skipSpace()
    if take("}") { return .object(fields) }
    while true {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw failure("a key in quotes") }
      let key = try string()
      skipSpace()
      guard take(":") else { throw failure("':' after the key '\(key)'") }
      fields[key] = try value(depth: depth + 1)
      skipSpace()
      if take("}") { return .object(fields) }
      guard take(",") else { throw failure("',' or '}'") }
    }
  }

  private mutating func array(depth: Int) throws -> ConfigValue {
    position += 1
    var elements: [ConfigValue] = []
    skipSpace()
    if take("]") { return .array(elements) }
    while true {
      elements.append(try value(depth: depth + 1))
      skipSpace()
      if take("]") { return .array(elements) }
      guard take(",") else { throw failure("',' or ']'") }
    }
  }

  private mutating func number() throws -> ConfigValue {
    let start = position
    if take("-"), take(word: "Infinity") { return .number(-.infinity) }
    var isInteger = true
    while let byte = next {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): break
      case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"), UInt8(ascii: "+"), UInt8(ascii: "-"):
        isInteger = false
      default:
        return try number(from: start, isInteger: isInteger)
      }
      position += 1
    }
    return try number(from: start, isInteger: isInteger)
  }

  private func number(from start: Int, isInteger: Bool) throws -> ConfigValue {
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let value = Int(text) { return .integer(value) }
    guard let value = Double(text) else { throw failure("a number", at: start) }
    return .number(value)
  }

  private mutating func string() throws -> String {
    let start = position
    position += 1
    // What stands before the last escaped character; nearly no text has one, and is read where it lies.
    var text: [UInt8] = []
    var rest = position
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        let end = bytes[rest..<position]
        let whole =
          text.isEmpty
          ? String(validating: end, as: UTF8.self) : String(validating: text + end, as: UTF8.self)
        guard let whole else { throw failure("text in UTF-8", at: start) }
        position += 1
        return whole
      case UInt8(ascii: "\\"):
        text += bytes[rest..<position]
        position += 1
        text += String(try escape()).utf8
        rest = position
      case 0..<0x20: throw failure("no control characters in text")
      default: position += 1
      }
    }
    throw failure("'\"' at the end of a text", at: start)
  }

  /// What stands behind a backslash.
  private mutating func escape() throws -> Character {
    guard let byte = next else { throw failure("an escaped character") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Character(Unicode.Scalar(byte))
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: throw failure("an escaped character", at: position - 2)
    }
    var code = try fourHexDigits()
    // Characters beyond 16 bits are written as two halves; a half alone is no character, and becomes U+FFFD.
    if (0xD800..<0xDC00).contains(code), bytes[position...].starts(with: "\\u".utf8) {
      let back = position
      position += 2
      let low = try fourHexDigits()
      if (0xDC00..<0xE000).contains(low) {
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      } else {
        position = back
      }
    }
    return Character(Unicode.Scalar(code) ?? "\u{FFFD}")
  }

  private mutating func fourHexDigits() throws -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure("four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
