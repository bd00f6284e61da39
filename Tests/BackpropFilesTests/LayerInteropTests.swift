import BackpropData
import BackpropNetworks
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

/// Writes a model of every sample for `Tests/interop/check_layers.py`, which has Keras read it on each backend, save it
/// again and make models of its own of the same configurations; `InteropReadingTests` read those.
private let folder = ProcessInfo.processInfo.environment["BACKPROP_INTEROP"]

@Suite("Every layer for Keras", .enabled(if: folder != nil), .serialized)
struct LayerInteropTests {
  @Test("a model of every configuration of every layer of the registry")
  func layers() throws {
    var written: Set<String> = []
    for sample in LayerSample.numbers {
      do {
        try Self.write(sample)
        written.insert(sample.className)
      } catch { Issue.record("\(sample.name): \(error)") }
    }
    for sample in LayerSample.others { print("not in a model: \(sample.name): \(sample.reason!)") }
    let texts = Set((LayerSample.texts + LayerSample.others).map(\.className))
    let missing = LayerRegistry.classes.map(\.className).filter {
      !written.contains($0) && !texts.contains($0)
    }
    #expect(missing.isEmpty, "no file with \(missing)")
  }

  private static func write(_ sample: LayerSample) throws {
    let (model, isRandom) = try sample.model()
    try model.compile(optimizer: Adam(learningRate: 0.01), losses: [.mse])
    let inputs = sample.inputs
    let labels = LayerSample.wave([inputs[0].shape[0], 2])
    for _ in 0..<2 { try model.trainOnBatch(Batch(inputs: inputs, labels: [labels])) }
    // A gradient that is zero but for rounding, such as that of a bias before a softmax, would be divided by itself.
    for variable in model.optimizer!.variables where variable.name.hasSuffix("velocity") {
      variable.store(variable.stored + 1e-4)
    }
    try model.save("\(folder!)/layer-\(sample.name).keras")
    var facts: [String: ConfigValue] = [
      "class": .string(sample.className), "layer": sample.object, "adapt": sample.adapt ?? .null,
      "is_random": .bool(isRandom), "options": sample.options,
      "inputs": .array(inputs.map(InteropTests.value)), "labels": InteropTests.value(labels),
      "output": InteropTests.value(try Self.predict(model, inputs)),
      "weights": .array(model.getWeights().map(InteropTests.value)),
      "state": .array(model.optimizer!.variables.map { InteropTests.value($0.stored) }),
    ]
    if !isRandom {
      model.resetMetrics()
      Self.resetStates(model)
      facts["loss"] = .number(try model.trainOnBatch(Batch(inputs: inputs, labels: [labels]))["loss"]!)
      facts["after"] = .array(model.getWeights().map(InteropTests.value))
    }
    try AtomicFile.write(to: "\(folder!)/layer-\(sample.name).json") {
      try $0.write(JSONWriter.write(.object(facts)))
    }
  }

  static func predict(_ model: Model, _ inputs: [Tensor]) throws -> Tensor {
    resetStates(model)
    return try model.predict(inputs, batchSize: inputs[0].shape[0])[0]
  }

  /// What stateful layers carry from call to call is in no file.
  static func resetStates(_ layer: Layer) {
    (layer as? RecurrentLayer)?.resetState()
    (layer as? Bidirectional)?.resetState()
    for layer in layer.sublayers { resetStates(layer) }
  }

  @Test("layers of text by their configurations: they stand before models here")
  func texts() throws {
    var facts: [ConfigValue] = []
    for sample in LayerSample.texts {
      let layer = try sample.layer()
      facts.append(
        .object([
          "name": .string(sample.name), "class": .string(sample.className), "layer": sample.object,
          "adapt": sample.adapt ?? .null, "strings": sample.strings,
          "config": .object(try LayerClass.fullConfig(of: layer)!),
          "output": InteropTests.value(try Self.answer(layer, sample.strings)),
        ]))
    }
    try AtomicFile.write(to: "\(folder!)/texts.json") { try $0.write(JSONWriter.write(.array(facts))) }
  }

  static func answer(_ layer: Layer, _ strings: ConfigValue) throws -> Tensor {
    let rows = strings.elements!
    let flat = rows.compactMap(\.text)
    let table = rows.compactMap { $0.elements?.map { $0.text! } }
    return switch layer {
    case let layer as Hashing: flat.isEmpty ? try layer(table) : try layer(flat)
    case let layer as StringLookup: flat.isEmpty ? try layer(table) : try layer(flat)
    case let layer as TextVectorization: try layer(flat)
    default: fatalError("\(layer.className) takes no text")
    }
  }
}
