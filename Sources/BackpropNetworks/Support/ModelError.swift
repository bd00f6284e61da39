import BackpropTensors

/// What building, compiling, training or asking a model says when it was given something that doesn't fit: the thing,
/// what was expected, what came and the way out.
public struct ModelError: Error, CustomStringConvertible, Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    /// Inputs, labels or weights of a shape that a layer or a loss doesn't take.
    case shape
    /// An argument outside its range.
    case argument
    /// No optimizer, loss, metric, activation or layer has this name.
    case unknownName
    /// Data that can't be trained on: none of it, NaN in it, labels outside the classes.
    case data
    /// A call that comes too early, such as `fit` before `compile`.
    case order
  }

  public let kind: Kind
  /// The layer or weight it is about, as `sequential/dense`.
  public let path: String?
  /// The sentence without the path.
  public let message: String

  public init(_ kind: Kind, at path: String? = nil, _ message: String) {
    self.kind = kind
    self.path = path
    self.message = message
  }

  public var description: String { path.map { "\($0): \(message)" } ?? message }
}

extension ModelError {
  /// Names what nobody has, with the nearest name that somebody does.
  static func unknown(_ what: String, _ name: String, among names: [String]) -> ModelError {
    let wayOut =
      nearestName(to: name, among: names).map { "did you mean '\($0)'?" }
      ?? "there are: \(names.sorted().joined(separator: ", "))"
    return ModelError(.unknownName, "unknown \(what) '\(name)'; \(wayOut)")
  }
}

/// The name nearest to one that nobody has, where one is near enough to have been meant.
package func nearestName(to name: String, among names: [String]) -> String? {
  let (length, wanted) = (name.count, name.lowercased())
  let most = max(2, length / 3)
  // Lengths that differ by more need more insertions than that.
  let near = names.lazy.filter { abs($0.count - length) <= most }
    .map { ($0, editDistance($0.lowercased(), wanted)) }.min { $0.1 < $1.1 }
  guard let near, near.1 <= most else { return nil }
  return near.0
}

/// The fewest insertions, deletions, replacements and exchanges of neighbours that make one string the other.
func editDistance(_ a: String, _ b: String) -> Int {
  let (a, b) = (Array(a), Array(b))
  var rows = [Array(0...b.count)]
  for i in 0..<a.count {
    var row = [i + 1]
    for j in 0..<b.count {
      var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
      row.append(best)
    }
    rows.append(row)
  }
  return rows[a.count][b.count]
}
