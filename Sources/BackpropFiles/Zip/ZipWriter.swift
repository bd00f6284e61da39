import BackpropData

/// A zip file with its members stored as they are, as Keras writes `.keras` files.
///
/// The same members give the same bytes: every member carries the date 1980-01-01.
struct ZipWriter {
  private var members: [(name: String, pieces: [FilePiece])] = []

  /// Appends a member; members stand in the file in this order.
  mutating func add(_ name: String, _ pieces: [FilePiece]) { members.append((name, pieces)) }

  mutating func add(_ name: String, _ bytes: [UInt8]) { add(name, [.bytes(bytes)]) }

  /// The file's pieces in order. Reads every member once, for its checksum.
  func pieces() -> [FilePiece] {
    var result: [FilePiece] = []
    var directory: [UInt8] = []
    var offset = 0
    for (name, pieces) in members {
      var checksum = CRC32()
      for piece in pieces { piece.withBytes { checksum.add($0) } }
      let entry = Entry(
        name: Array(name.utf8), crc: checksum.value, size: pieces.reduce(0) { $0 + $1.count }, offset: offset)
      let header = entry.localHeader
      result.append(.bytes(header))
      result += pieces
      directory += entry.centralHeader
      offset += header.count + entry.size
    }
    return result + [.bytes(directory + endRecords(offset: offset, size: directory.count))]
  }

  private func endRecords(offset: Int, size: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    if offset >= ZipFormat.in64 || members.count >= 0xFFFF {
      bytes += ZipFormat.end64
      bytes.append(little: UInt64(44))
      bytes.append(little: UInt16(45))
      bytes.append(little: UInt16(45))
      bytes.append(little: UInt64(0))  // two disk numbers
      bytes.append(little: UInt64(members.count))
      bytes.append(little: UInt64(members.count))
      bytes.append(little: UInt64(size))
      bytes.append(little: UInt64(offset))
      bytes += ZipFormat.locator64
      bytes.append(little: UInt32(0))
      bytes.append(little: UInt64(offset + size))
      bytes.append(little: UInt32(1))
    }
    bytes += ZipFormat.end
    bytes.append(little: UInt32(0))  // two disk numbers
    bytes.append(little: UInt16(clamping: members.count))
    bytes.append(little: UInt16(clamping: members.count))
    bytes.append(little: UInt32(clamping: size))
    bytes.append(little: UInt32(clamping: offset))
    bytes.append(little: UInt16(0))  // comment
    return bytes
  }

  private struct Entry {
    var name: [UInt8]
    var crc: UInt32
    var size: Int
    var offset: Int

    var localHeader: [UInt8] {
      let is64 = size >= ZipFormat.in64
      var extra: [UInt8] = []
      if is64 { extra = extra64([size, size]) }
      return ZipFormat.localHeader + common(is64: is64, extra: extra.count) + name + extra
    }

    var centralHeader: [UInt8] {
      let large = (size >= ZipFormat.in64 ? [size, size] : []) + (offset >= ZipFormat.in64 ? [offset] : [])
      let extra = large.isEmpty ? [] : extra64(large)
      var bytes = ZipFormat.centralHeader
      bytes.append(little: UInt16(3 << 8 | (large.isEmpty ? 20 : 45)))  // made on Unix
      bytes += common(is64: !large.isEmpty, extra: extra.count)
      bytes.append(little: UInt32(0))  // comment, disk
      bytes.append(little: UInt16(0))  // internal attributes
      bytes.append(little: UInt32(0o600 << 16))  // what Python's zipfile writes, too
      bytes.append(little: UInt32(clamping: offset))
      return bytes + name + extra
    }

    /// From "version needed" to "length of the extra field".
    private func common(is64: Bool, extra: Int) -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.append(little: UInt16(is64 ? 45 : 20))
      bytes.append(little: UInt16(name.allSatisfy { $0 < 128 } ? 0 : 1 << 11))  // UTF-8
      bytes.append(little: UInt16(0))  // stored
      bytes.append(little: ZipFormat.time)
      bytes.append(little: ZipFormat.date)
      bytes.append(little: crc)
      bytes.append(little: UInt32(clamping: size))
      bytes.append(little: UInt32(clamping: size))
      bytes.append(little: UInt16(name.count))
      bytes.append(little: UInt16(extra))
      return bytes
    }

    private func extra64(_ numbers: [Int]) -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.append(little: UInt16(ZipFormat.extra64))
      bytes.append(little: UInt16(8 * numbers.count))
      for number in numbers { bytes.append(little: UInt64(number)) }
      return bytes
    }
  }
}
