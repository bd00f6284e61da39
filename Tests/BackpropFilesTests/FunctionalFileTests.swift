import BackpropData
import BackpropNetworks
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

@Suite("Files of functional models") struct FunctionalFileTests {
  @Test("several inputs and outputs, with losses, weights and metrics by name", arguments: KerasCase.several)
  func several(_ golden: KerasCase) throws {
    let folder = try TemporaryFolder()
    try Model.load(golden.path).save("\(folder.path)/again.keras")
    for path in [golden.path, "\(folder.path)/again.keras"] {
      let model = try Functional.load(path)
      #expect(model.inputNames == ["a", "b"])
      #expect(model.outputNames == ["kind", "size"])
      #expect(model.layers.map(\.name) == ["a", "b", "left", "flatten_1", "concatenate_1", "kind", "size"])
      KerasFileTests.expectIdentical(model.getWeights(), golden.tensors("weights"), "weight")
      let (inputs, labels) = (golden.tensors("inputs"), golden.tensors("labels"))
      for (found, expected) in zip(try model.predict(inputs), golden.tensors("outputs")) {
        expectClose(found, expected)
      }
      let logs = try model.evaluate(inputs, labels)
      for (name, expected) in golden.numbers("logs") {
        #expect(abs((logs[name] ?? .nan) - expected) < 1e-5, "\(name)")
      }
      _ = try model.trainOnBatch(Batch(inputs: inputs, labels: labels))
      for (found, expected) in zip(model.getWeights(), golden.tensors("after")) {
        expectClose(found, expected, 1e-5, "after a step")
      }
    }
  }

  @Test("shared layers are one again, nested models are models")
  func structure() throws {
    let model = try Functional.load(fixture("functional.keras"))
    #expect(model.name == "graph")
    #expect(model.calls(of: try model.getLayer("shared")).count == 2)
    let encoder = try #require(try model.getLayer("encoder") as? Functional)
    #expect(model.calls(of: encoder).count == 2)
    #expect(encoder.layers.map(\.name) == ["inner", "a", "z"])
    #expect(try model.getLayer("tail") is Sequential)
    #expect(throws: DataError.self) { _ = try Sequential.load(fixture("functional.keras")) }
  }

  @Test("a damaged graph is refused with the place")
  func damaged() throws {
    func message(in path: String? = nil, _ change: (inout String) -> Void) throws -> String {
      let archive = try ZipArchive(try ByteRegion(path: path ?? fixture("functional-several.keras")))
      func member(_ name: String) throws -> ByteRegion { try archive.contents(of: archive.member(name)!) }
      let config = try member(KerasPaths.config)
      var text = String(decoding: try config.bytes(at: 0, count: config.count), as: UTF8.self)
      change(&text)
      var reader = KerasModelReader(file: "f")
      do {
        _ = try reader.model(config: Array(text.utf8), weights: try member(KerasPaths.weights), seed: 0)
        return "nothing"
      } catch { return "\(error)" }
    }
    #expect(try message { _ in } == "nothing")
    let waits = try message { $0 = $0.replacing("[\"left\", 0, 0]", with: "[\"lost\", 0, 0]") }
    #expect(waits.contains("'concatenate_1', which waits for 'lost'"), "\(waits)")
    let output = try message { $0 = $0.replacing("[\"size\", 0, 0]", with: "[\"size\", 0, 7]") }
    #expect(output.contains("'output_layers' to name layers of the model"), "\(output)")
    let twice = try message { $0 = $0.replacing("\"name\": \"left\"", with: "\"name\": \"a\"") }
    #expect(twice.contains("two that are called 'a'"), "\(twice)")
    let huge = try message { $0 = $0.replacing("[null, 3, 2]", with: "[null, 4294967296, 4294967296]") }
    #expect(huge.contains("sizes of an input"), "\(huge)")

    // Calls of nested models are counted from 1 where they are inputs or outputs.
    let folder = try TemporaryFolder()
    let (x, y) = (Input([3]), Input([3]))
    let inner = try Model(inputs: x, outputs: Dense(2)(x), name: "inner")
    try Model(inputs: y, outputs: inner(y)).save("\(folder.path)/nested.keras")
    let never = try message(in: "\(folder.path)/nested.keras") {
      $0 = $0.replacing("[\"inner\", 1, 0]", with: "[\"inner\", \(Int.min), 0]")
    }
    #expect(never.contains("'output_layers' to name layers of the model, found something else"), "\(never)")
  }

  @Test("a Lambda is refused with the reason")
  func lambda() throws {
    let x = Input([2])
    let model = try Model(inputs: x, outputs: Lambda(name: "half") { $0 * 0.5 }(x))
    let folder = try TemporaryFolder()
    let text = KerasFileTests.text { try model.save("\(folder.path)/l.keras") }
    #expect(text.contains("found the class Lambda, whose function no file can hold"), "\(text)")
  }
}

extension KerasFileTests {
  static func text(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "nothing"
    } catch { return "\(error)" }
  }

  @Test("weights alone: Keras' places, and there and back", arguments: ["functional", "functional-several"])
  func weightsAlone(name: String) throws {
    let model = try Model.load(fixture("\(name).keras"))
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/w.weights.h5"
    try model.saveWeights(path)

    // The same groups and numbers as in the file that Keras wrote.
    let archive = try ZipArchive(ByteRegion(path: fixture("\(name).keras")))
    let member = try #require(archive.member(KerasPaths.weights))
    let theirs = try HDF5Reader(archive.contents(of: member))
    let ours = try HDF5Reader(ByteRegion(path: path))
    let places = theirs.datasets.keys.filter { $0.hasPrefix("layers/") || $0.hasPrefix("_layer") }
    #expect(!places.isEmpty)
    for place in places {
      #expect(areIdentical(try ours.tensor(at: place), try theirs.tensor(at: place)), "\(place)")
    }

    let before = model.getWeights()
    try model.setWeights(before.map { $0 * 0 })
    try model.loadWeights(path)
    for (a, b) in zip(before, model.getWeights()) { #expect(areIdentical(a, b)) }
  }
}
