import Foundation
import Testing

@testable import BackpropCLI

@Suite("backprop train", .serialized) struct TrainTests {
  @Test("alone it learns the embedded digits") func digits() throws {
    let result = try backprop(["train"])
    #expect(result.status == 0)
    #expect(result.errors == "")
    #expect(result.lines[0] == "digits: 1437 rows to train on, 360 to test with")
    // A pipe or file gets a line an epoch and no control characters.
    #expect(result.lines.filter { $0.hasPrefix("Epoch ") }.count == 20)
    #expect(!result.output.contains { $0 == "\r" || $0 == "\u{1B}" })
    let accuracy = try #require(result.lines.last?.split(separator: " ").last.flatMap { Double($0) })
    #expect(accuracy > 0.88, "\(result.output)")
  }

  @Test("JSON: an object an epoch, then the result") func json() throws {
    let result = try backprop(["train", "--epochs", "3", "--log", "json"])
    #expect(result.status == 0)
    #expect(result.errors == "")
    let objects = try result.objects()
    #expect(objects.map { $0["event"] as? String } == ["epoch", "epoch", "epoch", "end"])
    for (number, object) in objects.dropLast().enumerated() {
      #expect(object["epoch"] as? Int == number + 1)
      #expect(object["steps"] as? Int == 45)
      for name in ["loss", "accuracy", "val_loss", "val_accuracy", "seconds"] {
        #expect(object[name] is NSNumber)
      }
    }
    let losses = objects.dropLast().compactMap { $0["loss"] as? Double }
    #expect(losses == losses.sorted(by: >))
    let end = objects[3]
    #expect(end["data"] as? String == "test")
    #expect(end["accuracy"] as? Double == objects[2]["val_accuracy"] as? Double)
    #expect(end["steps"] as? Int == 135)
    #expect(end["signal"] is NSNull)
  }

  @Test("quiet writes nothing") func quiet() throws {
    let result = try backprop(["train", "--epochs", "1", "--log", "quiet"])
    #expect(result.status == 0)
    #expect(result.output == "" && result.errors == "")
  }

  @Test("the same seed gives the same numbers, another one others") func seed() throws {
    func numbers(_ seed: String) throws -> [Double] {
      let arguments = ["train", "--epochs", "2", "--dropout", "0.2", "--threads", "1", "--log", "json"]
      return try backprop(arguments + ["--seed", seed]).objects().compactMap { $0["loss"] as? Double }
    }
    let first = try numbers("5")
    #expect(try first == numbers("5"))
    #expect(try first != numbers("6"))
  }

  @Test("options reach the training") func options() throws {
    func losses(_ options: String...) throws -> [Double] {
      try backprop(["train", "--epochs", "1", "--log", "json"] + options).objects().compactMap {
        $0["loss"] as? Double
      }
    }
    let plain = try losses()
    #expect(plain.count == 2)
    let variants = [
      ["--no-shuffle"], ["--learning-rate", "0.01"], ["--optimizer", "sgd"], ["--hidden", "8"],
      ["--activation", "tanh"], ["--dropout", "0.5"], ["--batch-size", "64"], ["--scale", "2"],
      ["--validation-split", "0.5"],
    ]
    for options in variants {
      let changed = try backprop(["train", "--epochs", "1", "--log", "json"] + options).objects()
      #expect(changed.compactMap { $0["loss"] as? Double } != plain, "\(options)")
    }
  }

  @Test("rows kept apart are evaluated after each epoch, the data set's own at the end") func split() throws {
    let result = try backprop(["train", "--epochs", "1", "--validation-split", "0.1"])
    #expect(result.lines[0] == "digits: 1293 rows to train on, 144 for validation, 360 to test with")
    #expect(result.lines.last?.hasPrefix("test: loss ") == true)
  }

  @Test("patience ends training when the loss gets no better") func patience() throws {
    let result = try backprop([
      "train", "--epochs", "500", "--patience", "2", "--learning-rate", "0.02", "--log", "json",
    ])
    #expect(result.status == 0)
    let end = try #require(try result.objects().last)
    #expect(end["stopped_early"] as? Bool == true)
    #expect(try #require(end["epochs"] as? Int) < 500)
  }

  @Test("a CSV file with classes, from a file and from standard input") func csvClasses() throws {
    let folder = try TemporaryFolder()
    // The class is whether x is larger than y.
    let rows = (0..<200).map { row -> String in
      let (x, y) = (row * 37 % 100, row * 61 % 97)
      return "\(Double(x) / 100),\(x > y ? 1 : 0),\(Double(y) / 100)"
    }
    let text = "x,larger,y\n" + rows.joined(separator: "\n") + "\n"
    try folder.write(text, to: "points.csv")
    let arguments = [
      "train", "--label", "larger", "--epochs", "30", "--learning-rate", "0.01", "--log", "json",
    ]
    let result = try backprop(arguments + ["--data", "points.csv"], in: folder)
    #expect(result.errors == "")
    let end = try #require(try result.objects().last)
    #expect(end["data"] as? String == "validation")
    #expect(try #require(end["accuracy"] as? Double) > 0.9)

    let piped = try backprop(arguments + ["--data", "-"], input: text)
    #expect(try piped.objects().last?["loss"] as? Double == end["loss"] as? Double)
  }

  @Test("a CSV file with quantities: regression") func csvRegression() throws {
    let rows = (0..<300).map { row -> String in
      let (x, y) = (Double(row * 37 % 100) / 100, Double(row * 61 % 97) / 97)
      return "\(x);\(y);\(2 * x - y)"
    }
    let result = try backprop(
      ["train", "--data", "-", "--delimiter", "semicolon", "--epochs", "40", "--log", "json"],
      input: rows.joined(separator: "\n"))
    #expect(result.errors == "")
    let end = try #require(try result.objects().last)
    #expect(try #require(end["loss"] as? Double) < 0.01)
    #expect(end["mean_absolute_error"] is NSNumber)
  }

  @Test("IDX files") func idx() throws {
    let folder = try TemporaryFolder()
    // 40 pictures of 2×2, all dark or all bright.
    let pixels = (0..<40).flatMap { [UInt8](repeating: $0 % 2 == 0 ? 10 : 240, count: 4) }
    try folder.write([0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 2] + pixels, to: "images.idx")
    try folder.write([0, 0, 8, 1, 0, 0, 0, 40] + (0..<40).map { UInt8($0 % 2) }, to: "labels.idx")
    let arguments = [
      "train", "--data", "images.idx", "--labels", "labels.idx", "--epochs", "40", "--log", "json",
    ]
    let result = try backprop(arguments, in: folder)
    #expect(result.errors == "")
    #expect(try result.objects().last?["accuracy"] as? Double == 1)
  }
}
