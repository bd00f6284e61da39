/// What an operation's shape and dtype check says when its inputs don't fit: the operation, what was expected, what
/// came and the way out, in one sentence.
///
/// Calling an operation on such inputs is a programmer's mistake and stops the program with this message; layers and
/// models ask first (``Operation/infer(_:)``) and throw it.
public struct OperationError: Error, CustomStringConvertible, Hashable, Sendable {
  public let description: String

  public init(_ description: String) { self.description = description }
}

/// Stops the program because of a programmer's mistake, with its message and the caller's line.
///
/// `precondition` drops its message in release builds on Linux; `fatalError` keeps it. Every check of this kind in the
/// project goes through here.
public func programmerError(
  _ message: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) -> Never {
  fatalError(message(), file: file, line: line)
}

/// Stops with `message` unless `condition` holds.
@inline(__always)
public func require(
  _ condition: Bool, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) {
  if !condition { programmerError(message(), file: file, line: line) }
}
