import Backprop
import Foundation
import Testing

@testable import BackpropCLI

@Suite("Images and saved models at the command line", .serialized) struct ImageCommandTests {
  /// A folder with two classes of pictures: light ones with a dark half at the left or at the right.
  private func pictures(in folder: TemporaryFolder) throws {
    for (label, name) in ["left", "right"].enumerated() {
      try FileManager.default.createDirectory(
        at: folder.url.appendingPathComponent("pictures/\(name)"), withIntermediateDirectories: true)
      for number in 0..<10 {
        let pixels = (0..<64).map { pixel -> UInt8 in
          let isDark = (pixel % 8 < 4) == (label == 0)
          return isDark ? UInt8(number * 3) : UInt8(255 - number * 5)
        }
        let picture = try PNG.encode(Tensor(pixels, shape: [8, 8]))
        try folder.write(picture, to: "pictures/\(name)/\(number).png")
      }
    }
  }

  @Test("train on a folder, evaluate, predict pictures") func folder() throws {
    let folder = try TemporaryFolder()
    try pictures(in: folder)
    let train = try backprop(
      [
        "train", "--data", "pictures", "--image-size", "8x8", "--color-mode", "grayscale", "--hidden", "8",
        "--epochs", "60", "--output", "m.keras", "--log", "json",
      ], in: folder)
    #expect(train.errors == "" && train.status == 0)
    let end = try #require(try train.objects().last)
    #expect(end["accuracy"] as? Double == 1)

    // Size and colours are those that the model takes.
    let evaluate = try backprop(["evaluate", "m.keras", "--data", "pictures", "--log", "json"], in: folder)
    let result = try #require(try evaluate.objects().first)
    #expect(result["accuracy"] as? Double == 1)
    #expect(result["rows"] as? Int == 20)

    let one = try backprop(["predict", "m.keras", "pictures/right/3.png", "--log", "json"], in: folder)
    let object = try #require(try one.objects().first)
    #expect(object["class"] as? Int == 1)
    #expect(object["file"] as? String == "pictures/right/3.png")

    let files = ["pictures/right/3.png", "pictures/left/1.png", "pictures/right"]
    let several = try backprop(["predict", "m.keras"] + files + ["--log", "json"], in: folder).objects()
    #expect(several.compactMap { $0["row"] as? Int } == Array(0..<12))
    #expect(several.compactMap { $0["class"] as? Int } == [1, 0] + Array(repeating: 1, count: 10))
    #expect(several.prefix(2).compactMap { $0["file"] as? String } == Array(files.prefix(2)))

    let all = try backprop(["predict", "m.keras", "pictures"], in: folder)
    #expect(all.lines.count == 21)
    #expect(all.lines[0] == "class\tp0\tp1\tfile")
    for line in all.lines.dropFirst() {
      let fields = line.split(separator: "\t")
      #expect(fields[3].hasPrefix(fields[0] == "0" ? "pictures/left/" : "pictures/right/"))
    }
  }

  @Test("a model of Keras' over pictures of any size, whose softmax is in a model inside") func anySize()
    throws
  {
    let folder = try TemporaryFolder()
    try pictures(in: folder)
    let model = TensorCommandTests.fixture("open-nested.keras")
    let plain = try backprop(["predict", model, "pictures"], in: folder)
    #expect(plain.lines.count == 21)
    #expect(plain.lines[0] == "class\tp0\tp1\tp2\tfile")
    let small = try backprop(["predict", model, "pictures", "--image-size", "12x9"], in: folder)
    #expect(small.lines.count == 21)
    #expect(small.lines[1] != plain.lines[1])
  }

  @Test("a damaged picture is named") func damaged() throws {
    let folder = try TemporaryFolder()
    try pictures(in: folder)
    try folder.write([0x89, 0x50, 0x4E, 0x47, 0xD, 0xA, 0x1A, 0xA, 0, 0], to: "pictures/left/x.png")
    let result = try backprop(["train", "--data", "pictures", "--image-size", "4x4"], in: folder)
    #expect(result.status == 1)
    #expect(
      result.errors
        == "backprop: error: pictures/left/x.png: offset 10: expected a sound PNG file, found the end of the file\n"
    )
  }

  @Test("--start goes on from a model, with its optimizer or another") func start() throws {
    let folder = try TemporaryFolder()
    let first = ["train", "--epochs", "2", "--seed", "3", "--log", "json"]
    #expect(try backprop(first + ["--output", "a.keras"], in: folder).status == 0)
    let before = try Model.load(folder.url.appendingPathComponent("a.keras").path)

    let further = try backprop(
      ["train", "--start", "a.keras", "--epochs", "1", "--log", "json", "--output", "b.keras"], in: folder)
    #expect(further.errors == "" && further.status == 0)
    let after = try Model.load(folder.url.appendingPathComponent("b.keras").path)
    let steps = try #require(before.optimizer?.iterations)
    #expect(after.optimizer?.iterations == steps / 2 * 3)
    let losses = try further.objects().compactMap { $0["loss"] as? Double }
    let earlier = try backprop(first, in: folder).objects().compactMap { $0["loss"] as? Double }
    #expect(losses[0] < earlier[0] / 2)

    let other = try backprop(
      ["train", "--start", "a.keras", "--epochs", "1", "--optimizer", "sgd", "--output", "c.keras"],
      in: folder)
    #expect(other.status == 0)
    let changed = try Model.load(folder.url.appendingPathComponent("c.keras").path)
    #expect(changed.optimizer is SGD)

    let wrong = try backprop(
      ["train", "--start", "a.keras", "--data", "-"], input: "1,2,0\n3,4,1\n", in: folder)
    #expect(wrong.status == 1)
    #expect(
      wrong.errors
        == "backprop: error: a.keras takes samples of shape [64], 64 numbers; the rows of standard input have 2\n"
    )
  }
}
