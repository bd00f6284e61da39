import Backprop

/// A shell that words can be completed in.
enum Shell: String, CaseIterable, ArgumentValue {
  case bash, zsh
}

/// `backprop completions`
struct CompletionsCommand: Command {
  static let name = "completions"
  static let abstract = "print what makes a shell complete commands and options"
  static let discussion = [
    """
    Prints a script for the shell to read: commands, options, and the choices of options that have some are then \
    completed by the tab key, and file names everywhere else.
    """
  ]
  static let examples = [
    Example("backprop completions bash > completions.bash", "for bash; read it from ~/.bashrc with source"),
    Example(
      "backprop completions zsh > ~/.zfunc/_backprop", "for zsh, with ~/.zfunc in fpath before compinit"),
  ]

  @Operand("SHELL", "the shell") var shell: Shell

  func run() throws -> ExitCode {
    switch shell {
    case .bash: StandardOutput.write(Self.bash)
    case .zsh: StandardOutput.write("#compdef \(CommandLineTool.name)\n" + Self.zsh)
    }
    return .success
  }

  /// A command's options, and for those with choices the choices.
  private static func parameters(_ type: any Command.Type) -> [any NamedParameter] {
    (try? Invocation(type, ["--help"]).namedParameters) ?? []
  }

  private static var bash: String {
    let name = CommandLineTool.name
    var cases = ""
    var choices = ""
    for type in CommandLineTool.commands {
      let parameters = parameters(type)
      let words = parameters.flatMap(\.spellings).joined(separator: " ")
      cases += "    \(type.name)) options='\(words)' ;;\n"
      for parameter in parameters where !parameter.choices.isEmpty {
        choices +=
          "    \(type.name):\(parameter.title)) values='\(parameter.choices.joined(separator: " "))' ;;\n"
      }
    }
    return """
      _\(name)() {
        local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} options='' values=''
        if [ "$COMP_CWORD" = 1 ]; then
          COMPREPLY=($(compgen -W '\((CommandLineTool.commandNames + ["help", "--help"]).joined(separator: " "))' -- "$word"))
          return
        fi
        case $command in
          help) COMPREPLY=($(compgen -W '\(CommandLineTool.commandNames.joined(separator: " "))' -- "$word")); return ;;
      \(cases)  esac
        case $command:$before in
      \(choices)  esac
        if [ -n "$values" ]; then
          COMPREPLY=($(compgen -W "$values" -- "$word"))
        elif [ "${word:0:1}" = - ]; then
          COMPREPLY=($(compgen -W "$options" -- "$word"))
        else
          COMPREPLY=($(compgen -f -- "$word"))
        fi
      }
      complete -o filenames -F _\(name) \(name)

      """
  }

  private static var zsh: String {
    func quoted(_ text: String) -> String {
      text.replacing("\\", with: "\\\\").replacing("'", with: "'\\''").replacing("[", with: "\\[")
        .replacing("]", with: "\\]").replacing(":", with: "\\:")
    }
    let name = CommandLineTool.name
    var cases = ""
    for type in CommandLineTool.commands {
      var arguments: [String] = []
      for parameter in parameters(type) {
        for spelling in parameter.spellings {
          var argument = "\(spelling)[\(quoted(parameter.help))]"
          if let placeholder = parameter.placeholder {
            let values =
              parameter.choices.isEmpty ? "_files" : "(\(parameter.choices.joined(separator: " ")))"
            argument += ":\(quoted(placeholder)):\(values)"
          }
          arguments.append("'\(argument)'")
        }
      }
      cases += "    \(type.name)) _arguments \(arguments.joined(separator: " ")) '*:file:_files' ;;\n"
    }
    let commands = CommandLineTool.commands.map { "'\($0.name):\(quoted($0.abstract))'" }.joined(
      separator: " ")
    return """
      _\(name)() {
        local -a commands=(\(commands))
        if (( CURRENT == 2 )); then _describe command commands; return; fi
        local command=$words[2]
        shift words; (( CURRENT-- ))
        case $command in
      \(cases)  esac
      }
      if [ "$funcstack[1]" = _\(name) ]; then _\(name) "$@"; else compdef _\(name) \(name); fi

      """
  }
}
