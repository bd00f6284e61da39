#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Bytes that come in order, so that a reader can look at the header before it takes memory for the rest.
package protocol ByteSource: AnyObject {
  /// What messages call this source: a path, mostly.
  var name: String { get }
  /// No more bytes than this can still come. A bound to check declared sizes against, not a promise.
  var mostRemaining: Int { get }
  /// Fills the front of `buffer`; returns how much, 0 at the end and only there.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

extension ByteSource {
  /// Fills all of `buffer` unless the source ends first; returns how much it filled.
  func readFully(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var filled = 0
    while filled < buffer.count {
      let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
      if count == 0 { break }
      filled += count
    }
    return filled
  }
}

/// Bytes that lie in memory.
final class MemorySource: ByteSource {
  let name: String
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8], name: String) {
    self.bytes = bytes
    self.name = name
  }

  var mostRemaining: Int { bytes.count - position }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(buffer.count, bytes.count - position)
    buffer.copyBytes(from: bytes[position..<position + count])
    position += count
    return count
  }
}

/// A regular file, read with `read`: a mapped file that somebody truncates would kill the process.
package final class FileSource: ByteSource {
  package let name: String
  package let size: Int
  private let descriptor: Int32
  private var position = 0

  /// - Throws: `DataError` when the file can't be opened or isn't a regular file.
  package init(_ path: String) throws {
    name = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw DataError(file: path, place: .wholeFile, expected: "a readable file", found: describeErrno(errno))
    }
    var status = stat()
    // The descriptor is closed by deinit, which also runs when an initialiser throws after every property is set.
    let isSeen = fstat(descriptor, &status) == 0
    size = isSeen ? Int(status.st_size) : 0
    guard isSeen else { throw failure(path, "look at it") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "something else"
      throw DataError(file: path, place: .wholeFile, expected: "a regular file", found: kind)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  package var mostRemaining: Int { size - position }

  /// For calls of the system that take the open file.
  func withDescriptor<Result>(_ body: (Int32) throws -> Result) rethrows -> Result { try body(descriptor) }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    // Never past the size seen at the start: what a writer appends meanwhile belongs to the next reader.
    let wanted = min(buffer.count, size - position)
    if wanted == 0 { return 0 }
    while true {
      #if canImport(Darwin)
        let count = Darwin.read(descriptor, buffer.baseAddress, wanted)
      #elseif canImport(Musl)
        let count = Musl.read(descriptor, buffer.baseAddress, wanted)
      #else
        let count = Glibc.read(descriptor, buffer.baseAddress, wanted)
      #endif
      if count >= 0 {
        position += count
        return count
      }
      if errno != EINTR {
        throw DataError(
          file: name, place: .offset(position), expected: "\(wanted) more bytes", found: describeErrno(errno))
      }
    }
  }

  /// Fills `buffer` from `offset` on, whatever `read(into:)` has done.
  ///
  /// - Throws: `DataError` when the file has become shorter since it was opened, or can't be read.
  package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
    var filled = 0
    while filled < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + filled))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw DataError(
          file: name, place: .offset(offset + filled), expected: "\(rest.count) more bytes",
          found: count == 0 ? "the end of the file" : describeErrno(errno))
      }
      filled += count
    }
  }

  /// The whole file.
  package static func bytes(of path: String) throws -> [UInt8] {
    let source = try FileSource(path)
    return try [UInt8](unsafeUninitializedCapacity: source.size) { buffer, count in
      count = try source.readFully(into: UnsafeMutableRawBufferPointer(buffer))
    }
  }
}

/// The C library's words for an error number: "No such file or directory".
package func describeErrno(_ code: Int32) -> String { String(cString: strerror(code)) }
