import Foundation
import Synchronization

/// Standard output, written at once: a line is there when the step that it tells of is over.
enum StandardOutput {
  private static let failure = Mutex<Int32?>(nil)

  static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Writes all of `text`. What goes wrong is kept for ``check()``: a full disk under the log is no reason to lose the
  /// training.
  static func write(_ text: String) {
    if failure.withLock({ $0 }) != nil { return }
    if let code = write(text, to: STDOUT_FILENO) { failure.withLock { $0 = code } }
  }

  static func writeLine(_ text: String) { write(text + "\n") }

  /// - Throws: ``CommandError`` when something could not be written.
  static func check() throws {
    guard let code = failure.withLock({ $0 }) else { return }
    throw CommandError("standard output: \(String(cString: strerror(code)))")
  }

  /// The error number of what failed, or nil.
  fileprivate static func write(_ text: String, to descriptor: Int32) -> Int32? {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      if count < 0 { return errno }
      bytes = bytes.dropFirst(count)
    }
    return nil
  }
}

enum StandardError {
  static func writeLine(_ text: String) { _ = StandardOutput.write(text + "\n", to: STDERR_FILENO) }
}
