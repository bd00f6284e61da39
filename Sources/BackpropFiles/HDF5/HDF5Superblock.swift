/// The file's first block (II.A), versions 0 to 3.
struct HDF5Superblock {
  static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Addresses count from here.
  let base: Int
  /// The address of the root group's header.
  let root: Int

  init(_ region: ByteRegion) throws {
    let start = try Self.find(region)
    let block = try region.part(at: start, count: region.count - start, name: region.name)
    var cursor = try ByteCursor(block, at: 0, count: min(block.count, 96))
    try cursor.skip(8)
    let version = try cursor.byte("a version")
    switch version {
    case 0, 1:
      try cursor.skip(4)
      try cursor.expect([8, 8], "offsets and lengths of 8 bytes")
      try cursor.skip(version == 0 ? 9 : 13)
    case 2, 3:
      try cursor.expect([8, 8], "offsets and lengths of 8 bytes")
      try cursor.skip(1)
    default: throw cursor.failure(expected: "a superblock of version 0 to 3", found: "version \(version)")
    }
    base = try cursor.size("a base address")
    guard base == 0 || base == start else {
      throw cursor.failure(expected: "addresses from the file's start", found: "a base address of \(base)")
    }
    try cursor.skip(8)
    let end = try cursor.size("the end of the file")
    // Alone among the addresses this one counts from the file's first byte.
    guard end <= block.count + base else {
      throw cursor.failure(
        expected: "a file of \(end) bytes", found: "\(block.count + base): it is cut short")
    }
    // Versions 0 and 1: the driver's block, then an entry of a symbol table: the name's place, the header's address.
    if version < 2 { try cursor.skip(16) }
    root = try cursor.size("the root group's address")
  }

  /// At 0, 512, 1024, 2048, …: what stands before belongs to somebody else.
  private static func find(_ region: ByteRegion) throws -> Int {
    var offset = 0
    while offset <= region.count - 8 {
      if try region.bytes(at: offset, count: 8) == signature { return offset }
      offset = offset == 0 ? 512 : offset * 2
    }
    let first = try region.bytes(at: 0, count: min(region.count, 8))
    throw region.failure(
      at: 0, expected: "an HDF5 file, beginning \(hexadecimal(signature))",
      found: first.isEmpty ? "an empty file" : hexadecimal(first))
  }
}
