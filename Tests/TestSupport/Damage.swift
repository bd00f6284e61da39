/// Damaged copies of a file.
///
/// Length fields are found by none of their places being known: every two, four and eight bytes of the file are taken for
/// one, in the byte order of the format, and every number in its text. So none can be left out.
package struct Damage {
  package enum ByteOrder: Sendable { case little, big }

  package let bytes: [UInt8]
  package let order: ByteOrder
  private let step: Int

  /// - Parameter step: damage only one of so many places, where all would take too long.
  package init(_ bytes: [UInt8], _ order: ByteOrder, step: Int = 1) {
    self.bytes = bytes
    self.order = order
    self.step = step
  }

  /// Every truncation; every byte set to 0 and 255 and made one more and one less; every length field set to 0, −1, 2³¹
  /// and 2⁶³, as far as it has room for them.
  package func forEach(_ body: ([UInt8]) throws -> Void) rethrows {
    for count in stride(from: 0, to: bytes.count, by: step) { try body(Array(bytes[..<count])) }
    for index in stride(from: 0, to: bytes.count, by: step) {
      try put([0], at: index, body)
      try put([255], at: index, body)
      try put([bytes[index] &+ 1], at: index, body)
      try put([bytes[index] &- 1], at: index, body)
    }
    for width in [2, 4, 8] {
      var values: [UInt64] = [0, .max]
      values += width == 2 ? [1 << 15] : width == 4 ? [1 << 31] : [1 << 31, 1 << 63]
      for value in values {
        let field = (0..<width).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        for index in stride(from: 0, through: max(0, bytes.count - width), by: step) {
          try put(order == .little ? field : field.reversed(), at: index, body)
        }
      }
    }
    try forEachNumber(body)
  }

  private func put(_ field: [UInt8], at index: Int, _ body: ([UInt8]) throws -> Void) rethrows {
    guard index + field.count <= bytes.count, !bytes[index...].starts(with: field) else { return }
    var copy = bytes
    copy.replaceSubrange(index..<index + field.count, with: field)
    try body(copy)
  }

  /// Numbers in text, such as those of a header in JSON, replaced by longer ones.
  private func forEachNumber(_ body: ([UInt8]) throws -> Void) rethrows {
    let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
    var start = 0
    while start < bytes.count {
      guard isDigit(bytes[start]) else {
        start += 1
        continue
      }
      let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
      for number in ["0", "-1", "2147483648", "9223372036854775808"] {
        try body(bytes[..<start] + Array(number.utf8) + bytes[end...])
      }
      start = end
    }
  }
}
