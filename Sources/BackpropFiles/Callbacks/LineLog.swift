import BackpropData

/// A log of one line an epoch. What is written stays: each line is handed to the system at once.
///
/// A resumed run keeps the lines of the epochs before the one that it goes on with, and begins anew behind them.
final class LineLog {
  private let path: String
  private var file: AppendingFile?

  init(_ path: String) { self.path = path }

  /// - Parameter kept: gets the lines that are there; gives those to keep.
  /// - Throws: `DataError` with the path and the reason.
  func open(keeping kept: ([String]) -> [String]) throws {
    var lines: [String] = []
    if try AtomicFile.exists(path) {
      let text = String(decoding: try FileSource.bytes(of: path), as: UTF8.self)
      lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      // What a killed process left behind the last line break is no line.
      if !lines.isEmpty { lines.removeLast() }
    }
    let rest = kept(lines)
    try AtomicFile.write(to: path) { try $0.write(Array(rest.map { $0 + "\n" }.joined().utf8)) }
    file = try AppendingFile(path)
  }

  func write(_ line: String) throws { try file?.append(Array((line + "\n").utf8)) }

  func close() throws {
    try file?.close()
    file = nil
  }
}
