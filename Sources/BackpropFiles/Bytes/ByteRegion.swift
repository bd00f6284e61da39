import BackpropData
import BackpropTensors

/// A stretch of bytes that are read where they are needed: of a file, or in memory. Offsets count from its start.
///
/// Every access is checked, so a reader may ask for what a damaged file tells it to: it gets an error with the offset.
struct ByteRegion {
  /// What messages call it: a path, or a path and a member's name.
  let name: String
  let count: Int
  private let backing: Backing
  private let base: Int

  private enum Backing {
    case memory([UInt8])
    case file(FileSource)
    case mapped(MappedFile)
  }

  init(_ bytes: [UInt8], name: String) {
    self.init(name: name, count: bytes.count, backing: .memory(bytes), base: 0)
  }

  /// - Throws: `DataError` when the file can't be opened or isn't a regular file.
  init(path: String) throws {
    let file = try FileSource(path)
    self.init(name: path, count: file.size, backing: .file(file), base: 0)
  }

  /// The same without reading: tensors share the file's pages where they are aligned for them. See ``MappedFile``.
  init(mapping path: String) throws {
    let file = try MappedFile(path)
    self.init(name: path, count: file.bytes.count, backing: .mapped(file), base: 0)
  }

  private init(name: String, count: Int, backing: Backing, base: Int) {
    self.name = name
    self.count = count
    self.backing = backing
    self.base = base
  }

  /// A part of it, which messages call `name`.
  func part(at offset: Int, count: Int, name: String) throws -> ByteRegion {
    try check(offset, count, "\(count) bytes of \(name)")
    return ByteRegion(name: name, count: count, backing: backing, base: base + offset)
  }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
    try check(offset, buffer.count, "\(buffer.count) bytes")
    switch backing {
    case .memory(let bytes): buffer.copyBytes(from: bytes[(base + offset)..<(base + offset + buffer.count)])
    case .file(let file): try file.read(at: base + offset, into: buffer)
    case .mapped(let file):
      let start = base + offset
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + buffer.count]))
    }
  }

  func bytes(at offset: Int, count: Int) throws -> [UInt8] {
    try check(offset, count, "\(count) bytes")
    return try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
      filled = count
    }
  }

  /// Elements that lie at `offset` in row-major order, little-endian: copied, or in place where the file is mapped and
  /// they begin at a multiple of 64 bytes in memory, as kernels expect.
  func tensor(at offset: Int, _ type: TensorType) throws -> Tensor {
    let count = type.byteCount
    try check(offset, count, "\(count) bytes")
    if case .mapped(let file) = backing, count > 0, type.dtype != .bool {
      let start = file.bytes.baseAddress! + base + offset
      if Int(bitPattern: start) % 64 == 0 {
        return Tensor(
          Storage(bytes: start, byteCount: count, owner: file), shape: type.shape, dtype: type.dtype)
      }
    }
    let storage = Storage(byteCount: count)
    let bytes = UnsafeMutableRawBufferPointer(start: storage.bytes, count: count)
    if count > 0 { try read(at: offset, into: bytes) }
    if type.dtype == .bool { normaliseBooleans(bytes) }
    return Tensor(storage, shape: type.shape, dtype: type.dtype)
  }

  /// Hands out all bytes in order, a mebibyte at a time.
  func forEachBlock(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    let size = min(count, 1 << 20)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
    defer { buffer.deallocate() }
    var offset = 0
    while offset < count {
      let block = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(count - offset))
      try read(at: offset, into: block)
      try body(UnsafeRawBufferPointer(block))
      offset += block.count
    }
  }

  func failure(at offset: Int, expected: String, found: String, advice: String? = nil) -> DataError {
    DataError(file: name, place: .offset(offset), expected: expected, found: found, advice: advice)
  }

  private func check(_ offset: Int, _ count: Int, _ what: @autoclosure () -> String) throws {
    guard offset >= 0, count >= 0, offset <= self.count, count <= self.count - offset else {
      throw failure(at: offset, expected: what(), found: "the end at \(self.count)")
    }
  }
}

/// Booleans are 0 or 1, whatever a file holds.
func normaliseBooleans(_ bytes: UnsafeMutableRawBufferPointer) {
  for index in bytes.indices where bytes[index] > 1 { bytes[index] = 1 }
}
