@testable import BackpropFiles

/// Puts in the checksums that a changed input would have: no fuzzer finds them, and what they guard would never be read.
enum Checksums {
  /// The frames of an event file: eight bytes of length, their checksum, data, their checksum.
  static func ofEvents(_ input: [UInt8]) -> [UInt8] {
    var bytes = input
    var start = 0
    while bytes.count - start >= 16 {
      let length = number(bytes[start..<start + 8].reversed())
      put(EventRecord.masked(EventRecord.crc(Array(bytes[start..<start + 8]))), at: start + 8, in: &bytes)
      guard length <= bytes.count - start - 16 else { break }
      let end = start + 12 + length
      put(EventRecord.masked(EventRecord.crc(Array(bytes[start + 12..<end]))), at: end, in: &bytes)
      start = end + 4
    }
    return bytes
  }

  /// The chunks of a PNG file: four bytes of length, four of kind, data, the checksum of kind and data.
  static func ofPNG(_ input: [UInt8]) -> [UInt8] {
    var bytes = input
    var start = 8
    while bytes.count - start >= 12 {
      let length = number(bytes[start..<start + 4])
      guard length <= bytes.count - start - 12 else { break }
      let end = start + 8 + length
      var checksum = CRC32()
      bytes[start + 4..<end].withUnsafeBytes { checksum.add($0) }
      put(checksum.value.byteSwapped, at: end, in: &bytes)
      start = end + 4
    }
    return bytes
  }

  /// The most significant byte first; as large as can be where it doesn't fit.
  private static func number(_ bytes: some Sequence<UInt8>) -> Int {
    Int(clamping: bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
  }

  /// The least significant byte first.
  private static func put(_ value: UInt32, at start: Int, in bytes: inout [UInt8]) {
    for place in 0..<4 { bytes[start + place] = UInt8(truncatingIfNeeded: value >> (8 * place)) }
  }
}
