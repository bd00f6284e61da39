/// The framing of event files: length, its checksum, data, their checksum.
enum EventRecord {
  static func framed(_ data: [UInt8]) -> [UInt8] {
    var head: [UInt8] = []
    head.append(little: UInt64(data.count))
    var bytes = head
    bytes.append(little: masked(crc(head)))
    bytes += data
    bytes.append(little: masked(crc(data)))
    return bytes
  }

  /// CRC-32C (Castagnoli), reflected.
  static func crc(_ bytes: [UInt8]) -> UInt32 {
    var value = UInt32.max
    for byte in bytes { value = table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ (value >> 8) }
    return ~value
  }

  /// So that a checksum of data that hold checksums isn't a weak one.
  static func masked(_ crc: UInt32) -> UInt32 { ((crc >> 15) | (crc << 17)) &+ 0xA282_EAD8 }

  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 0 ? value >> 1 : (value >> 1) ^ 0x82F6_3B78 }
  }
}
