import Backprop
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
    if let code = StandardStream.output.write(text) { failure.withLock { $0 = code } }
  }

  static func writeLine(_ text: String) { write(text + "\n") }

  /// - Throws: ``CommandError`` when something could not be written.
  static func check() throws {
    guard let code = failure.withLock({ $0 }) else { return }
    throw CommandError("standard output: \(String(cString: strerror(code)))")
  }
}

enum StandardError {
  static func writeLine(_ text: String) { StandardStream.error.writeLine(text) }
}
