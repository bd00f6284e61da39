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
    func start() throws {
      try layer.setWeights(given)
      if isTraining { layer.beginTrainingStep() }
    }
    try start()
    let options = Set((golden.values["options"] as? [String] ?? []).map { CallOption(rawValue: $0)! })
    @Sendable func results(_ inputs: [Tensor]) -> [Tensor] {
      let inputs = zip(inputs, masks).map { Self.masked($0, $1) }
      return layer(inputs, CallContext(isTraining: isTraining), options: options)
    }
    @Sendable func run(_ inputs: [Tensor]) -> Tensor { results(inputs)[0] }
    func expect(_ actual: Tensor, _ key: Any?, _ part: String) {
      expectClose(actual, goldenTensor(key!), atol: 1e-5, rtol: 1e-5, "\(what): \(part)")
    }

    let output = run(inputs)
    expect(output, golden.values["output"], "output")
    if golden.has("scores") { expect(results(inputs)[1], golden.values["scores"], "scores") }
    #expect((output.mask != nil) == golden.has("output_mask"), "\(what): mask")
    if let mask = output.mask, golden.has("output_mask") {
      expect(mask.cast(to: .float32), golden.values["output_mask"], "mask")
    }
    for (weight, expected) in zip(layer.nonTrainableWeights, golden.values["state"] as! [Any]) {
      expect(weight.value, expected, weight.path)
    }

    // Gradients, from the state as it was.
    try start()
    let cotangent = golden.tensor("cotangent")
    let (_, pullback) = valueWithPullback(at: inputs) { [(run($0) * cotangent).sum()] }
    let gradients = pullback([Tensor(1 as Float)])
    for (number, expected) in (golden.values["input_gradients"] as! [Any]).enumerated()
    where !(expected is NSNull) {
      expect(gradients[number], expected, "gradient of input \(number)")
    }
    try start()
    let trained = layer.trainableWeights
    let (_, weightGradients) = valueAndGradient(at: trained.map(\.variable)) {
      (run(inputs) * cotangent).sum()
    }
    for (position, expected) in (golden.values["weight_gradients"] as! [Any]).enumerated()
    where !(expected is NSNull) {
      let gradient = weightGradients[position] ?? Tensor.zeros(trained[position].shape)
      expect(gradient, expected, "gradient of \(trained[position].path)")
    }

    // What `compiled` records is the same function, state and gradients included.
    try start()
    let recorded = compiled { inputs in
      let (loss, gradients) = valueAndGradient(at: trained.map(\.variable)) {
        (run(inputs) * cotangent).sum()
      }
      return [loss] + gradients.compactMap { $0 }
    }
    let results = recorded(inputs)
    expectClose(
      results[0], (goldenTensor(golden.values["output"]!) * cotangent).sum(), atol: 1e-4, rtol: 1e-4,
      "\(what): compiled")
    let found = weightGradients.compactMap { $0 }
    for (actual, expected) in zip(results.dropFirst(), found) {
      expectClose(actual, expected, atol: 1e-5, rtol: 1e-5, "\(what): compiled gradient")
    }
    for (weight, expected) in zip(layer.nonTrainableWeights, golden.values["state"] as! [Any]) {
      expect(weight.value, expected, "\(weight.path) compiled")
    }
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
