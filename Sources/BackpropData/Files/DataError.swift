/// What a reader says of data it can't use, and a writer of a file it can't write: which file, where in it, what should
/// stand there and what does.
///
/// ```swift
/// do { _ = try CSV.load("wine.csv", label: .last) } catch let error as DataError {
///   print(error)  // wine.csv: line 7: expected 12 fields as in line 1, found 11
/// }
/// ```
public struct DataError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A place in a file. Lines and columns count from 1, offsets (in bytes, after decompression) from 0.
  public enum Place: Equatable, Sendable {
    case wholeFile
    /// A part that has a name: a member of an archive, an object of an HDF5 file, a key of a configuration.
    case part(String)
    case offset(Int)
    case line(Int)
    case field(line: Int, column: Int)
  }

  /// The path as it was given, or the name that bytes in memory were given.
  public let file: String
  public let place: Place
  public let expected: String
  public let found: String
  /// The way out, where there is one to name.
  public let advice: String?

  public init(file: String, place: Place, expected: String, found: String, advice: String? = nil) {
    self.file = file
    self.place = place
    self.expected = expected
    self.found = found
    self.advice = advice
  }

  public var description: String {
    let location =
      switch place {
      case .wholeFile: ""
      case .part(let name): "\(name): "
      case .offset(let offset): "offset \(offset): "
      case .line(let line): "line \(line): "
      case .field(let line, let column): "line \(line), column \(column): "
      }
    return "\(file): \(location)expected \(expected), found \(found)" + (advice.map { "; \($0)" } ?? "")
  }
}

/// The first bytes of something unreadable, fit for one line of a message: quoted, control characters as `\u{…}`.
package func excerpt(_ bytes: some Collection<UInt8>) -> String {
  let limit = 40
  let text = String(decoding: bytes.prefix(limit), as: UTF8.self)
  var quoted = "'"
  for scalar in text.unicodeScalars {
    quoted += scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: false) : String(scalar)
  }
  return quoted + (bytes.count > limit ? "…'" : "'")
}
