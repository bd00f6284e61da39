import Backprop

/// The program: finds the command, runs it, and turns whatever is thrown into a message and an exit code.
enum CommandLineTool {
  static let name = "backprop"
  /// Every command, in the order of the help page.
  static var commands: [any Command.Type] {
    [
      TrainCommand.self, EvaluateCommand.self, PredictCommand.self, SummaryCommand.self, InspectCommand.self,
      ConvertCommand.self, ExplainCommand.self, ProfileCommand.self, DoctorCommand.self,
      CompletionsCommand.self,
    ]
  }

  private static let abstract = "train neural networks and use them"
  private static let discussion = [
    """
    Trains networks of dense layers on tables of numbers and pictures, evaluates them and predicts with them. Everything \
    it does can be done from Swift, too, with the library Backprop.
    """,
    "Each command has a page of its own: \(name) COMMAND --help.",
  ]

  static var page: HelpPage {
    HelpPage(
      commands: commands, abstract: abstract, discussion: discussion,
      examples: commands.compactMap { $0.examples.first })
  }

  /// - Parameter arguments: as the shell gives them, without the program's name.
  /// - Returns: what to end the process with.
  static func main(_ arguments: [String]) -> Int32 {
    var place = name
    do {
      let code = try run(arguments, &place)
      do {
        try StandardOutput.check()
      } catch {
        StandardError.writeLine("\(name): error: \(error)")
        // Who interrupted asks first whether that worked.
        return code == .success ? ExitCode.failure.value : code.value
      }
      return code.value
    } catch let error as UsageError {
      StandardError.writeLine("\(name): error: \(error)\nTry '\(place) --help'.")
      return ExitCode.usage.value
    } catch {
      StandardError.writeLine("\(name): error: \(error)")
      return ExitCode.failure.value
    }
  }

  /// `place` becomes the command whose help page helps.
  private static func run(_ arguments: [String], _ place: inout String) throws -> ExitCode {
    var rest = arguments[...]
    guard let first = rest.popFirst() else {
      throw UsageError("expected a command: \(commandNames.joined(separator: ", "))")
    }
    switch first {
    case "--help", "-h":
      StandardOutput.write(page.description)
      return .success
    case "help":
      guard let subject = rest.popFirst() else {
        StandardOutput.write(page.description)
        return .success
      }
      StandardOutput.write(HelpPage(try Invocation(command(subject), ["--help"])).description)
      return .success
    default: break
    }
    let type = try command(first)
    place = "\(name) \(type.name)"
    let invocation = try Invocation(type, Array(rest))
    if invocation.general.help {
      StandardOutput.write(HelpPage(invocation).description)
      return .success
    }
    return try invocation.command.run()
  }

  static var commandNames: [String] { commands.map { $0.name } }

  private static func command(_ text: String) throws -> any Command.Type {
    if let command = commands.first(where: { $0.name == text }) { return command }
    let isOption = text.hasPrefix("-")
    let near = Suggestion.nearest(
      to: String(text.drop { $0 == "-" }), among: isOption ? ["help"] : commandNames + ["help"])
    let what = isOption ? "unknown option" : "unknown command"
    let wayOut =
      near.map { "did you mean '\(isOption ? "--" : "")\($0)'?" }
      ?? "there are: \(commandNames.joined(separator: ", "))"
    throw UsageError("\(what) '\(text)'; \(wayOut)")
  }
}
