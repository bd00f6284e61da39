/// One subcommand. Its options and operands are its properties, those of its groups included; parsing, help and
/// suggestions derive from them.
protocol Command: ParameterGroup {
  static var name: String { get }
  /// What it does, in half a line.
  static var abstract: String { get }
  /// Paragraphs of the help page.
  static var discussion: [String] { get }
  static var examples: [Example] { get }
  /// Exit codes besides those that every command has.
  static var exitCodes: [ExitCode] { get }
  init()
  /// Refuses options that don't go together.
  func validate() throws
  func run() throws -> ExitCode
}

extension Command {
  static var title: String { "Options" }
  static var exitCodes: [ExitCode] { [] }
  func validate() throws {}
}

/// Options that belong together, under one heading of the help page; commands share them.
protocol ParameterGroup {
  static var title: String { get }
}

extension ParameterGroup {
  /// Options and operands of its own, in the order of the properties.
  var parameters: [any Parameter] {
    Mirror(reflecting: self).children.compactMap { $0.value as? any Parameter }
  }

  /// The groups among its properties.
  var groups: [any ParameterGroup] {
    Mirror(reflecting: self).children.compactMap { $0.value as? any ParameterGroup }
  }
}

/// What every command has.
struct GeneralOptions: ParameterGroup {
  static let title = "General"
  @Flag("help", short: "h", "print this page") var help
}

struct Example {
  let line: String
  let meaning: String

  init(_ line: String, _ meaning: String) {
    self.line = line
    self.meaning = meaning
  }
}

/// What the process ends with.
struct ExitCode: Equatable {
  let value: Int32
  let meaning: String

  static let success = ExitCode(value: 0, meaning: "it did what was asked")
  static let failure = ExitCode(value: 1, meaning: "it couldn't; standard error says why")
  static let usage = ExitCode(value: 2, meaning: "the arguments are wrong; nothing was done")
  static let interrupted = ExitCode(value: 130, meaning: "ended early by an interrupt (Ctrl-C, SIGINT)")
  static let terminated = ExitCode(value: 143, meaning: "ended early by SIGTERM")
  /// Those of every command.
  static let common = [success, failure, usage]
}
