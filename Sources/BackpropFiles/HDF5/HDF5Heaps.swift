/// A group's heap of names (III.D).
struct HDF5LocalHeap {
  private let region: ByteRegion
  private let offset: Int
  private let bytes: [UInt8]

  var byteCount: Int { 32 + bytes.count }

  init(_ region: ByteRegion, at address: Int) throws {
    self.region = region
    var cursor = try ByteCursor(region, at: address, count: 32)
    try cursor.expect(Array("HEAP\0".utf8), "a local heap")
    try cursor.skip(3)
    let size = try cursor.size("a heap's size")
    try cursor.skip(8)
    offset = try cursor.size("a heap's address")
    bytes = try region.bytes(at: offset, count: size)
  }

  func string(at position: Int) throws -> String {
    // No name is longer, and looking further in a large heap for each name would take for ever.
    guard position < bytes.count, let end = bytes[position...].prefix(4096).firstIndex(of: 0) else {
      throw region.failure(
        at: offset, expected: "a name at \(position) of the heap", found: "\(bytes.count) bytes")
    }
    return String(decoding: bytes[position..<end], as: UTF8.self)
  }
}

/// The collections that hold strings of any length (III.E); each is read once.
final class HDF5GlobalHeap {
  private let region: ByteRegion
  private var collections: [Int: [Int: (offset: Int, count: Int)]] = [:]

  private var budget: HDF5Budget

  init(_ region: ByteRegion) {
    self.region = region
    budget = HDF5Budget(region)
  }

  func bytes(at address: Int, index: Int, count: Int) throws -> [UInt8] {
    let collection = try collections[address] ?? read(at: address)
    collections[address] = collection
    guard let object = collection[index], count <= object.count else {
      throw region.failure(
        at: address, expected: "object \(index) of \(count) bytes in a global heap",
        found: collection[index].map { "\($0.count) bytes" } ?? "none")
    }
    return try region.bytes(at: object.offset, count: count)
  }

  private func read(at address: Int) throws -> [Int: (offset: Int, count: Int)] {
    var head = try ByteCursor(region, at: address, count: 16)
    try head.expect(Array("GCOL\u{1}".utf8), "a global heap")
    try head.skip(3)
    let size = try head.size("a global heap's size")
    guard size >= 16 else { throw head.failure(expected: "at least 16 bytes", found: "\(size)") }
    try budget.spend(size, at: address, "a global heap")
    var cursor = try ByteCursor(region, at: address, count: size)
    try cursor.skip(16)
    var objects: [Int: (offset: Int, count: Int)] = [:]
    while cursor.remaining >= 16 {
      let index = try cursor.short("an object's number")
      if index == 0 { break }  // the free space
      try cursor.skip(6)
      let count = try cursor.size("an object's size")
      objects[index] = (cursor.offset, count)
      try cursor.skip(count)
      cursor.align(to: 8)
    }
    return objects
  }
}
