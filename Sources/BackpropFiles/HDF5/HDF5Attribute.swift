/// An attribute message (IV.A.2.m), versions 1 to 3.
struct HDF5Attribute {
  let type: HDF5Type
  let shape: [Int]
  /// Where in the file its value begins.
  private let offset: Int
  private let available: Int

  /// The fields before the value: the name, and where datatype and dataspace end.
  static func readHead(_ cursor: inout ByteCursor) throws -> (
    name: String, version: Int, type: Int, space: Int
  ) {
    let version = try cursor.byte("an attribute")
    guard (1...3).contains(version) else {
      throw cursor.failure(expected: "an attribute of version 1 to 3", found: "version \(version)")
    }
    let flags = try cursor.byte("flags")
    guard version == 1 || flags & 3 == 0 else {
      throw cursor.failure(expected: "an attribute with a type of its own", found: "a shared one")
    }
    let nameSize = try cursor.short("a name's size")
    let typeSize = try cursor.short("a datatype's size")
    let spaceSize = try cursor.short("a dataspace's size")
    if version == 3 { try cursor.skip(1) }
    let name = try cursor.take(nameSize, "a name")
    if version == 1 { cursor.align(to: 8) }
    return (String(decoding: name.prefix { $0 != 0 }, as: UTF8.self), version, typeSize, spaceSize)
  }

  init(reading message: HDF5Message, in region: ByteRegion) throws {
    var cursor = try message.cursor(in: region)
    let head = try Self.readHead(&cursor)
    func enter(_ size: Int, _ what: String) throws -> ByteCursor {
      let part = try ByteCursor(region, at: cursor.offset, count: min(size, cursor.remaining))
      try cursor.skip(size)
      if head.version == 1 { cursor.align(to: 8) }
      return part
    }
    var typeCursor = try enter(head.type, "a datatype")
    var spaceCursor = try enter(head.space, "a dataspace")
    type = try HDF5Type(reading: &typeCursor)
    shape = try readDataspace(&spaceCursor)
    offset = cursor.offset
    available = cursor.remaining
  }

  /// Its elements as texts.
  func strings(in region: ByteRegion, heap: HDF5GlobalHeap) throws -> [String] {
    guard let count = product(shape, times: type.byteCount), count <= available else {
      throw region.failure(
        at: offset, expected: "an attribute of shape \(shape)", found: "\(available) bytes")
    }
    var cursor = try ByteCursor(region, at: offset, count: count)
    var result: [String] = []
    while cursor.remaining > 0 {
      switch type {
      case .string(let size) where size > 0:
        let bytes = try cursor.take(size, "a string").prefix { $0 != 0 }
        result.append(String(decoding: bytes, as: UTF8.self))
      case .variableString:
        let length = try cursor.size(bytes: 4, "a string's length")
        let address = try cursor.size("a heap's address")
        let index = try cursor.integer(UInt32.self, "a place in a heap")
        let bytes = length == 0 ? [] : try heap.bytes(at: address, index: Int(index), count: length)
        result.append(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
      default: throw region.failure(at: offset, expected: "text", found: "\(type)")
      }
    }
    return result
  }
}

/// A dataspace message (IV.A.2.b): the shape; `[]` for a scalar.
func readDataspace(_ cursor: inout ByteCursor) throws -> [Int] {
  let version = try cursor.byte("a dataspace")
  let rank = try cursor.byte("a rank")
  try cursor.skip(1)  // flags: largest sizes may follow
  switch version {
  case 1: try cursor.skip(5)
  case 2:
    let kind = try cursor.byte("a dataspace's type")
    guard kind < 2 else { throw cursor.failure(expected: "a scalar or an array", found: "a null dataspace") }
  default: throw cursor.failure(expected: "a dataspace of version 1 or 2", found: "version \(version)")
  }
  guard rank <= 32 else { throw cursor.failure(expected: "a rank of at most 32", found: "\(rank)") }
  return try (0..<rank).map { _ in try cursor.size("an axis's size") }
}
