import Backprop

/// Arguments that can't be: the command says what is wrong and does nothing.
struct UsageError: Error, CustomStringConvertible, Equatable {
  let description: String

  init(_ description: String) { self.description = description }
}

/// What the command couldn't do, where nothing further down has words for it.
struct CommandError: Error, CustomStringConvertible, Equatable {
  let description: String

  init(_ description: String) { self.description = description }
}

enum Suggestion {
  /// What somebody who typed `text` may have meant: the only choice that begins so, or the nearest by spelling.
  static func nearest(to text: String, among choices: [String]) -> String? {
    let beginnings = text.count > 1 ? choices.filter { $0.hasPrefix(text) } : []
    return beginnings.count == 1 ? beginnings[0] : nearestName(to: text, among: choices)
  }
}
