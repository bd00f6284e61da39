import Backprop
import BackpropTensors
import Foundation
import Testing

@testable import BackpropNetworks

@Suite("Layers as Keras has them") struct KerasLayerTests {
  /// The fixtures of layers.
  static let goldens = ["layers", "convolutions", "preprocessing_gradients"].flatMap { Golden($0).cases }
  static let exact = goldens.filter { $0.has("input") }
  static let random = goldens.filter { !$0.has("input") }

  private static func layer(_ golden: GoldenCase) throws -> Layer {
    let object = golden.values["layer"] as! [String: Any]
    let config = GoldenCase(values: object).config("config")
    return try LayerRegistry.named(object["class_name"] as! String).layer(
      config: config, name: config["name"]?.text, trainable: true, dtype: .float32)
  }

  @Test("outputs and gradients", arguments: exact.indices)
  func values(_ index: Int) throws {
    let golden = Self.exact[index]
    let layer = try Self.layer(golden)
    let input = golden.tensor("input")
    let context = CallContext(
      isTraining: golden.values["training"] as! Bool, mask: golden.has("mask") ? golden.tensor("mask") : nil)
    try layer.prepare([input.shape])
    let weights = golden.values["weights"] as! [[String: Any]]
    #expect(layer.weights.map(\.name) == weights.map { $0["name"] as! String })
    try layer.setWeights(weights.map { goldenTensor($0["value"]!) })
    expectClose(
      layer(input, context), golden.tensor("output"), atol: 1e-5, rtol: 1e-5, "\(layer.name) output")

    let cotangent = golden.tensor("cotangent")
    let (_, pullback) = valueWithPullback(at: [input]) { [(layer($0[0], context) * cotangent).sum()] }
    if input.dtype.isFloatingPoint, golden.has("input_gradient") {
      let gradient = pullback([Tensor(1 as Float)])[0]
      expectClose(
        gradient, golden.tensor("input_gradient"), atol: 1e-5, rtol: 1e-5, "\(layer.name) input gradient")
    }
    let (_, gradients) = valueAndGradient(at: layer.weights.map(\.variable)) {
      (layer(input, context) * cotangent).sum()
    }
    for (position, expected) in golden.tensors("weight_gradients").enumerated() {
      let weight = layer.weights[position]
      let gradient = gradients[position] ?? Tensor.zeros(weight.shape)
      expectClose(gradient, expected, atol: 1e-5, rtol: 1e-5, "gradient of \(weight.path)")
    }
    // What `compiled` records is the same function.
    let recorded = compiled { [layer($0[0], context)] }
    expectClose(
      recorded([input])[0], golden.tensor("output"), atol: 1e-5, rtol: 1e-5, "\(layer.name) compiled")
  }

  @Test("random layers in training: share and scale of what is kept", arguments: random.indices)
  func moments(_ index: Int) throws {
    let golden = Self.random[index]
    let layer = try Self.layer(golden)
    let shape = Shape((golden.values["input_shape"] as! [NSNumber]).map(\.intValue))
    let drawn = Shape((golden.values["drawn"] as! [NSNumber]).map(\.intValue))
    let result = layer(Tensor.ones(shape), .training)
    let kept = (golden.values["keep_probability"] as! NSNumber).doubleValue
    let value = (golden.values["kept_value"] as! NSNumber).floatValue
    let isKept = result.floats.map { $0 != 0 }
    #expect(result.floats.allSatisfy { $0 == 0 || abs($0 - value) < 1e-5 })
    let share = Double(isKept.filter { $0 }.count) / Double(isKept.count)
    let deviation = (kept * (1 - kept) / Double(drawn.elementCount)).squareRoot()
    #expect(abs(share - kept) < 5 * deviation)
  }

  @Test("every layer of the registry has goldens and makes its own configuration again")
  func registry() throws {
    let named = Set(
      (Self.goldens + PreprocessingTests.cases + LayerGoldens.cases.map(\.golden)).map {
        ($0.values["layer"] as! [String: Any])["class_name"] as! String
      })
    let missing = LayerRegistry.classes.map(\.className).filter { !named.contains($0) }
    #expect(missing.isEmpty, "no goldens of \(missing)")
    for golden in Self.goldens {
      let layer = try #require(try Self.layer(golden) as? any ConfigurableLayer)
      try roundTrip(layer)
    }
    try roundTrip(Input([3, 4], name: "in"))
  }

  private func roundTrip<Made: ConfigurableLayer>(_ layer: Made) throws {
    let again = try LayerRegistry.named(layer.className).layer(
      config: try LayerClass.config(of: layer), name: nil, trainable: true, dtype: .float32)
    #expect((again as? Made)?.configuration == layer.configuration)
  }

  @Test("an unknown class is answered with the nearest")
  func unknownClass() {
    #expect(
      message { _ = try LayerRegistry.named("Dens") }
        == "unknown layer class 'Dens'; did you mean 'Dense'?")
  }
}
