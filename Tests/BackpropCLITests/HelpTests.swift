import Testing

@testable import BackpropCLI

@Suite("Help pages") struct HelpTests {
  private func page(_ name: String) throws -> (invocation: Invocation, text: String) {
    let type = try #require(CommandLineTool.commands.first { $0.name == name })
    let invocation = try Invocation(type, ["--help"])
    return (invocation, HelpPage(invocation).description)
  }

  @Test(
    "every option is there with its placeholder, choices and default", arguments: CommandLineTool.commandNames
  )
  func options(command: String) throws {
    let (invocation, text) = try page(command)
    // Words may be separated by a line break.
    let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    for parameter in invocation.namedParameters {
      #expect(
        words.contains(([parameter.title, parameter.placeholder].compactMap { $0 }).joined(separator: " ")))
      if !parameter.choices.isEmpty {
        #expect(words.contains("One of: \(parameter.choices.joined(separator: ", "))."))
      }
      if !parameter.defaultArgument.isEmpty {
        #expect(words.contains("Default: \(parameter.defaultArgument)."))
      }
    }
  }

  @Test(
    "a manual page's parts, in order, and lines that fit a terminal", arguments: CommandLineTool.commandNames)
  func layout(command: String) throws {
    let text = try page(command).text
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let titles = lines.filter { $0.first.map { $0 != " " } ?? false }.map(String.init)
    #expect(titles.starts(with: ["NAME", "SYNOPSIS", "DESCRIPTION"]))
    #expect(titles.suffix(3) == ["EXAMPLES", "EXIT STATUS", "SEE ALSO"])
    for line in lines { #expect(line.count <= 80, "\(line)") }
    #expect(!text.contains(".."))
  }

  @Test("examples parse", arguments: CommandLineTool.commandNames) func examples(command: String) throws {
    let (invocation, _) = try page(command)
    let examples = type(of: invocation.command).examples
    #expect(!examples.isEmpty)
    for example in examples {
      // What follows a bar belongs to another program.
      let stages = example.line.split(separator: "|").map { $0.split(separator: " ").map(String.init) }
      let words = try #require(stages.first { $0.first == CommandLineTool.name })
      #expect(words[1] == command)
      let arguments = words.dropFirst(2).prefix { $0 != ">" && $0 != "<" }
      #expect(throws: Never.self) { try Invocation(type(of: invocation.command), Array(arguments)) }
    }
  }

  @Test("the program's own page names every command") func overview() {
    let text = CommandLineTool.page.description
    for command in CommandLineTool.commands { #expect(text.contains("\n       \(command.name)\n")) }
    for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
  }
}
