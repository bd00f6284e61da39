import BackpropTensors
import Testing

@testable import BackpropData

@Suite("CSV files")
struct CSVTests {
  private func decode(_ text: String, _ options: CSV.Options = .init()) throws -> CSV.Table {
    try CSV.decode(Array(text.utf8), name: "x.csv", options: options)
  }

  @Test("a hand-made file reads as its names and numbers")
  func reads() throws {
    let table = try decode("alcohol,acidity,quality\n12.8,0.31,6\n9,-1e-2,+5\n")
    #expect(table.names == ["alcohol", "acidity", "quality"])
    #expect(table.values.shape == [2, 3])
    #expect(table.values.floats == [12.8, 0.31, 6, 9, -0.01, 5])
  }

  @Test(
    "line ends, a byte-order mark, empty lines, quotes and spaces don't change the numbers",
    arguments: [
      "1,2\n3,4", "1,2\r\n3,4\r\n", "1,2\r3,4\r", "\u{FEFF}1,2\n3,4\n", "\n\n1,2\n\n\n3,4\n\n",
      "\"1\",2\n3,\"4\"\n", " 1 ,\t2\n3,4\n", "1.0,2.\n3e0,.4e1",
    ])
  func variants(text: String) throws {
    let table = try decode(text)
    #expect(table.names.isEmpty)
    #expect(table.values.shape == [2, 2])
    #expect(table.values.floats == [1, 2, 3, 4])
  }

  @Test("quoted names keep delimiters, line breaks and quotes")
  func quotedNames() throws {
    let table = try decode("\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\n1,2,3\n")
    #expect(table.names == ["a,b", "say \"x\"", "two\nlines"])
    #expect(table.values.floats == [1, 2, 3])
  }

  @Test("the header can be stated instead of guessed")
  func header() throws {
    #expect(try decode("1,2\n3,4", .init(header: .present)).names == ["1", "2"])
    #expect(try decode("1,2\n3,4", .init(header: .absent)).values.shape == [2, 2])
    #expect(
      message { _ = try decode("a,b\n1,2", .init(header: .absent)) }
        == "x.csv: line 1, column 1: expected a number, found 'a'")
  }

  @Test("another delimiter", arguments: [";", "\t", "|", " "] as [Character])
  func delimiter(_ delimiter: Character) throws {
    let table = try decode("1\(delimiter)2\n3\(delimiter)4\n", .init(delimiter: delimiter))
    #expect(table.values.floats == [1, 2, 3, 4])
  }

  @Test("the label column comes apart from the others, wherever it is")
  func labels() throws {
    let text = "a,b,c\n1,2,3\n4,5,6\n"
    let cases: [(CSV.Label, inputs: [Float], labels: [Float])] = [
      (.first, [2, 3, 5, 6], [1, 4]), (.last, [1, 2, 4, 5], [3, 6]), (.index(1), [1, 3, 4, 6], [2, 5]),
      (.named("b"), [1, 3, 4, 6], [2, 5]),
    ]
    for (label, inputs, labels) in cases {
      let data = try CSV.decode(Array(text.utf8), label: label)
      #expect(data.inputs.shape == [2, 2])
      #expect(data.inputs.tensor.floats == inputs)
      #expect(data.labels.shape == [2])
      #expect(data.labels.tensor.floats == labels)
    }
  }

  @Test("numbers are those of the standard library, to the bit")
  func numbers() throws {
    var spelled = [
      "0", "-0", "00012", "1.", ".5", "1e3", "1E+3", "1e-45", "3.4028236e38", "1e400", "-1e400", "1e-400",
      "123456789012345678901234567890", "0.1", "0.30000000000000004", "9007199254740993",
      "9007199254740992e-22",
      "900719925474099.25", "1e22", "1e23", "123e-30", "2.2250738585072014e-308", "5e-324", "nan", "NaN",
      "inf",
      "-Infinity", "999", "256", "0.000000000000000000000000000001", "1e99999999999999999999",
    ]
    var state: UInt64 = 1
    for _ in 0..<2000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      spelled.append("\(Double(bitPattern: state & ~(1 << 62) | 1 << 61))")
      spelled.append("\(Double(state >> 11) / Double(1 << (state & 31)))")
    }
    for text in spelled {
      let value = Array(text.utf8).withUnsafeBufferPointer { decimal($0) }
      let expected = try #require(Double(text))
      #expect(value?.bitPattern == expected.bitPattern || (value?.isNaN == true && expected.isNaN), "\(text)")
    }
  }

  @Test(
    "what isn't a decimal number isn't read as one",
    arguments: [
      "", " ", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "1,2", "0x10", "1_000", "--1", "1 2", "nanx", "i",
      "１",
    ])
  func notNumbers(text: String) {
    #expect(Array(text.utf8).withUnsafeBufferPointer { decimal($0) } == nil)
  }

  static let refused: [(text: String, message: String)] = [
    ("", "x.csv: expected rows of numbers, found an empty file"),
    ("\r\n\n", "x.csv: expected rows of numbers, found an empty file"),
    ("a,b\n", "x.csv: line 1: expected rows of numbers after the header, found the end of the file"),
    ("1,2,3\n4,5\n", "x.csv: line 2: expected 3 fields as in line 1, found 2"),
    ("a,b\n\n1,2\n3,4,5,6\n", "x.csv: line 4: expected 2 fields as in line 1, found 4"),
    ("1\n2,3\n", "x.csv: line 2: expected 1 field as in line 1, found 2"),
    ("\"two\nlines\",b\n1,2\n3\n", "x.csv: line 4: expected 2 fields as in line 1, found 1"),
    ("a,b\n1,2\n3,abc\n", "x.csv: line 3, column 2: expected a number for 'b', found 'abc'"),
    ("1,2\n3,\n", "x.csv: line 2, column 2: expected a number, found nothing"),
    ("1,2\n3,\"4\"\"5\"\n", "x.csv: line 2, column 2: expected a number, found '4\"\"5'"),
    ("1,2\n3,\u{1B}[31m\n", "x.csv: line 2, column 2: expected a number, found '\\u{1B}[31m'"),
    (
      "1,2\n3,\(String(repeating: "y", count: 50))\n",
      "x.csv: line 2, column 2: expected a number, found '\(String(repeating: "y", count: 40))…'"
    ),
    ("a;b\n1;2\n", "x.csv: line 2, column 1: expected a number for 'a;b', found '1;2'; try delimiter \";\""),
    ("1,2\n3,\"4\n", "x.csv: line 2, column 2: expected a closing quote, found the end of the file"),
    ("1,2\n\"3\"x,4\n", "x.csv: line 2, column 1: expected a delimiter after the closing quote, found 'x'"),
  ]

  @Test("a refusal names the file, the line, the column and the text", arguments: refused)
  func messages(text: String, expected: String) {
    #expect(message { _ = try decode(text) } == expected)
  }

  @Test("a label column that isn't there is refused with those that are")
  func labelMessages() {
    func refusal(_ text: String, _ label: CSV.Label) -> String {
      message { _ = try CSV.decode(Array(text.utf8), name: "x.csv", label: label) }
    }
    #expect(
      refusal("a,b\n1,2\n", .named("c")) == "x.csv: expected a label column named 'c', found a, b")
    #expect(refusal("1,2\n", .named("c")) == "x.csv: expected a label column named 'c', found no header")
    #expect(
      refusal("a,b\n1,red\n", .last)
        == "x.csv: line 2, column 2: expected a number for 'b', found 'red'; number the classes from 0")
    #expect(refusal("1,2\n", .index(2)) == "x.csv: expected a label column in 0..<2, found 2")
    #expect(refusal("1\n2\n", .first) == "x.csv: expected columns beside the label, found 1 column")
    #expect(
      message { _ = try decode("1,2\n", .init(delimiter: "é")) }
        == "x.csv: expected a delimiter that is one ASCII character other than a quote or line break, found 'é'"
    )
  }

  @Test("every damaged copy loads or is refused with a DataError")
  func damagedCopies() {
    let original = Array("\u{FEFF}\"a\",b\r\n1,\"2\"\n-3.5e1,nan\r\n\"\"\"\",4\n".utf8)
    for copy in damaged(original) {
      for label in [nil, CSV.Label.last] {
        do {
          if let label { _ = try CSV.decode(copy, label: label) } else { _ = try CSV.decode(copy) }
        } catch {
          #expect(error is DataError)
        }
      }
    }
  }

  @Test("random text loads or is refused with a DataError")
  func randomText() {
    let alphabet = Array("019,,\"\n\r.e-+; \u{FEFF}".utf8)
    var state: UInt64 = 7
    for _ in 0..<20_000 {
      var text: [UInt8] = []
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let length = Int(state >> 58)
      for _ in 0..<length {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        text.append(alphabet[Int(state >> 33) % alphabet.count])
      }
      do { _ = try CSV.decode(text) } catch { #expect(error is DataError) }
    }
  }
}
