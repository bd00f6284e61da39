#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Standard output and error, written at once.
package enum StandardStream {
  case output, error

  /// Writes all of `text`. `FileHandle` would end the program where that fails; a full disk under a log is no reason to lose
  /// a training.
  ///
  /// - Returns: the error number of what failed, or nil.
  @discardableResult
  package func write(_ text: String) -> Int32? {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { writeBytes(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      if count < 0 { return errno }
      bytes = bytes.dropFirst(count)
    }
    return nil
  }

  package func writeLine(_ text: String) { write(text + "\n") }

  private var descriptor: Int32 { self == .output ? STDOUT_FILENO : STDERR_FILENO }
}

/// The system's `write`, whose name a method has.
private func writeBytes(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}
