/// What parser and help see of an option or operand. A command declares each once, as a property:
///
/// ```swift
/// @Option("epochs", "N", "how many times to go over all rows", must: .positive) var epochs = 10
/// @Flag("no-shuffle", "take the rows in the same order in every epoch") var noShuffle
/// @Operand("FILE", "the model") var file: String
/// @Operands("INPUT", "the rows") var inputs = [DataSource.standardInput]
/// ```
protocol Parameter: AnyObject {
  /// As messages name it: `--epochs`, `FILE`.
  var title: String { get }
  /// What it does, in words for the help page.
  var help: String { get }
  /// All there is to choose from, where that can be listed.
  var choices: [String] { get }
  /// As a user would type it; empty where there is none.
  var defaultArgument: String { get }
  func read(_ text: String) throws
}

/// Anything that starts with dashes.
protocol NamedParameter: Parameter {
  var name: String { get }
  var short: Character? { get }
  /// Stands for the value on the help page; nil where there is no value to give.
  var placeholder: String? { get }
  var isGiven: Bool { get }
}

extension NamedParameter {
  var title: String { "--\(name)" }
}

/// A value by position.
protocol PositionalParameter: Parameter {
  var isRequired: Bool { get }
  var isGiven: Bool { get }
  /// Whether it is read with each of the values that are left; only the last one may.
  var takesMany: Bool { get }
}

/// `--name VALUE`, with a default.
@propertyWrapper
final class Option<Value: ArgumentValue>: NamedParameter {
  let name: String
  let short: Character?
  let placeholder: String?
  let help: String
  let defaultArgument: String
  private let condition: Condition<Value>
  private(set) var isGiven = false
  var wrappedValue: Value

  init(
    wrappedValue: Value, _ name: String, short: Character? = nil, _ placeholder: String, _ help: String,
    must condition: Condition<Value> = .any
  ) {
    self.name = name
    self.short = short
    self.placeholder = placeholder
    self.help = help
    self.condition = condition
    self.wrappedValue = wrappedValue
    defaultArgument = wrappedValue.argument
  }

  var choices: [String] { Value.choices }

  func read(_ text: String) throws {
    wrappedValue = try value(Value.self, of: text, for: title)
    isGiven = true
    if condition.holds(wrappedValue) { return }
    throw UsageError("\(title): expected \(condition.expected), got '\(text)'")
  }
}

/// `--name`, on or off.
@propertyWrapper
final class Flag: NamedParameter {
  let name: String
  let short: Character?
  let help: String
  var wrappedValue = false

  init(_ name: String, short: Character? = nil, _ help: String) {
    self.name = name
    self.short = short
    self.help = help
  }

  var placeholder: String? { nil }
  var choices: [String] { [] }
  var defaultArgument: String { "" }
  var isGiven: Bool { wrappedValue }
  func read(_ text: String) throws { wrappedValue = true }
}

/// A value by its position among the arguments that aren't options.
@propertyWrapper
final class Operand<Value: ArgumentValue>: PositionalParameter {
  let title: String
  let help: String
  let defaultArgument: String
  private var value: Value?
  let isRequired: Bool
  private(set) var isGiven = false

  /// One that must be given.
  init(_ title: String, _ help: String) {
    self.title = title
    self.help = help
    isRequired = true
    defaultArgument = ""
  }

  /// One that may be left out.
  init(wrappedValue: Value, _ title: String, _ help: String) {
    self.title = title
    self.help = help
    isRequired = false
    defaultArgument = wrappedValue.argument
    value = wrappedValue
  }

  /// The parser has seen to it that there is one.
  var wrappedValue: Value { value! }
  var choices: [String] { Value.choices }
  var takesMany: Bool { false }

  func read(_ text: String) throws {
    value = try BackpropCLI.value(Value.self, of: text, for: title)
    isGiven = true
  }
}

/// All values that are left among the arguments that aren't options; others where there are none.
@propertyWrapper
final class Operands<Value: ArgumentValue>: PositionalParameter {
  let title: String
  let help: String
  let defaultArgument: String
  private(set) var isGiven = false
  private(set) var wrappedValue: [Value]

  init(wrappedValue: [Value], _ title: String, _ help: String) {
    self.title = title
    self.help = help
    self.wrappedValue = wrappedValue
    defaultArgument = wrappedValue.map(\.argument).joined(separator: " ")
  }

  var isRequired: Bool { false }
  var choices: [String] { Value.choices }
  var takesMany: Bool { true }

  func read(_ text: String) throws {
    let value = try value(Value.self, of: text, for: title)
    wrappedValue = isGiven ? wrappedValue + [value] : [value]
    isGiven = true
  }
}

/// `text` as a value, or a message that names what there is to choose from.
private func value<Value: ArgumentValue>(_: Value.Type, of text: String, for title: String) throws -> Value {
  if let value = Value(argument: text) { return value }
  let got = text.isEmpty ? "nothing" : "'\(text)'"
  guard let near = Suggestion.nearest(to: text, among: Value.words) else {
    throw UsageError("\(title): expected \(Value.expected), got \(got)")
  }
  throw UsageError("\(title): unknown value '\(text)'; did you mean '\(near)'?")
}
