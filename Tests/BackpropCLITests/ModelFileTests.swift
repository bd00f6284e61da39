import Foundation
import Testing

@testable import BackpropCLI

@Suite("Saved models", .serialized) struct ModelFileTests {
  /// A folder with a model that was trained on the digits, and what its training reported last.
  private func trained() throws -> (folder: TemporaryFolder, end: [String: Any]) {
    let folder = try TemporaryFolder()
    let arguments = ["train", "--epochs", "5", "--output", "digits.keras", "--log", "json"]
    let end = try #require(try backprop(arguments, in: folder).objects().last)
    #expect(end["output"] as? String == "digits.keras")
    return (folder, end)
  }

  @Test("evaluate says what training said last") func evaluate() throws {
    let (folder, end) = try trained()
    let result = try backprop(["evaluate", "digits.keras", "--log", "json"], in: folder)
    #expect(result.status == 0)
    #expect(result.errors == "")
    let object = try #require(try result.objects().first)
    #expect(result.lines.count == 1)
    #expect(object["accuracy"] as? Double == end["accuracy"] as? Double)
    let (loss, expected) = (try #require(object["loss"] as? Double), try #require(end["loss"] as? Double))
    #expect(abs(loss - expected) < 1e-5 * expected)
    #expect(object["rows"] as? Int == 360)

    let plain = try backprop(["evaluate", "digits.keras"], in: folder)
    #expect(plain.output.hasPrefix("loss 0."))
    #expect(plain.output.hasSuffix(" (360 rows)\n"))
  }

  @Test("predict: a class and its probabilities for each row") func predict() throws {
    let (folder, end) = try trained()
    let result = try backprop(["predict", "digits.keras", "digits", "--log", "json"], in: folder)
    #expect(result.status == 0)
    #expect(result.errors == "")
    let objects = try result.objects()
    #expect(objects.compactMap { $0["row"] as? Int } == Array(0..<360))
    let classes = objects.compactMap { $0["class"] as? Int }
    for (object, predicted) in zip(objects, classes) {
      let probabilities = try #require(object["probabilities"] as? [Double])
      #expect(probabilities.count == 10)
      #expect(abs(probabilities.reduce(0, +) - 1) < 1e-5)
      #expect(probabilities[predicted] == probabilities.max())
    }
    // As many are right as evaluation says.
    let labels = try NamedDataSet.digits.load().test.labels.stored.integers
    let right = zip(classes, labels).filter { $0 == $1 }.count
    #expect(Double(right) / 360 == end["accuracy"] as? Double)

    let plain = try backprop(["predict", "digits.keras", "digits"], in: folder)
    #expect(plain.lines.count == 361)
    #expect(plain.lines[0] == "class\tp0\tp1\tp2\tp3\tp4\tp5\tp6\tp7\tp8\tp9")
    #expect(
      plain.lines.dropFirst().compactMap { $0.split(separator: "\t").first.flatMap { Int($0) } } == classes)
  }

  @Test("the same rows as CSV, from standard input and with a label column") func predictCSV() throws {
    let (folder, _) = try trained()
    let rows = try NamedDataSet.digits.load().test.inputs.tensor.floats
    let lines = (0..<3).map { row in rows[row * 64..<(row + 1) * 64].map { "\($0)" }.joined(separator: ",") }
    let expected = try backprop(["predict", "digits.keras", "digits"], in: folder).lines[0...3]

    let piped = try backprop(
      ["predict", "digits.keras"], input: lines.joined(separator: "\n"), in: folder)
    #expect(piped.errors == "")
    #expect(piped.lines[...] == expected)

    try folder.write(lines.map { "\($0),7\n" }.joined(), to: "rows.csv")
    let labelled = try backprop(["predict", "digits.keras", "rows.csv", "--label", "last"], in: folder)
    #expect(labelled.lines[...] == expected)

    try folder.write(lines[0] + "\n", to: "first.csv")
    let two = try backprop(["predict", "digits.keras", "first.csv", "-"], input: lines[1], in: folder)
    #expect(
      two.lines == [expected[0] + "\tfile", expected[1] + "\tfirst.csv", expected[2] + "\tstandard input"])

    let refused = try backprop(["predict", "digits.keras", "rows.csv"], in: folder)
    #expect(refused.status == 1)
    #expect(
      refused.errors == """
        backprop: error: digits.keras takes samples of shape [64], 64 numbers; the rows of rows.csv have 65; if one \
        column holds labels, name it with --label

        """)
  }

  @Test("a regression gives values") func regression() throws {
    let folder = try TemporaryFolder()
    let rows = (0..<50).map { "\($0),\(50 - $0),\(Double($0) / 2 + 0.25)" }.joined(separator: "\n")
    let arguments = ["train", "--data", "-", "--epochs", "2", "--output", "line.keras"]
    #expect(try backprop(arguments, input: rows, in: folder).status == 0)
    let result = try backprop(["predict", "line.keras", "--log", "json"], input: "1,2\n3,4\n", in: folder)
    #expect(try result.objects().compactMap { ($0["values"] as? [Double])?.count } == [1, 1])
    let evaluated = try backprop(
      ["evaluate", "line.keras", "--data", "-", "--log", "json"], input: rows, in: folder)
    #expect(try evaluated.objects().first?["mean_absolute_error"] is NSNumber)
  }

  @Test("summary") func summary() throws {
    let (folder, _) = try trained()
    let object = try #require(
      try backprop(["summary", "digits.keras", "--log", "json"], in: folder).objects().first)
    #expect(object["parameters"] as? Int == 64 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10)
    let layers = try #require(object["layers"] as? [[String: Any]])
    #expect(layers.compactMap { $0["parameters"] as? Int } == [4160, 4160, 650])
    // The batch is null, which Foundation has as an object of its own.
    let shape = try #require(layers.last?["output_shape"] as? [Any])
    #expect(shape.count == 2 && shape[0] is NSNull && shape[1] as? Int == 10)
    let plain = try backprop(["summary"])
    #expect(plain.output.contains("dense_2 (Dense)"))
    #expect(plain.output.contains("Training step: "))
  }

  @Test("an output that can't be written is found before training starts") func unwritable() throws {
    let folder = try TemporaryFolder()
    let cases = [
      (
        "missing/model.keras",
        "missing/model.keras: expected to open the folder missing, found No such file or directory"
      ),
      (
        "model.h5",
        "model.h5: expected a name that ends in .keras, by which Keras knows such files, found 'model.h5'"
      ),
    ]
    for (path, message) in cases {
      let result = try backprop(["train", "--epochs", "1000000", "--output", path], in: folder)
      #expect(result.status == 1)
      #expect(result.output == "")
      #expect(result.errors == "backprop: error: \(message)\n")
    }
  }

  @Test("the model is saved when the reader of the log was interrupted, too") func pipe() throws {
    let folder = try TemporaryFolder()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Program.path)
    process.arguments = ["train", "--epochs", Program.many, "--output", "digits.keras"]
    process.currentDirectoryURL = folder.url
    let (log, errors) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (log, errors)
    try process.run()
    defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
    try #require(!log.fileHandleForReading.readData(ofLength: 200).isEmpty)
    try log.fileHandleForReading.close()
    kill(process.processIdentifier, SIGINT)
    let message = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 130)
    #expect(message == "backprop: error: standard output: Broken pipe\n")
    #expect(folder.names == ["digits.keras"])
  }

  @Test("what was reached before an interrupt is saved") func interrupted() throws {
    let folder = try TemporaryFolder()
    let arguments = ["train", "--epochs", Program.many, "--log", "json", "--output", "digits.keras"]
    let program = try Program(arguments, in: folder)
    try #require(program.wait { $0.outputSoFar.contains("\"epoch\": 3") })
    program.send(SIGINT)
    #expect(try program.finish().status == 130)
    let result = try backprop(["evaluate", "digits.keras", "--log", "json"], in: folder)
    #expect(try #require(try result.objects().first?["accuracy"] as? Double) > 0.5)
  }

  @Test("what is no model is refused", arguments: ["", "junk", "PK\u{3}\u{4}"]) func foreign(text: String)
    throws
  {
    let folder = try TemporaryFolder()
    try folder.write(text, to: "model.keras")
    for command in ["evaluate", "predict", "summary"] {
      let result = try backprop([command, "model.keras"], in: folder)
      #expect(result.status == 1)
      #expect(result.output == "")
      #expect(result.errors.hasPrefix("backprop: error: model.keras: offset \(text.utf8.count): expected "))
      #expect(result.errors.split(separator: "\n").count == 1)
    }
  }

  @Test("labels outside the classes: the row and the label") func labels() throws {
    let (folder, _) = try trained()
    let row = (0..<64).map { _ in "0.5" }.joined(separator: ",")
    let result = try backprop(
      ["evaluate", "digits.keras", "--data", "-"], input: "\(row),3\n\(row),12\n", in: folder)
    #expect(result.status == 1)
    #expect(
      result.errors
        == "backprop: error: standard input: the label in row 1 is 12, expected a class number in 0..<10\n")
  }
}
