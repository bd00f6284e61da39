/// A command with its arguments read.
struct Invocation {
  let command: any Command
  let general = GeneralOptions()

  /// Arguments as the shell gives them, without the names of program and command.
  ///
  /// `--name VALUE`, `--name=VALUE`, `-n VALUE`; `--` ends the options; of an option that is given twice the last counts.
  ///
  /// - Throws: ``UsageError``.
  init(_ type: any Command.Type, _ arguments: [String]) throws {
    command = type.init()
    let named = namedParameters
    var operands: [String] = []
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" {
        operands += rest
        break
      }
      // A dash alone is a value: standard input.
      guard argument.hasPrefix("-"), argument != "-" else {
        operands.append(argument)
        continue
      }
      try Self.read(argument, &rest, named)
    }
    // Who asks for help may leave out what is required.
    if general.help { return }
    try place(operands)
    try command.validate()
  }

  private static func read(
    _ argument: String, _ rest: inout ArraySlice<String>, _ named: [any NamedParameter]
  ) throws {
    let equals = argument.firstIndex(of: "=")
    let title = String(argument[..<(equals ?? argument.endIndex)])
    let attached = equals.map { String(argument[argument.index(after: $0)...]) }
    guard let parameter = named.first(where: { $0.spellings.contains(title) }) else {
      let near = Suggestion.nearest(
        to: String(title.drop { $0 == "-" }), among: named.map(\.name))
      let wayOut = near.map { "; did you mean '--\($0)'?" } ?? ""
      throw UsageError("unknown option '\(title)'\(wayOut)")
    }
    guard let placeholder = parameter.placeholder else {
      if let attached { throw UsageError("\(parameter.title) takes no value, got '\(attached)'") }
      return try parameter.read("")
    }
    if let attached { return try parameter.read(attached) }
    // A forgotten value must not swallow the next option.
    guard let value = rest.first, !value.hasPrefix("--") else {
      let found = rest.first.map { ", found '\($0)'" } ?? ""
      throw UsageError("\(parameter.title): expected a value (\(parameter.title) \(placeholder))\(found)")
    }
    rest.removeFirst()
    try parameter.read(value)
  }

  private func place(_ values: [String]) throws {
    let operands = positionalParameters
    var rest = values[...]
    for operand in operands {
      repeat {
        guard let value = rest.popFirst() else { break }
        try operand.read(value)
      } while operand.takesMany
    }
    if let missing = operands.first(where: { $0.isRequired && !$0.isGiven }) {
      throw UsageError("expected \(missing.title): \(missing.help)")
    }
    if let extra = rest.first { throw UsageError("unexpected argument '\(extra)'") }
  }
}

extension Invocation {
  /// All groups that hold options, the command itself last but for what every command has.
  var optionGroups: [any ParameterGroup] {
    (command.groups + [command, general]).filter { group in
      group.parameters.contains { $0 is any NamedParameter }
    }
  }

  var namedParameters: [any NamedParameter] {
    optionGroups.flatMap(\.parameters).compactMap { $0 as? any NamedParameter }
  }

  var positionalParameters: [any PositionalParameter] {
    command.parameters.compactMap { $0 as? any PositionalParameter }
  }
}

extension NamedParameter {
  /// How it may be written: `--help`, `-h`.
  var spellings: [String] { [title] + (short.map { ["-\($0)"] } ?? []) }
}
