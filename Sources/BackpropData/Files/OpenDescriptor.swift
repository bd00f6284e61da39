#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A descriptor to write to, closed by its owner.
final class OpenDescriptor {
  private(set) var number: Int32

  init(_ number: Int32) { self.number = number }
  deinit { _ = close() }

  /// Once; the second time there is nothing to close. An interrupted `close` has closed it on Linux.
  func close() -> Int32 {
    defer { number = -1 }
    return number < 0 ? 0 : closeDescriptor(number)
  }

  /// Writes all of `bytes`.
  ///
  /// - Throws: ``DataError`` with `path` and the system's reason.
  func write(_ bytes: UnsafeRawBufferPointer, for path: String) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      // Linux writes no more than 2^31 - 4096 bytes at once, macOS refuses more than 2^31 - 1.
      let part = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      let count = writeBytes(number, part.baseAddress, part.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(path, "write \(rest.count) more bytes") }
      rest = rest.dropFirst(count)
    }
  }
}

/// Calls `body`, which gives what a system call gave, until it wasn't interrupted.
func succeed(_ path: String, _ doing: String, except allowed: Set<Int32> = [], _ body: () -> Int32) throws {
  while body() != 0 {
    if errno == EINTR { continue }
    if allowed.contains(errno) { return }
    throw failure(path, doing)
  }
}

/// What the last system call failed with.
func failure(_ path: String, _ doing: String) -> DataError {
  DataError(file: path, place: .wholeFile, expected: "to \(doing)", found: describeErrno(errno))
}

/// The system's `write` and `close`, whose names methods have.
private func writeBytes(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}

private func closeDescriptor(_ descriptor: Int32) -> Int32 { close(descriptor) }
