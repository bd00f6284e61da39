/// The messages of a header that a reader looks at; numbers as in IV.A.2.
enum HDF5MessageKind: Int {
  case dataspace = 0x01
  case linkInfo = 0x02
  case datatype = 0x03
  case fillValue = 0x05
  case link = 0x06
  case externalFiles = 0x07
  case layout = 0x08
  case filters = 0x0B
  case attribute = 0x0C
  case continuation = 0x10
  case symbolTable = 0x11
  case attributeInfo = 0x15
}

/// Where a message's content lies.
struct HDF5Message {
  let kind: HDF5MessageKind
  let offset: Int
  let count: Int

  func cursor(in region: ByteRegion) throws -> ByteCursor {
    try ByteCursor(region, at: offset, count: count)
  }
}

/// Attributes by name, still to be read.
typealias HDF5Attributes = [String: HDF5Message]

/// An object's header (IV.A.1), version 1 or 2: its messages, continuations followed.
struct HDF5ObjectHeader {
  private(set) var messages: [HDF5Message] = []
  private(set) var attributes: HDF5Attributes = [:]
  private let address: Int
  private(set) var byteCount = 0

  init(_ region: ByteRegion, at address: Int) throws {
    self.address = address
    if try region.bytes(at: address, count: 4) == Array("OHDR".utf8) {
      try readVersion2(region)
    } else {
      try readVersion1(region)
    }
    for message in messages where message.kind == .attribute {
      var cursor = try message.cursor(in: region)
      attributes[try HDF5Attribute.readHead(&cursor).name] = message
    }
  }

  var isDataset: Bool { first(.layout) != nil }

  func first(_ kind: HDF5MessageKind) -> HDF5Message? { messages.first { $0.kind == kind } }

  // MARK: - Version 1

  private mutating func readVersion1(_ region: ByteRegion) throws {
    var cursor = try ByteCursor(region, at: address, count: 16)
    try cursor.expect([1], "an object header of version 1 or 2")
    try cursor.skip(7)
    let size = try cursor.size(bytes: 4, "a header's size")
    var blocks = [(offset: address + 16, count: size)]
    var next = 0
    while next < blocks.count {
      var block = try ByteCursor(region, at: blocks[next].offset, count: blocks[next].count)
      next += 1
      byteCount += block.remaining
      while block.remaining >= 8 {
        let kind = try block.short("a message's type")
        let size = try block.short("a message's size")
        let flags = try block.byte("a message's flags")
        try block.skip(3)
        try add(kind, flags: flags, size: size, &block, &blocks, region)
      }
    }
  }

  // MARK: - Version 2

  private mutating func readVersion2(_ region: ByteRegion) throws {
    var cursor = try ByteCursor(region, at: address, count: min(64, region.count - address))
    try cursor.skip(4)
    try cursor.expect([2], "an object header of version 2")
    let flags = try cursor.byte("flags")
    if flags & 0x20 != 0 { try cursor.skip(16) }  // times
    if flags & 0x10 != 0 { try cursor.skip(4) }  // limits for attributes
    var size = 0
    let width = 1 << (flags & 3)
    for shift in 0..<min(width, 4) { size |= try cursor.byte("a header's size") << (8 * shift) }
    if width == 8 { try cursor.expect([0, 0, 0, 0], "a header of less than 4 GiB") }

    var blocks = [(offset: cursor.offset, count: size)]
    var next = 0
    while next < blocks.count {
      var block = try ByteCursor(region, at: blocks[next].offset, count: blocks[next].count)
      let isContinuation = next > 0
      next += 1
      byteCount += block.remaining
      if isContinuation { try block.expect(Array("OCHK".utf8), "a continued object header") }
      let headSize = flags & 4 != 0 ? 6 : 4
      // A continuation ends with a checksum of 4 bytes; the first block's lies behind its size.
      let tail = isContinuation ? 4 : 0
      while block.remaining >= headSize + tail {
        let kind = try block.byte("a message's type")
        let size = try block.short("a message's size")
        let messageFlags = try block.byte("a message's flags")
        if flags & 4 != 0 { try block.skip(2) }
        try add(kind, flags: messageFlags, size: size, &block, &blocks, region)
      }
    }
  }

  // MARK: - Both

  private mutating func add(
    _ kind: Int, flags: Int, size: Int, _ block: inout ByteCursor,
    _ blocks: inout [(offset: Int, count: Int)],
    _ region: ByteRegion
  ) throws {
    let offset = block.offset
    _ = try block.take(size, "a message")
    guard let kind = HDF5MessageKind(rawValue: kind) else { return }
    guard flags & 2 == 0 else {
      throw region.failure(at: offset, expected: "messages in their header", found: "a shared message")
    }
    guard kind == .continuation else {
      messages.append(HDF5Message(kind: kind, offset: offset, count: size))
      return
    }
    var cursor = try ByteCursor(region, at: offset, count: size)
    let place = try cursor.size("a continuation's address")
    let count = try cursor.size("a continuation's size")
    guard !blocks.contains(where: { $0.offset == place }), byteCount <= region.count else {
      throw region.failure(at: offset, expected: "a continuation of its own", found: "a cycle")
    }
    blocks.append((place, count))
  }
}
