import BackpropData

/// What a chunk went through before it was written (IV.A.2.l).
enum HDF5Filter {
  case deflate
  case shuffle(elementSize: Int)
  case fletcher32

  /// A filter pipeline message, versions 1 and 2.
  static func readPipeline(_ cursor: inout ByteCursor) throws -> [HDF5Filter] {
    let version = try cursor.byte("filters")
    let count = try cursor.byte("a number of filters")
    guard version == 1 || version == 2, count <= 32 else {
      throw cursor.failure(
        expected: "at most 32 filters, version 1 or 2", found: "\(count), version \(version)")
    }
    if version == 1 { try cursor.skip(6) }
    return try (0..<count).map { _ in
      let id = try cursor.short("a filter")
      let nameLength = version == 1 || id >= 256 ? try cursor.short("the length of a filter's name") : 0
      try cursor.skip(2)
      let valueCount = try cursor.short("a filter's number of values")
      try cursor.skip(version == 1 ? (nameLength + 7) / 8 * 8 : nameLength)
      let values = try (0..<valueCount).map { _ in try cursor.size(bytes: 4, "a filter's value") }
      if version == 1, valueCount % 2 == 1 { try cursor.skip(4) }
      switch id {
      case 1: return .deflate
      case 2:
        guard let size = values.first, size > 0 else {
          throw cursor.failure(expected: "a shuffle of elements", found: "no element size")
        }
        return .shuffle(elementSize: size)
      case 3: return .fletcher32
      default:
        throw cursor.failure(expected: "deflate, shuffle or fletcher32", found: "filter \(id)")
      }
    }
  }

  /// Undoes the filter on a chunk that is `size` bytes when all filters are undone.
  func undo(_ bytes: [UInt8], size: Int, name: String) throws -> [UInt8] {
    switch self {
    case .deflate: return try inflateZlib(bytes, size: size, name: name)
    case .fletcher32:
      guard bytes.count >= 4 else {
        throw DataError(
          file: name, place: .wholeFile, expected: "a chunk with its checksum", found: "\(bytes.count) bytes")
      }
      let content = Array(bytes.dropLast(4))
      var stored: UInt32 = 0
      for (index, byte) in bytes.suffix(4).enumerated() { stored |= UInt32(byte) << (8 * index) }
      guard stored == Self.fletcher32(content) else {
        throw DataError(
          file: name, place: .wholeFile, expected: "the chunk's checksum",
          found: "another: the file is damaged")
      }
      return content
    case .shuffle(let elementSize):
      let count = bytes.count / elementSize
      guard elementSize > 1, count > 1 else { return bytes }
      var result = bytes  // what doesn't fill an element stays at the end
      for byte in 0..<elementSize {
        for element in 0..<count { result[element * elementSize + byte] = bytes[byte * count + element] }
      }
      return result
    }
  }

  /// HDF5's variant: over big-endian 16-bit words.
  static func fletcher32(_ bytes: [UInt8]) -> UInt32 {
    var (sum1, sum2): (UInt32, UInt32) = (0, 0)
    var index = 0
    while index < bytes.count {
      let low = index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0
      sum1 = (sum1 + (UInt32(bytes[index]) << 8 | low)) % 65535
      sum2 = (sum2 + sum1) % 65535
      index += 2
    }
    return sum2 << 16 | sum1
  }
}
