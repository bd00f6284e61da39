import BackpropData

/// A zip file's members, read through its central directory. Stored and deflated members are taken; encrypted ones,
/// other methods and archives of several disks are refused by name.
struct ZipArchive {
  struct Member {
    let name: String
    /// Bytes once inflated.
    let size: Int
    fileprivate let storedSize: Int
    fileprivate let crc: UInt32
    fileprivate let method: Int
    fileprivate let headerOffset: Int
  }

  private let region: ByteRegion
  /// In the directory's order.
  let members: [Member]

  /// Whether the bytes begin as a zip file with at least one member does.
  static func isZip(_ region: ByteRegion) -> Bool {
    (try? region.bytes(at: 0, count: 4)) == ZipFormat.localHeader
  }

  /// - Throws: `DataError` when the directory can't be found or used, two members have one name, or members lie over one
  ///   another: a few bytes could be a thousand large members then.
  init(_ region: ByteRegion) throws {
    self.region = region
    let directory = try Self.findDirectory(region)
    var cursor = try ByteCursor(region, at: directory.offset, count: directory.size)
    var members: [Member] = []
    var names: Set<String> = []
    var room = region.count - directory.size
    for _ in 0..<directory.count {
      let offset = cursor.offset
      let member = try Self.readEntry(&cursor)
      guard names.insert(member.name).inserted else {
        throw region.failure(
          at: offset, expected: "one member of each name", found: "'\(member.name)' a second time")
      }
      guard member.storedSize <= room - ZipFormat.localHeaderSize else {
        throw region.failure(
          at: offset, expected: "members that lie one behind the other",
          found: "more bytes of them than the file has, with '\(member.name)'")
      }
      room -= ZipFormat.localHeaderSize + member.storedSize
      members.append(member)
    }
    self.members = members
  }

  func member(_ name: String) -> Member? { members.first { $0.name == name } }

  /// A member's bytes, checked against its checksum: in place when it is stored, inflated into memory when not.
  ///
  /// - Throws: `DataError` when the checksum or the size differs, or the member would inflate to more than 4 GiB and
  ///   more than 100 times its size (Keras' limit).
  func contents(of member: Member) throws -> ByteRegion {
    let title = "\(region.name): \(member.name)"
    let start = try dataOffset(of: member)
    let stored = try region.part(at: start, count: member.storedSize, name: title)
    let contents: ByteRegion
    if member.method == 0 {
      guard member.size == member.storedSize else {
        throw failure(member, "a stored member of \(member.storedSize) bytes", "a size of \(member.size)")
      }
      contents = stored
    } else {
      let (limit, overflow) = member.storedSize.multipliedReportingOverflow(by: 100)
      guard member.size <= 1 << 32 || (!overflow && member.size <= limit) else {
        throw failure(
          member, "at most 4 GiB or 100 times the \(member.storedSize) bytes stored", "\(member.size)")
      }
      contents = ByteRegion(try inflateRaw(stored, size: member.size), name: title)
    }
    var checksum = CRC32()
    try contents.forEachBlock { checksum.add($0) }
    guard checksum.value == member.crc else {
      throw failure(
        member, "the checksum \(String(member.crc, radix: 16))",
        "\(String(checksum.value, radix: 16)): the file is damaged")
    }
    return contents
  }

  private func failure(_ member: Member, _ expected: String, _ found: String) -> DataError {
    DataError(file: region.name, place: .part(member.name), expected: expected, found: found)
  }

  /// Behind the member's local header, whose name and extra field may be longer than the directory's.
  private func dataOffset(of member: Member) throws -> Int {
    var cursor = try ByteCursor(region, at: member.headerOffset, count: ZipFormat.localHeaderSize)
    try cursor.expect(ZipFormat.localHeader, "the header of '\(member.name)'")
    try cursor.skip(22)
    let name = try cursor.short("the length of a name")
    let extra = try cursor.short("the length of an extra field")
    return member.headerOffset + ZipFormat.localHeaderSize + name + extra
  }

  // MARK: - Directory

  private static func findDirectory(_ region: ByteRegion) throws -> (offset: Int, size: Int, count: Int) {
    // At the end, but for a comment of at most 65,535 bytes.
    let tail = min(region.count, ZipFormat.endSize + 0xFFFF)
    let bytes = try region.bytes(at: region.count - tail, count: tail)
    var index = bytes.count - ZipFormat.endSize
    while index >= 0, !bytes[index...].starts(with: ZipFormat.end) { index -= 1 }
    guard index >= 0 else {
      throw region.failure(
        at: region.count, expected: "a zip file with its directory at the end",
        found: "no directory: the file is cut short or of another kind")
    }
    let endOffset = region.count - tail + index
    var cursor = try ByteCursor(region, at: endOffset, count: ZipFormat.endSize)
    try cursor.skip(4)
    let disks = try cursor.integer(UInt32.self, "disk numbers")
    try cursor.skip(2)
    var count = try cursor.short("the number of members")
    var size = try cursor.size(bytes: 4, "the directory's size")
    var offset = try cursor.size(bytes: 4, "the directory's offset")
    if offset == ZipFormat.in64 || size == ZipFormat.in64 || count == 0xFFFF {
      guard endOffset >= ZipFormat.locator64Size else {
        throw region.failure(at: 0, expected: "a ZIP64 directory", found: "none")
      }
      var locator = try ByteCursor(
        region, at: endOffset - ZipFormat.locator64Size, count: ZipFormat.locator64Size)
      try locator.expect(ZipFormat.locator64, "the place of the ZIP64 directory")
      try locator.skip(4)
      var end = try ByteCursor(region, at: try locator.size("the ZIP64 directory's place"), count: 56)
      try end.expect(ZipFormat.end64, "the ZIP64 directory's end")
      try end.skip(28)
      count = try end.size("the number of members")
      size = try end.size("the directory's size")
      offset = try end.size("the directory's offset")
    }
    guard disks == 0 else {
      throw region.failure(
        at: endOffset + 4, expected: "an archive in one file", found: "one of several disks")
    }
    guard count <= size / ZipFormat.centralHeaderSize else {
      throw region.failure(at: endOffset, expected: "room for \(count) members", found: "\(size) bytes")
    }
    return (offset, size, count)
  }

  private static func readEntry(_ cursor: inout ByteCursor) throws -> Member {
    let start = cursor.offset
    try cursor.expect(ZipFormat.centralHeader, "an entry of the directory")
    try cursor.skip(4)
    let flags = try cursor.short("flags")
    let method = try cursor.short("a method")
    try cursor.skip(4)
    let crc = try cursor.integer(UInt32.self, "a checksum")
    var storedSize = try cursor.size(bytes: 4, "a size")
    var size = try cursor.size(bytes: 4, "a size")
    let nameLength = try cursor.short("the length of a name")
    let extraLength = try cursor.short("the length of an extra field")
    let commentLength = try cursor.short("the length of a comment")
    try cursor.skip(8)
    var headerOffset = try cursor.size(bytes: 4, "an offset")
    let name = String(decoding: try cursor.take(nameLength, "a name"), as: UTF8.self)
    try readExtra(&cursor, length: extraLength, size: &size, storedSize: &storedSize, offset: &headerOffset)
    try cursor.skip(commentLength)

    guard flags & 1 == 0 else {
      throw cursor.region.failure(at: start, expected: "members in the clear", found: "'\(name)' encrypted")
    }
    guard method == 0 || method == 8 else {
      throw cursor.region.failure(
        at: start, expected: "members stored (0) or deflated (8)", found: "'\(name)' by method \(method)")
    }
    return Member(
      name: name, size: size, storedSize: storedSize, crc: crc, method: method, headerOffset: headerOffset)
  }

  /// Takes the numbers that were too large for their fields out of the ZIP64 extra field, where they stand in this order.
  private static func readExtra(
    _ cursor: inout ByteCursor, length: Int, size: inout Int, storedSize: inout Int, offset: inout Int
  ) throws {
    guard length <= cursor.remaining else { return try cursor.skip(length) }
    let end = cursor.position + length
    while end - cursor.position >= 4 {
      let kind = try cursor.short("an extra field")
      let fieldEnd = try cursor.short("an extra field's length") + cursor.position
      guard fieldEnd <= end else { break }
      if kind == ZipFormat.extra64 {
        if size == ZipFormat.in64 { size = try cursor.size("a 64-bit size") }
        if storedSize == ZipFormat.in64 { storedSize = try cursor.size("a 64-bit size") }
        if offset == ZipFormat.in64 { offset = try cursor.size("a 64-bit offset") }
      }
      guard cursor.position <= fieldEnd else { break }
      try cursor.skip(fieldEnd - cursor.position)
    }
    guard cursor.position <= end else {
      throw cursor.failure(expected: "an extra field of \(length) bytes", found: "a longer one")
    }
    try cursor.skip(end - cursor.position)
  }
}
