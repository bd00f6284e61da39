import BackpropData
import BackpropNetworks
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

/// Where `Tests/interop/check_layers.py` put what Keras saved; set once it did.
private let folder = ProcessInfo.processInfo.environment["BACKPROP_INTEROP_BACK"]

/// A model that Keras saved, and what it answers.
struct SavedModel {
  let path: String
  let facts: [String: ConfigValue]

  init(path: String, facts: String) throws {
    self.path = path
    guard case .object(let fields) = try JSONParser.parse(bytes(of: facts), name: facts) else {
      throw DataError(file: facts, place: .wholeFile, expected: "an object", found: "something else")
    }
    self.facts = fields
  }

  private func tensors(_ key: String) -> [Tensor] { facts[key]!.elements!.map(KerasCase.tensor) }

  /// The largest differences of predictions, and of loss and weights after one more Adam step; weights and the
  /// optimizer's state must be the same to the bit.
  func differences() throws -> (output: Double, step: Double) {
    let model = try Model.load(path)
    Self.expectIdentical(model.getWeights(), tensors("weights"), "\(path): weights")
    Self.expectIdentical(
      model.optimizer!.variables.map(\.stored), tensors("state"), "\(path): optimizer state")
    let inputs = tensors("inputs")
    let output = try LayerInteropTests.predict(model, inputs)
    var differences = (Self.difference(output, KerasCase.tensor(facts["output"]!), "\(path): output"), 0.0)
    guard facts["is_random"]?.bool == false else { return differences }
    LayerInteropTests.resetStates(model)
    let labels = KerasCase.tensor(facts["labels"]!)
    let loss = try model.trainOnBatch(Batch(inputs: inputs, labels: [labels]))["loss"]!
    let expected = facts["loss"]!.double!
    differences.1 = Self.difference(Tensor(loss), Tensor(expected), "\(path): loss")
    for (weight, expected) in zip(model.getWeights(), tensors("after")) {
      differences.1 = max(differences.1, Self.difference(weight, expected, "\(path): after a step"))
    }
    return differences
  }

  /// JAX and PyTorch have 32-bit numbers where TensorFlow has 64-bit ones: the values count.
  private static func expectIdentical(_ found: [Tensor], _ expected: [Tensor], _ what: String) {
    #expect(found.count == expected.count, "\(what)")
    for (found, expected) in zip(found, expected) {
      let isSame = found.shape == expected.shape && found.doubles == expected.doubles
      #expect(isSame, "\(what): not the same bits")
    }
  }

  private static func difference(_ found: Tensor, _ expected: Tensor, _ what: String) -> Double {
    expectClose(found, expected, 1e-5, what)
    return zip(found.doubles, expected.doubles).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? 0
  }
}

@Suite("Every layer from Keras", .enabled(if: folder != nil), .serialized)
struct InteropReadingTests {
  @Test("what Keras saved of our models, and its own of the same configurations")
  func saved() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder!).sorted()
    let runs = names.filter { $0.hasPrefix("done-") }
    #expect(!runs.isEmpty)
    for run in runs {
      guard case .object(let done) = try JSONParser.parse(bytes(of: "\(folder!)/\(run)"), name: run),
        case .object(let kinds)? = done["models"], let tag = done["tag"]?.text
      else { return #expect(Bool(false), "\(run)") }
      for (kind, models) in kinds.sorted(by: { $0.key < $1.key }) {
        var worst = (output: 0.0, step: 0.0)
        var count = 0
        for name in models.elements!.compactMap(\.text) {
          let model = try SavedModel(
            path: "\(folder!)/\(kind)-\(tag)-\(name).keras",
            facts: "\(folder!)/\(kind == "back" ? "" : "\(kind)-\(tag)-")\(name).json")
          do {
            let found = try model.differences()
            worst = (max(worst.output, found.output), max(worst.step, found.step))
            count += 1
          } catch { Issue.record("\(kind)-\(tag)-\(name): \(error)") }
        }
        #expect(count > 0, "\(run) has no models")
        let what = kind == "back" ? "of ours, saved by Keras" : "of Keras' own"
        print(
          "ok: \(count) models \(what), \(tag): largest difference of predictions \(worst.output), after a step "
            + "\(worst.step)")
      }
    }
  }

  @Test("layers of text: their configurations as Keras writes them")
  func texts() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder!).sorted()
    for file in names where file.hasPrefix("texts-") {
      let cases = try JSONParser.parse(bytes(of: "\(folder!)/\(file)"), name: file).elements ?? []
      #expect(!cases.isEmpty)
      for case .object(let facts) in cases {
        guard case .object(let config)? = facts["config"] else { fatalError("\(file): no configuration") }
        let layer = try LayerRegistry.named(facts["class"]!.text!).layer(
          config: config, name: nil, trainable: true, dtype: .float32)
        let found = try LayerInteropTests.answer(layer, facts["strings"]!)
        expectClose(found, KerasCase.tensor(facts["output"]!), 1e-6, "\(file): \(facts["name"]!)")
      }
    }
  }
}
