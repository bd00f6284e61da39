import CFiles
import CZlib

/// The CRC-32 that zip files carry.
struct CRC32 {
  private(set) var value: UInt32 = 0

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes[...]
    // zlib takes longer over a large model's bytes than the disk.
    let whole = bytes.count & ~63
    if whole > 0, cf_crc32(&value, bytes.baseAddress, whole) { rest = rest.dropFirst(whole) }
    while !rest.isEmpty {
      // zlib counts in 32 bits.
      let part = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      value = UInt32(
        truncatingIfNeeded: crc32(
          uLong(value), part.baseAddress!.assumingMemoryBound(to: UInt8.self), UInt32(part.count)))
      rest = rest.dropFirst(part.count)
    }
  }
}
