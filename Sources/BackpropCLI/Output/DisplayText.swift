/// Text from files on its way to a terminal.
enum DisplayText {
  /// Without control characters, which could move the cursor or worse: `\u{1B}` becomes `\u{1B}` spelled out.
  static func oneLine(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      let isControl = scalar.properties.generalCategory == .control
      result += isControl ? scalar.escaped(asASCII: false) : String(scalar)
    }
    return result
  }
}
