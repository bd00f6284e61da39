/// A help page, laid out as manual pages are: derived from what commands declare.
struct HelpPage: CustomStringConvertible {
  private static let width = 80
  private static let margin = 7
  private static let inset = 14
  private(set) var description = ""

  /// The page of one command.
  init(_ invocation: Invocation) {
    let command = invocation.command
    let type = Swift.type(of: command)
    let operands = invocation.positionalParameters
    heading("NAME", "\(CommandLineTool.name) \(type.name) - \(type.abstract)")
    let synopsis = operands.map { operand in
      let name = operand.title + (operand.takesMany ? "…" : "")
      return operand.isRequired ? name : "[\(name)]"
    }
    heading("SYNOPSIS", ([CommandLineTool.name, type.name, "[OPTION…]"] + synopsis).joined(separator: " "))
    title("DESCRIPTION")
    paragraphs(type.discussion)
    if !operands.isEmpty {
      title("OPERANDS")
      for operand in operands { entry(operand.title, Self.text(of: operand)) }
    }
    for group in invocation.optionGroups {
      title(Swift.type(of: group).title.uppercased())
      for parameter in group.parameters {
        guard let parameter = parameter as? any NamedParameter else { continue }
        let value = parameter.placeholder.map { " \($0)" } ?? ""
        entry(parameter.spellings.reversed().joined(separator: ", ") + value, Self.text(of: parameter))
      }
    }
    examples(type.examples)
    exitCodes(ExitCode.common + type.exitCodes)
    let others = CommandLineTool.commands.map { $0.name }.filter { $0 != type.name }
    if !others.isEmpty {
      heading("SEE ALSO", others.map { "\(CommandLineTool.name) \($0) --help" }.joined(separator: ", "))
    }
  }

  /// The page of the whole program.
  init(commands: [any Command.Type], abstract: String, discussion: [String], examples: [Example]) {
    let name = CommandLineTool.name
    heading("NAME", "\(name) - \(abstract)")
    heading("SYNOPSIS", "\(name) COMMAND [ARGUMENT…]")
    title("DESCRIPTION")
    paragraphs(discussion)
    title("COMMANDS")
    for command in commands { entry(command.name, Self.sentence(command.abstract)) }
    entry("help [COMMAND]", "Print this page, or that of a command; the same as COMMAND --help.")
    self.examples(examples)
    exitCodes(ExitCode.common)
  }

  // MARK: Words

  /// What a parameter does, its choices and its default.
  private static func text(of parameter: any Parameter) -> String {
    var text = sentence(parameter.help)
    let choices = parameter.choices
    if !choices.isEmpty { text += " One of: \(choices.joined(separator: ", "))." }
    if !parameter.defaultArgument.isEmpty { text += " Default: \(parameter.defaultArgument)." }
    return text
  }

  private static func sentence(_ text: String) -> String {
    text.prefix(1).uppercased() + text.dropFirst() + (text.hasSuffix(".") ? "" : ".")
  }

  // MARK: Layout

  private mutating func title(_ text: String) {
    description += (description.isEmpty ? "" : "\n") + text + "\n"
  }

  private mutating func heading(_ name: String, _ text: String) {
    title(name)
    add(text, indentation: Self.margin)
  }

  private mutating func paragraphs(_ texts: [String]) {
    for (position, text) in texts.enumerated() {
      if position > 0 { description += "\n" }
      add(text, indentation: Self.margin)
    }
  }

  private mutating func entry(_ name: String, _ text: String) {
    description += Self.spaces(Self.margin) + name + "\n"
    add(text, indentation: Self.inset)
  }

  private mutating func examples(_ examples: [Example]) {
    title("EXAMPLES")
    for example in examples { entry(example.line, Self.sentence(example.meaning)) }
  }

  private mutating func exitCodes(_ codes: [ExitCode]) {
    title("EXIT STATUS")
    for code in codes {
      let number = String(code.value)
      let gap = Self.spaces(Self.inset - Self.margin - number.count)
      description += Self.spaces(Self.margin) + number + gap + Self.sentence(code.meaning) + "\n"
    }
  }

  private mutating func add(_ text: String, indentation: Int) {
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, indentation + line.count + 1 + word.count > Self.width {
        description += Self.spaces(indentation) + line + "\n"
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    description += Self.spaces(indentation) + line + "\n"
  }

  private static func spaces(_ count: Int) -> String { String(repeating: " ", count: max(count, 0)) }
}
