import BackpropNetworks
import Testing

@testable import BackpropFiles

@Suite("JSON")
struct JSONTests {
  static func parse(_ text: String) throws -> ConfigValue {
    try JSONParser.parse(Array(text.utf8), name: "x.json")
  }

  @Test("values of every kind, as Python writes them")
  func values() throws {
    let text =
      #" {"a": [1, -2.5, 1e3, true, false, null, "\u00fc\ud83d\ude00\n\"\\/é"], "b": {}, "c": [], "d": 12345678901234567168} "#
    let expected: ConfigValue = .object([
      "a": .array([
        .integer(1), .number(-2.5), .number(1000), .bool(true), .bool(false), .null, .string("ü😀\n\"\\/é"),
      ]), "b": .object([:]), "c": .array([]), "d": .number(12345678901234567168),
    ])
    #expect(try Self.parse(text) == expected)
    #expect(try Self.parse(String(decoding: JSONWriter.write(expected), as: UTF8.self)) == expected)
    #expect(try Self.parse("Infinity") == .number(.infinity))
    #expect(try Self.parse("[-Infinity]") == .array([.number(-.infinity)]))
    #expect(try Self.parse("NaN").double?.isNaN == true)
    #expect(try Self.parse(#""\ud800x""#) == .string("\u{FFFD}x"))
  }

  @Test("bytes are Python's")
  func writes() {
    let value: ConfigValue = .object(["b": .array([.integer(1), .number(1)]), "a": .string("ü\u{1}\"")])
    #expect(
      String(decoding: JSONWriter.write(value), as: UTF8.self) == #"{"a": "\u00fc\u0001\"", "b": [1, 1.0]}"#)
    #expect(String(decoding: JSONWriter.write(.number(1e-7)), as: UTF8.self) == "1e-07")
  }

  @Test(
    "an error names the offset",
    arguments: [
      ("", "x.json: offset 0: expected a JSON value, found the end"),
      ("[1, 2", "x.json: offset 5: expected ',' or ']', found the end"),
      ("{\"a\" 1}", "x.json: offset 5: expected ':' after the key 'a', found '1}'"),
      ("[1] 2", "x.json: offset 4: expected the end after the value, found '2'"),
      ("\"abc", "x.json: offset 0: expected '\"' at the end of a text, found '\"abc'"),
      ("1-2", "x.json: offset 0: expected a number, found '1-2'"),
      (
        String(repeating: "[", count: 100_000),
        "x.json: offset 200: expected at most 200 levels of brackets, found '[[[[[[[[[[[['"
      ),
    ])
  func errors(_ text: String, _ words: String) {
    #expect(message { _ = try Self.parse(text) } == words)
  }

  @Test("text is UTF-8, before and behind escaped characters", arguments: ["\\n", "", "ü\\t"])
  func textThatIsNone(_ before: String) {
    let bytes = Array("[\"\(before)".utf8) + [0xC3] + Array("x\"]".utf8)
    let words = message { _ = try JSONParser.parse(bytes, name: "x.json") }
    #expect(words.hasPrefix("x.json: offset 1: expected text in UTF-8"))
  }

  @Test("no damage makes the parser trap")
  func damage() {
    forEachDamaged(Array(#"{"a": [1, -2.5e3, "\u00fc\ud83d\ude00ü", true], "b": null}"#.utf8)) {
      _ = try? JSONParser.parse($0, name: "damaged")
    }
  }
}
