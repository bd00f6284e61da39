import Backprop
import Foundation

/// The data sets that have names.
enum NamedDataSet: String, CaseIterable, ArgumentValue {
  case digits, mnist
  case fashionMNIST = "fashion-mnist"

  func load() throws -> (train: LabelledData, test: LabelledData) {
    switch self {
    case .digits: try Digits.load()
    case .mnist: try MNIST.load()
    case .fashionMNIST: try FashionMNIST.load()
    }
  }

  /// For the help page.
  var meaning: String {
    switch self {
    case .digits: "1,797 handwritten digits of 8x8 pixels, carried by the program"
    case .mnist: "70,000 handwritten digits of 28x28 pixels, fetched by scripts/fetch-data mnist"
    case .fashionMNIST: "70,000 clothes of 28x28 pixels, fetched by scripts/fetch-data fashion-mnist"
    }
  }
}

/// Where rows come from: a named data set, a file, or standard input.
enum DataSource: ArgumentValue, Equatable {
  case named(NamedDataSet)
  case file(String)
  case standardInput

  static var expected: String {
    "\(NamedDataSet.choices.joined(separator: ", ")), a file, a folder, or - for standard input"
  }
  static var words: [String] { NamedDataSet.choices }

  /// A word without a dot or slash that is no file either was meant as a name.
  init?(argument text: String) {
    if let named = NamedDataSet(rawValue: text) {
      self = .named(named)
    } else if text == "-" {
      self = .standardInput
    } else if text.contains(where: { $0 == "." || $0 == "/" }) || access(text, F_OK) == 0 {
      self = .file(text)
    } else {
      return nil
    }
  }

  static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
  }

  var argument: String {
    switch self {
    case .named(let name): name.rawValue
    case .file(let path): path
    case .standardInput: "-"
    }
  }

  /// What messages call it.
  var title: String { self == .standardInput ? "standard input" : argument }
}

/// Which column of a CSV file holds the labels.
enum LabelColumn: ArgumentValue, Equatable {
  case first, last, none
  /// Counts from 1.
  case number(Int)
  case name(String)

  static let expected = "first, last, none, a column's number or its name in the header"

  init?(argument text: String) {
    switch text {
    case "": return nil
    case "first": self = .first
    case "last": self = .last
    case "none": self = .none
    default:
      guard let number = Int(text) else {
        self = .name(text)
        return
      }
      if number < 1 { return nil }
      self = .number(number)
    }
  }

  var argument: String {
    switch self {
    case .first: "first"
    case .last: "last"
    case .none: "none"
    case .number(let number): String(number)
    case .name(let name): name
    }
  }

  /// nil: there is none.
  var column: CSV.Label? {
    switch self {
    case .none: nil
    case .first: .first
    case .last: .last
    case .number(let number): .index(number - 1)
    case .name(let name): .named(name)
    }
  }
}

/// What stands between fields. Those that a shell or a sentence would swallow have names.
struct Delimiter: ArgumentValue, Equatable {
  let character: Character

  private static let named: [(name: String, character: Character)] = [
    ("comma", ","), ("tab", "\t"), ("semicolon", ";"), ("space", " "),
  ]

  static let expected = "one character, or \(words.joined(separator: ", "))"
  static var words: [String] { named.map(\.name) }

  init(_ character: Character) { self.character = character }

  init?(argument text: String) {
    if let named = Self.named.first(where: { $0.name == text }) {
      character = named.character
    } else if text.count == 1, let only = text.first {
      character = only
    } else {
      return nil
    }
  }

  var argument: String { Self.named.first { $0.character == character }?.name ?? String(character) }
}
