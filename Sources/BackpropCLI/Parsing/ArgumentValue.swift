/// What an option's text can be read as.
protocol ArgumentValue: Sendable {
  /// What a message says was expected: "a whole number".
  static var expected: String { get }
  /// All there is to choose from, where that can be listed.
  static var choices: [String] { get }
  /// Words that a misspelt value is compared with.
  static var words: [String] { get }
  /// nil where `text` isn't one.
  init?(argument text: String)
  /// As a user would type it; empty where there is no value.
  var argument: String { get }
}

extension ArgumentValue {
  static var expected: String { "one of \(choices.joined(separator: ", "))" }
  static var choices: [String] { [] }
  static var words: [String] { choices }
}

/// Enumerations of words: the cases are the choices.
extension ArgumentValue where Self: RawRepresentable & CaseIterable, RawValue == String {
  static var choices: [String] { allCases.map(\.rawValue) }
  init?(argument text: String) { self.init(rawValue: text) }
  var argument: String { rawValue }
}

extension String: ArgumentValue {
  static var expected: String { "text" }
  init?(argument text: String) {
    if text.isEmpty { return nil }
    self = text
  }
  var argument: String { self }
}

extension Int: ArgumentValue {
  static var expected: String { "a whole number" }
  init?(argument text: String) { self.init(text) }
  var argument: String { String(self) }
}

extension Double: ArgumentValue {
  static var expected: String { "a number" }
  init?(argument text: String) {
    guard let value = Double(text), value.isFinite else { return nil }
    self = value
  }
  var argument: String { self == rounded() && abs(self) < 1e15 ? String(Int(self)) : String(self) }
}

extension Optional: ArgumentValue where Wrapped: ArgumentValue {
  static var expected: String { Wrapped.expected }
  static var choices: [String] { Wrapped.choices }
  static var words: [String] { Wrapped.words }
  init?(argument text: String) {
    guard let value = Wrapped(argument: text) else { return nil }
    self = .some(value)
  }
  var argument: String { self?.argument ?? "" }
}

/// What a value must fulfil besides being one, with the words for it.
struct Condition<Value: ArgumentValue>: Sendable {
  let expected: String
  let holds: @Sendable (Value) -> Bool

  static var any: Condition { Condition(expected: Value.expected) { _ in true } }
}

extension Condition<Int> {
  static let positive = Condition(expected: "a whole number of at least 1") { $0 >= 1 }
  /// With room to add to them.
  static let rows = Condition(expected: "a whole number from 1 to 1000000000") {
    (1...1_000_000_000).contains($0)
  }
}

extension Condition<Int?> {
  static let positive = Condition(expected: Condition<Int>.positive.expected) { $0 ?? 1 >= 1 }
}

extension Condition<Double> {
  static let share = Condition(expected: "a number from 0 up to, but not including, 1") {
    (0..<1).contains($0)
  }
}

extension Condition<Double?> {
  static let positive = Condition(expected: "a number above 0") { $0 ?? 1 > 0 }
  static let share = Condition(expected: Condition<Double>.share.expected) { (0..<1).contains($0 ?? 0) }
}
