@testable import BackpropFiles
@testable import BackpropNetworks

extension Reader {
  /// Words to put into inputs, which chance doesn't find, in libFuzzer's form: classes and keys from the registry, and
  /// numbers that are rarely thought of.
  var dictionary: String {
    let numbers = [
      "0", "-1", "4294967296", "4611686018427387904", "9223372036854775807", "-9223372036854775808", "1e308",
      "0.5",
    ]
    let values = numbers + ["null", "true", "NaN", "-Infinity", "[]", "{}", "\"\""]
    let words: [String] =
      switch self {
      case .json, .safetensors, .checkpoint: values
      case .npy, .npz: numbers + ["True", "(1,)", "()"]
      case .csv: numbers + ["nan", "inf", "\"\"", "\r\n"]
      case .config, .keras, .legacy: values + Self.classes
      case .zip, .hdf5, .idx, .events, .png, .jpeg: []
      }
    return words.map { "\"\(Self.escaped($0))\"\n" }.joined()
  }

  private static var classes: [String] {
    let keys = LayerRegistry.classes.reduce(into: Set<String>()) { $0.formUnion($1.keys) }
    return LayerRegistry.classes.map { "\"\($0.className)\"" } + keys.sorted().map { ",\"\($0)\":" }
  }

  private static func escaped(_ word: String) -> String {
    word.utf8.reduce(into: "") { text, byte in
      let isPlain = (0x20..<0x7F).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
      let digits = String(byte, radix: 16)
      text += isPlain ? String(Unicode.Scalar(byte)) : "\\x" + (digits.count < 2 ? "0" : "") + digits
    }
  }
}
