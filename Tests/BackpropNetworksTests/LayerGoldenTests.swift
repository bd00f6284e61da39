import Backprop
import BackpropTensors
import Foundation
import TestSupport
import Testing

@testable import BackpropNetworks

/// Keras' numbers for layers: every fixture whose name begins with `layers_`.
enum LayerGoldens {
  static let cases: [(name: String, golden: GoldenCase)] = fixtureNames.flatMap { name in
    Golden(name).cases.enumerated().map { ("\(name)[\($0)]", $1) }
  }

  static let fixtureNames: [String] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: Fixture.folder.path)) ?? []
    return names.filter { $0.hasPrefix("layers_") && $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }
      .sorted()
  }()

  static func layer(_ golden: GoldenCase, dtype: DType = .float32) throws -> Layer {
    let object = golden.values["layer"] as! [String: Any]
    let config = GoldenCase(values: object).config("config")
    return try LayerRegistry.named(object["class_name"] as! String).layer(
      config: config, name: config["name"]?.text, trainable: config["trainable"]?.bool ?? true,
      dtype: DTypePolicy(dtype))
  }
}

@Suite("Layers have Keras' numbers") struct LayerGoldenTests {
  static let cases = LayerGoldens.cases

  @Test("outputs, gradients, masks and state", arguments: cases.indices)
  func values(_ index: Int) throws {
    let (place, golden) = Self.cases[index]
    let layer = try LayerGoldens.layer(golden)
    let what = "\(place) \(layer.className)"
    let masks = (golden.values["masks"] as! [Any]).map { $0 is NSNull ? nil : goldenTensor($0) }
    let inputs = zip(golden.tensors("inputs"), masks).map { input, mask -> Tensor in
      var input = input
      input.mask = mask
      return input
    }
    try layer.prepare(inputs.map(\.shape))
    let weights = golden.values["weights"] as! [[String: Any]]
    #expect(layer.weights.map(\.name) == weights.map { $0["name"] as! String }, "\(what)")
    let given = weights.map { goldenTensor($0["value"]!) }
    let isTraining = golden.values["training"] as! Bool
    let dropped = Self.cellMasks(golden)
    let options = Set((golden.values["options"] as? [String] ?? []).map { CallOption(rawValue: $0)! })
    @Sendable func run(_ inputs: [Tensor]) -> [Tensor] {
      let inputs = zip(inputs, masks).map { Self.masked($0, $1) }
      let mask = golden.has("given_mask") ? golden.tensor("given_mask") : nil
      let context = CallContext(isTraining: isTraining, mask: mask)
      if let dropped {
        let results = (layer as! RecurrentLayer).results(inputs, dropped, context)
        return zip(results, layer.outputMasks(results, of: inputs)).map { Self.masked($0, $1) }
      }
      return layer(inputs, context, options: options)
    }
    // What a stateful layer carries into the call.
    let callsBefore = golden.values["calls_before"] as? Int ?? 0
    func start() throws {
      try layer.setWeights(given)
      if isTraining { layer.beginTrainingStep() }
      (layer as? RecurrentLayer)?.resetState()
      for _ in 0..<callsBefore { _ = run(inputs) }
    }
    try start()
    func expect(_ actual: Tensor, _ key: Any?, _ part: String) {
      expectClose(actual, goldenTensor(key!), atol: 1e-5, rtol: 1e-5, "\(what): \(part)")
    }

    let outputs = run(inputs)
    let output = outputs[0]
    let further = golden.has("further_outputs") ? golden.tensors("further_outputs") : []
    let count = 1 + further.count + (golden.has("scores") ? 1 : 0)
    #expect(outputs.count == count, "\(what): outputs")
    for (number, expected) in further.enumerated() {
      expectClose(
        outputs[1 + number], expected, atol: 1e-5, rtol: 1e-5, "\(what): output \(number + 1)")
    }
    expect(output, golden.values["output"], "output")
    if golden.has("scores") { expect(outputs[1], golden.values["scores"], "scores") }
    #expect((output.mask != nil) == golden.has("output_mask"), "\(what): mask")
    if let mask = output.mask, golden.has("output_mask") {
      expect(mask.cast(to: .float32), golden.values["output_mask"], "mask")
    }
    for (weight, expected) in zip(layer.nonTrainableWeights, golden.values["state"] as! [Any]) {
      expect(weight.value, expected, weight.path)
    }
    let carried = golden.has("carried") ? golden.tensors("carried") : []
    #expect(layer.carriedVariables.count == carried.count, "\(what): carried")
    for (variable, expected) in zip(layer.carriedVariables, carried) {
      expectClose(variable.stored, expected, atol: 1e-5, rtol: 1e-5, "\(what): carried")
    }

    // Gradients, from the state as it was.
    try start()
    let cotangents =
      [golden.tensor("cotangent")] + (further.isEmpty ? [] : golden.tensors("further_cotangents"))
    @Sendable func weighed(_ inputs: [Tensor]) -> Tensor {
      let terms = zip(run(inputs), cotangents).map { ($0 * $1).sum() }
      return terms.dropFirst().reduce(terms[0], +)
    }
    let (_, pullback) = valueWithPullback(at: inputs) { [weighed($0)] }
    let gradients = pullback([Tensor(1 as Float)])
    for (number, expected) in (golden.values["input_gradients"] as! [Any]).enumerated()
    where !(expected is NSNull) {
      expect(gradients[number], expected, "gradient of input \(number)")
    }
    try start()
    let trained = layer.trainableWeights
    let (_, weightGradients) = valueAndGradient(at: trained.map(\.variable)) { weighed(inputs) }
    for (position, expected) in (golden.values["weight_gradients"] as! [Any]).enumerated()
    where !(expected is NSNull) {
      let gradient = weightGradients[position] ?? Tensor.zeros(trained[position].shape)
      expect(gradient, expected, "gradient of \(trained[position].path)")
    }

    // What `compiled` records is the same function, state and gradients included.
    try start()
    let recorded = compiled { inputs in
      let (loss, gradients) = valueAndGradient(at: trained.map(\.variable)) { weighed(inputs) }
      return [loss] + gradients.compactMap { $0 }
    }
    let results = recorded(inputs)
    let terms = zip([goldenTensor(golden.values["output"]!)] + further, cotangents).map { ($0 * $1).sum() }
    expectClose(
      results[0], terms.dropFirst().reduce(terms[0], +), atol: 1e-4, rtol: 1e-4, "\(what): compiled")
    let found = weightGradients.compactMap { $0 }
    for (actual, expected) in zip(results.dropFirst(), found) {
      expectClose(actual, expected, atol: 1e-5, rtol: 1e-5, "\(what): compiled gradient")
    }
    for (weight, expected) in zip(layer.nonTrainableWeights, golden.values["state"] as! [Any]) {
      expect(weight.value, expected, "\(weight.path) compiled")
    }
    for (variable, expected) in zip(layer.carriedVariables, carried) {
      expectClose(variable.stored, expected, atol: 1e-5, rtol: 1e-5, "\(what): carried, compiled")
    }
  }

  /// What is dropped where the case says so.
  private static func cellMasks(_ golden: GoldenCase) -> CellMasks? {
    guard let parts = golden.values["cell_masks"] as? [[Any]] else { return nil }
    return CellMasks(inputs: parts[0].map(goldenTensor), states: parts[1].map(goldenTensor))
  }

  private static func masked(_ input: Tensor, _ mask: Tensor?) -> Tensor {
    var input = input
    input.mask = mask
    return input
  }

  @Test("configurations make themselves again", arguments: cases.indices)
  func roundTrip(_ index: Int) throws {
    let layer = try #require(try LayerGoldens.layer(Self.cases[index].golden) as? any ConfigurableLayer)
    func again<Made: ConfigurableLayer>(_ layer: Made) throws {
      let made = try LayerRegistry.named(layer.className).layer(
        config: try LayerClass.config(of: layer), name: nil, trainable: true, dtype: .float32)
      #expect((made as? Made)?.configuration == layer.configuration, "\(Self.cases[index].name)")
    }
    try again(layer)
  }
}
