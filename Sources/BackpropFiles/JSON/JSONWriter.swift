import BackpropNetworks

/// Writes JSON as Python's `json.dumps` does: one line, other characters than ASCII escaped, NaN and Infinity bare. Keys
/// stand in alphabetical order, so the same value gives the same bytes.
enum JSONWriter {
  static func write(_ value: ConfigValue) -> [UInt8] {
    var text: [UInt8] = []
    append(value, to: &text)
    return text
  }

  private static func append(_ value: ConfigValue, to text: inout [UInt8]) {
    switch value {
    case .null: text += "null".utf8
    case .bool(let flag): text += (flag ? "true" : "false").utf8
    case .integer(let number): text += String(number).utf8
    case .number(let number): text += self.text(of: number).utf8
    case .string(let string): append(string, to: &text)
    case .array(let elements):
      text.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { text += ", ".utf8 }
        append(element, to: &text)
      }
      text.append(UInt8(ascii: "]"))
    case .object(let fields):
      text.append(UInt8(ascii: "{"))
      for (index, field) in fields.sorted(by: { $0.key < $1.key }).enumerated() {
        if index > 0 { text += ", ".utf8 }
        append(field.key, to: &text)
        text += ": ".utf8
        append(field.value, to: &text)
      }
      text.append(UInt8(ascii: "}"))
    }
  }

  /// The shortest digits that read back as the same number.
  private static func text(of number: Double) -> String {
    if number.isNaN { return "NaN" }
    if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
    return "\(number)"
  }

  private static func append(_ string: String, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\""))
    for unit in string.utf16 {
      switch unit {
      case 0x22: text += "\\\"".utf8
      case 0x5C: text += "\\\\".utf8
      case 0x20..<0x7F: text.append(UInt8(unit))
      default:
        let digits = String(unit, radix: 16)
        text += "\\u".utf8 + [UInt8](repeating: UInt8(ascii: "0"), count: 4 - digits.count) + digits.utf8
      }
    }
    text.append(UInt8(ascii: "\""))
  }
}
