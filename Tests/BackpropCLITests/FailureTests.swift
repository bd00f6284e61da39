import Foundation
import Testing

@testable import BackpropCLI

/// What goes wrong ends within seconds, with one message on standard error and nothing else.
@Suite("What bad input gets", .serialized) struct FailureTests {
  struct Case: CustomTestStringConvertible {
    var arguments: [String]
    var input = ""
    var message: String
    var status: Int32 = 1
    var testDescription: String { arguments.joined(separator: " ") }
  }

  static let cases: [Case] = [
    Case(
      arguments: [],
      message: "expected a command: \(CommandLineTool.commandNames.joined(separator: ", "))\n"
        + "Try 'backprop --help'.", status: 2),
    Case(
      arguments: ["trian"], message: "unknown command 'trian'; did you mean 'train'?\nTry 'backprop --help'.",
      status: 2),
    Case(
      arguments: ["--hepl"],
      message: "unknown option '--hepl'; did you mean '--help'?\nTry 'backprop --help'.",
      status: 2),
    Case(
      arguments: ["train", "--epoch", "1"],
      message: "unknown option '--epoch'; did you mean '--epochs'?\nTry 'backprop train --help'.", status: 2),
    Case(
      arguments: ["train", "--data", "no.csv"],
      message: "no.csv: expected a readable file, found No such file or directory"),
    Case(
      arguments: ["train", "--data", "."], message: ".: expected a folder for each class, found no folders"),
    Case(
      arguments: ["train", "--image-size", "0x5"],
      message: "--image-size: expected a height and a width from 1 to 4096, as 64x64, got '0x5'\n"
        + "Try 'backprop train --help'.", status: 2),
    Case(
      arguments: ["train", "--start", "no.keras"],
      message: "no.keras: expected a readable file, found No such file or directory"),
    Case(
      arguments: ["train", "--start", "no.keras", "--hidden", "8"],
      message: "--hidden describes a new network; --start brings its own\nTry 'backprop train --help'.",
      status: 2),
    Case(
      arguments: ["train", "--data", "-"],
      message: "standard input: expected rows of numbers, found an empty file"),
    Case(
      arguments: ["train", "--data", "-"], input: "1,2,0\n3,1\n",
      message: "standard input: line 2: expected 3 fields as in line 1, found 2"),
    Case(
      arguments: ["train", "--data", "-"], input: "a,b,c\n1,2,0\n3,x,1\n",
      message: "standard input: line 3, column 2: expected a number for 'b', found 'x'"),
    // The first line is taken for a header, as it is no row of numbers.
    Case(
      arguments: ["train", "--data", "-"], input: "1;2;0\n3;4;1\n",
      message:
        "standard input: line 2, column 1: expected a number for '1;2;0', found '3;4;1'; try delimiter \";\""),
    Case(
      arguments: ["train", "--data", "-"], input: "1,nan,0\n3,4,1\n",
      message: "standard input: the inputs hold nan in row 0; leave the row out or replace the value"),
    Case(
      arguments: ["train", "--data", "-", "--label", "quality"], input: "a,b\n1,2\n",
      message: "standard input: expected a label column named 'quality', found a, b"),
    Case(
      arguments: ["train", "--data", "-", "--task", "classification"], input: "1,0.5\n2,1\n",
      message: "standard input: expected labels that are class numbers (0, 1, …) for --task classification"),
    Case(
      arguments: ["train", "--data", "-", "--validation-split", "0.1"], input: "1,0\n2,1\n",
      message: "standard input: --validation-split 0.1 of 2 rows leaves one part empty"),
    Case(
      arguments: ["train", "--data", "-"], input: "\0\0\u{8}\u{1}\0\0\0\u{9}abc",
      message: "standard input is an IDX file without labels; give the file that holds them with --labels"),
    Case(
      arguments: ["train", "--data", "-", "--labels", "l.idx"], input: "\0\0\u{8}\u{1}\0\0\0\u{9}abc",
      message: "standard input: offset 8: expected 9 bytes for [9] uint8 (17 in all), found at most 3"),
    Case(
      arguments: ["train", "--data", "-", "--labels", "l.idx"], input: "1,2\n",
      message: "standard input is no IDX file; --labels goes with those, --label with CSV"),
    Case(
      arguments: ["train", "--patience", "2", "--data", "-"], input: "1,0\n2,1\n",
      message: "--patience watches rows that are kept apart; give --validation-split above 0"),
  ]

  @Test("one message, and the exit code", arguments: cases) func refusal(failure: Case) throws {
    let result = try backprop(failure.arguments, input: failure.input)
    #expect(result.status == failure.status)
    #expect(result.errors == "backprop: error: \(failure.message)\n")
    #expect(result.output == "")
  }

  @Test("a network that doesn't fit in memory") func memory() throws {
    let result = try backprop(["train", "--hidden", "1000000,1000000"])
    #expect(result.status == 1)
    #expect(result.output == "")
    #expect(
      result.errors.hasPrefix(
        "backprop: error: --hidden 1000000,1000000: 1e+12 parameters take 16001 GB to train, "))
    #expect(result.errors.hasSuffix(" GB; choose fewer units\n"))
  }

  @Test("MNIST that isn't there: what fetches it") func missingMNIST() throws {
    let folder = try TemporaryFolder()
    let result = try backprop(["train", "--data", "mnist"], environment: ["BACKPROP_DATA": folder.url.path])
    #expect(result.status == 1)
    #expect(result.errors.contains("fetch it with: scripts/fetch-data mnist"))
    #expect(result.errors.split(separator: "\n").count == 1)
  }

  @Test("a loss that is no number: the step and the layer") func lossNotFinite() throws {
    let result = try backprop(
      ["train", "--data", "-", "--scale", "1e38", "--optimizer", "sgd", "--log", "quiet"],
      input: (0..<20).map { "\($0),\(20 - $0),\($0 % 2)\n" }.joined())
    #expect(result.status == 1)
    #expect(result.output == "")
    #expect(result.errors.hasPrefix("backprop: error: the loss is "))
    #expect(result.errors.contains("sequential/"))
    #expect(result.errors.contains("training stopped before this step's update"))
    #expect(result.errors.split(separator: "\n").count == 1)
  }

  @Test("a full disk under standard output is an error", .enabled(if: access("/dev/full", W_OK) == 0))
  func fullDisk() throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Program.path)
    process.arguments = ["train", "--epochs", "1"]
    let errors = Pipe()
    process.standardOutput = FileHandle(forWritingAtPath: "/dev/full")
    process.standardError = errors
    try process.run()
    process.waitUntilExit()
    let message = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(process.terminationStatus == 1)
    #expect(message == "backprop: error: standard output: No space left on device\n")
  }
}
