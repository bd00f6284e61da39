import Foundation
import Testing

@testable import BackpropCLI

@Suite("Looking into files and converting them")
struct TensorCommandTests {
  static func fixture(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/files/\(name)").path
  }

  @Test(
    "every kind of file is listed by what it is",
    arguments: [
      ("nested.keras", "Keras model", "layers/dense/vars/0"),
      ("legacy.h5", "Keras model in HDF5", "model_weights/first/sequential_3/first/kernel"),
      ("weights.weights.h5", "HDF5", "layers/sequential/layers/dense_1/vars/0"),
      ("tensors.safetensors", "safetensors", "types.bfloat16"), ("tensors.npz", "npz", "rank5"),
      ("matrix.npy", "npy", "array"),
    ])
  func list(_ file: String, _ kind: String, _ tensor: String) throws {
    let result = try backprop(["inspect", Self.fixture(file)])
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.lines[0].contains("\(file): \(kind), "), "\(result.lines[0])")
    #expect(result.lines.dropFirst().contains { $0.hasPrefix(tensor + " ") }, "\(result.output)")
    let objects = try backprop(["inspect", Self.fixture(file), "--log", "json"]).objects()
    #expect(objects.contains { $0["name"] as? String == tensor && $0["mean"] is Double })
  }

  @Test("statistics are the numbers'")
  func statistics() throws {
    let result = try backprop(["inspect", Self.fixture("matrix.npy")])
    #expect(
      result.lines.last == "array  float32[3, 5]  min 0, max 14, mean 7, std 4.3205", "\(result.output)")
  }

  @Test("two files: what differs, and exit status 3")
  func differences() throws {
    let folder = try TemporaryFolder()
    func train(_ epochs: String, _ hidden: String) throws -> String {
      let path = folder.url.appendingPathComponent("m\(epochs)-\(hidden).keras").path
      #expect(
        try backprop(["train", "--epochs", epochs, "--hidden", hidden, "--output", path, "--log", "quiet"])
          .status == 0)
      return path
    }
    let (one, two, wide) = (try train("1", "4"), try train("2", "4"), try train("1", "5"))
    let same = try backprop(["inspect", one, one])
    #expect(same.status == 0 && same.output == "14 tensors, all the same bit for bit\n", "\(same.output)")
    let changed = try backprop(["inspect", one, two])
    #expect(changed.status == 3 && changed.lines.count == 13, "\(changed.output)")
    #expect(
      changed.output.contains("layers/dense/vars/1: 4 of 4 elements differ, most at ["), "\(changed.output)")
    #expect(
      try backprop(["inspect", one, wide]).output.contains(
        "layers/dense/vars/1: float32[4] against float32[5]"))
    let other = try backprop(["inspect", one, Self.fixture("matrix.npy")])
    #expect(other.output.contains("array: only in ") && other.lines.count == 15)
  }

  @Test("a model goes through every format and answers the same")
  func convert() throws {
    let folder = try TemporaryFolder()
    func path(_ name: String) -> String { folder.url.appendingPathComponent(name).path }
    let old = Self.fixture("legacy.h5")
    #expect(try backprop(["convert", old, path("a.keras")]).status == 0)
    for end in ["weights.h5", "safetensors", "npz"] {
      #expect(try backprop(["convert", path("a.keras"), path("w.\(end)")]).status == 0)
      let back = try backprop(["convert", path("w.\(end)"), path("b.keras"), "--model", path("a.keras")])
      #expect(back.status == 0, "\(back.errors)")
      #expect(try backprop(["inspect", path("a.keras"), path("b.keras")]).status == 0)
    }
    #expect(try backprop(["convert", path("w.npz"), path("again.safetensors")]).status == 0)
    #expect(try backprop(["inspect", path("w.safetensors"), path("again.safetensors")]).status == 0)
  }

  @Test(
    "what can't be converted is refused with the way out",
    arguments: [
      (["tensors.npz", "a.keras"], "holds tensors but no layers"),
      (["tensors.npz", "a.npy"], "holds 12 tensors, an .npy file one"),
      (["matrix.npy", "a.weights.h5"], "holds tensors but no layers"),
      (["matrix.npy", "a.txt"], "a.txt: tensors are written as .safetensors, .npz or .npy"),
      (
        ["nested.keras", "a.h5"],
        "a.h5: a model is written as .keras, its weights as one of .weights.h5, .safetensors, .npz"
      ),
      (["variants.json", "a.npz"], "No such file or directory"),
    ])
  func refused(_ files: [String], _ words: String) throws {
    let folder = try TemporaryFolder()
    let target = folder.url.appendingPathComponent(files[1]).path
    let result = try backprop(["convert", Self.fixture(files[0]), target])
    #expect(result.status == 1 && result.errors.contains(words), "\(result.errors)")
    #expect(!FileManager.default.fileExists(atPath: target))
  }
}
