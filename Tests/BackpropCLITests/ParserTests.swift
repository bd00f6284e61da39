import Testing

@testable import BackpropCLI

/// What the arguments of `train` become.
private func train(_ arguments: String...) throws -> TrainCommand {
  let invocation = try Invocation(TrainCommand.self, arguments)
  return try #require(invocation.command as? TrainCommand)
}

@Suite("Arguments") struct ParserTests {
  @Test("nothing given: the defaults") func defaults() throws {
    let command = try train()
    #expect(command.data.data == .named(.digits))
    #expect(command.training.epochs == 20)
    #expect(command.training.learningRate == nil)
    #expect(command.network.hidden.units == [64, 64])
    #expect(!command.training.noShuffle)
    #expect(command.log.format == .plain)
  }

  @Test("values after a space and after an equals sign") func values() throws {
    let command = try train("--epochs", "3", "--batch-size=128", "--learning-rate", "1e-4", "--no-shuffle")
    #expect(command.training.epochs == 3)
    #expect(command.training.batchSize == 128)
    #expect(command.training.learningRate == 1e-4)
    #expect(command.training.noShuffle)
  }

  @Test("of an option that is given twice the last counts") func last() throws {
    #expect(try train("--epochs", "3", "--epochs", "4").training.epochs == 4)
  }

  @Test("a negative number is a value") func negative() throws {
    #expect(try train("--seed", "-7").training.seed == -7)
    #expect(try train("--seed=-7").training.seed == -7)
  }

  @Test("a value may hold an equals sign") func equals() throws {
    #expect(try train("--label=a=b").data.label == .name("a=b"))
  }

  @Test("hidden layers") func hidden() throws {
    #expect(try train("--hidden", "512,256,8").network.hidden.units == [512, 256, 8])
    #expect(try train("--hidden", "none").network.hidden.units == [])
  }

  @Test("data: a name, a file, standard input") func data() throws {
    #expect(try train("--data", "mnist").data.data == .named(.mnist))
    #expect(try train("--data", "fashion-mnist").data.data == .named(.fashionMNIST))
    #expect(try train("--data", "./mnist").data.data == .file("./mnist"))
    #expect(try train("--data", "wine.csv").data.data == .file("wine.csv"))
    #expect(try train("--data", "-").data.data == .standardInput)
  }

  @Test("label columns") func labels() throws {
    #expect(try train("--label", "first").data.label == .first)
    #expect(try train("--label", "3").data.label == .number(3))
    #expect(try train("--label", "quality").data.label == .name("quality"))
  }

  @Test("delimiters by name", arguments: [("tab", "\t"), (";", ";"), ("comma", ","), ("space", " ")])
  func delimiter(text: String, character: Character) throws {
    #expect(try train("--delimiter", text).csv.delimiter.character == character)
  }

  @Test("who asks for help needs nothing else", arguments: ["--help", "-h"]) func help(option: String) throws
  {
    #expect(try Invocation(TrainCommand.self, [option]).general.help)
  }

  @Test(
    "an option that is declared is found: each has a name of its own", arguments: CommandLineTool.commandNames
  )
  func names(command: String) throws {
    let type = try #require(CommandLineTool.commands.first { $0.name == command })
    let names = try Invocation(type, ["--help"]).namedParameters.flatMap(\.spellings)
    #expect(names.contains("--help"))
    #expect(Set(names).count == names.count)
  }

  /// Arguments of `train`, and what is said of them.
  static let refusals: [([String], String)] = [
    (["--epoch", "3"], "unknown option '--epoch'; did you mean '--epochs'?"),
    (["--verbos"], "unknown option '--verbos'"),
    (["--valid", "0.1"], "unknown option '--valid'; did you mean '--validation-split'?"),
    (["-e"], "unknown option '-e'"),
    (["--epochs"], "--epochs: expected a value (--epochs N)"),
    (["--epochs", "--seed", "3"], "--epochs: expected a value (--epochs N), found '--seed'"),
    (["--epochs", "0"], "--epochs: expected a whole number of at least 1, got '0'"),
    (["--epochs=-1"], "--epochs: expected a whole number of at least 1, got '-1'"),
    (["--epochs", "ten"], "--epochs: expected a whole number, got 'ten'"),
    (["--epochs", "99999999999999999999"], "--epochs: expected a whole number, got '99999999999999999999'"),
    (["--epochs="], "--epochs: expected a whole number, got nothing"),
    (["--batch-size", "0"], "--batch-size: expected a whole number from 1 to 1000000000, got '0'"),
    (["--learning-rate", "0"], "--learning-rate: expected a number above 0, got '0'"),
    (["--learning-rate", "nan"], "--learning-rate: expected a number, got 'nan'"),
    (
      ["--validation-split", "1"],
      "--validation-split: expected a number from 0 up to, but not including, 1, got '1'"
    ),
    (["--dropout", "-0.1"], "--dropout: expected a number from 0 up to, but not including, 1, got '-0.1'"),
    (["--threads", "0"], "--threads: expected a whole number of at least 1, got '0'"),
    (["--optimizer", "adm"], "--optimizer: unknown value 'adm'; did you mean 'adam'?"),
    (
      ["--optimizer", "x"],
      "--optimizer: expected one of \(OptimizerName.choices.joined(separator: ", ")), got 'x'"
    ),
    (["--activation", "rleu"], "--activation: unknown value 'rleu'; did you mean 'relu'?"),
    (["--log", "jason"], "--log: unknown value 'jason'; did you mean 'json'?"),
    (
      ["--batch-size", "\(Int.max)"],
      "--batch-size: expected a whole number from 1 to 1000000000, got '\(Int.max)'"
    ),
    (["--task", "classify"], "--task: expected one of auto, classification, regression, got 'classify'"),
    (["--log", "xml"], "--log: expected one of plain, json, quiet, got 'xml'"),
    (
      ["--hidden", "64,,8"],
      "--hidden: expected the units of each hidden layer, as 64,64, or none, got '64,,8'"
    ),
    (["--hidden", "0"], "--hidden: expected the units of each hidden layer, as 64,64, or none, got '0'"),
    (["--data", "mnits"], "--data: unknown value 'mnits'; did you mean 'mnist'?"),
    (
      ["--data", "cifar"],
      "--data: expected digits, mnist, fashion-mnist, a file, a folder, or - for standard input, got 'cifar'"
    ),
    (
      ["--label", "0"],
      "--label: expected first, last, none, a column's number or its name in the header, got '0'"
    ),
    (["--label", "none"], "--label: expected a column, got 'none'"),
    (["--labels", "x.idx"], "--labels goes with an IDX file; digits has labels of its own"),
    (["--delimiter", "ab"], "--delimiter: unknown value 'ab'; did you mean 'tab'?"),
    (
      ["--delimiter", "<--->"],
      "--delimiter: expected one character, or comma, tab, semicolon, space, got '<--->'"
    ),
    (["--no-shuffle=yes"], "--no-shuffle takes no value, got 'yes'"),
    (["extra"], "unexpected argument 'extra'"),
    (["--", "--epochs"], "unexpected argument '--epochs'"),
  ]

  @Test("what can't be is refused in one sentence", arguments: refusals)
  func refusal(arguments: [String], message: String) {
    let error = #expect(throws: UsageError.self) { try Invocation(TrainCommand.self, arguments) }
    #expect(error?.description == message)
  }
}

@Suite("JSON") struct JSONTests {
  static let values: [(JSON, String)] = [
    (.null, "null"), (.bool(true), "true"), (.integer(-3), "-3"), (.number(0.1), "0.1"),
    (.number(Double(Float(0.1))), "0.1"), (.number(1e-7), "1e-07"), (.number(.nan), "null"),
    (.number(-.infinity), "null"), (.string("a\"\\\n\u{1}é"), #""a\"\\\n\u0001é""#), (.array([]), "[]"),
    (.object([("b", .integer(1)), ("a", .array([.null, "x"]))]), #"{"b": 1, "a": [null, "x"]}"#),
  ]

  @Test("values and their text", arguments: values.indices) func text(index: Int) {
    #expect(Self.values[index].0.line == Self.values[index].1)
  }
}
