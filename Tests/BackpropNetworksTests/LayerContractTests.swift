import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

/// What every layer that files can name must do, on inputs that stand beside the layer.
@Suite("Every layer of the registry", .serialized) struct LayerContractTests {
  static let classes = LayerRegistry.classes.filter {
    $0.className != "InputLayer" && !LayerRegistry.preprocessingNames.contains($0.className)
  }

  private static let usualShapes: [Shape] = [[2, 3, 4], [2, 6], [2, 6, 6, 4], [2, 4, 4, 4, 2]]

  /// The example and types of inputs that it takes.
  private func subject(_ known: LayerClass, _ dtype: DType = .float32) throws -> (Layer, [TensorType]) {
    let layer = try known.example(dtype: DTypePolicy(dtype))
    func typed(_ types: [TensorType]) -> [TensorType] {
      types.map { $0.dtype.isFloatingPoint ? TensorType($0.shape, dtype) : $0 }
    }
    if let given = layer.sampleInputs {
      try layer.prepare(given.map(\.shape))
      return (layer, typed(given))
    }
    for shape in Self.usualShapes {
      let candidate = try known.example(dtype: DTypePolicy(dtype))
      if (try? candidate.prepare([shape])) != nil { return (candidate, [TensorType(shape, dtype)]) }
    }
    throw ModelError(.shape, at: known.className, "takes none of the usual shapes; say sampleInputs")
  }

  private func inputs(_ types: [TensorType]) -> [Tensor] {
    let random = RandomGenerator(seed: 7)
    return types.map { type in
      type.dtype.isFloatingPoint
        ? random.normal(type.shape).cast(to: type.dtype) : Tensor.zeros(type.shape, dtype: type.dtype)
    }
  }

  @Test(
    "makes its configuration again, gives the shapes it says, and computes the same compiled",
    arguments: classes.indices)
  func shapes(_ index: Int) throws {
    let known = Self.classes[index]
    let (layer, types) = try subject(known)
    let configured = try #require(layer as? any ConfigurableLayer)
    let config = try LayerClass.config(of: configured)
    #expect(Set(config.keys).isSubset(of: known.keys), "\(known.className)")
    let again = try known.layer(config: config, name: nil, trainable: true, dtype: .float32)
    let second = try #require(again as? any ConfigurableLayer)
    #expect(try LayerClass.config(of: second) == config, "\(known.className)")

    let inputs = inputs(types)
    let eager = layer(inputs)
    #expect(eager.map(\.type) == layer.outputTypes(types), "\(known.className)")
    let recorded = compiled { layer($0) }(inputs)
    for (a, b) in zip(recorded, eager) {
      expectClose(a.cast(to: .float64), b.cast(to: .float64), atol: 1e-5, rtol: 1e-5, "\(known.className)")
    }
  }

  @Test("has the gradients that differences find in float64", arguments: classes.indices)
  func gradients(_ index: Int) throws {
    let (layer, types) = try subject(Self.classes[index], .float64)
    let variables = layer.trainableWeights
    let inputs = inputs(types)
    // Weights that start as zeros would hide a part of the gradient.
    let random = RandomGenerator(seed: 3)
    for weight in variables { weight.value = random.normal(weight.shape).cast(to: weight.dtype) }
    // A layer inside another has the dtype that its configuration says.
    guard types.allSatisfy(\.dtype.isFloatingPoint), layer.weights.allSatisfy({ $0.dtype == .float64 }) else {
      return
    }
    try checkGradients(at: inputs, by: .randomDirection(seed: 5)) { layer($0)[0].squared() }
    for weight in variables {
      let before = weight.value
      try checkGradients(at: [before], by: .randomDirection(seed: 5)) { values in
        // The weight as a function's argument: the layer reads it where it is.
        let (_, gradients) = valueAndGradient(at: [weight.variable]) { layer(inputs)[0].squared().sum() }
        guard !values[0].isTraced, let slope = gradients[0] else { return values[0].sum() * 0 }
        weight.value = values[0].stopGradient()
        let level = layer(inputs)[0].squared().sum()
        weight.value = before
        // First order around the point, so that both the value and the gradient are the layer's.
        return level.stopGradient() + ((values[0] - values[0].stopGradient()) * slope).sum()
      }
    }
  }

  @Test("trains: a step changes its weights and leaves finite numbers", arguments: classes.indices)
  func trains(_ index: Int) throws {
    let known = Self.classes[index]
    let (layer, types) = try subject(known)
    let symbols = types.map { Input(Shape($0.shape.dimensions.dropFirst()), dtype: $0.dtype) }
    let fresh = try known.example()
    let output = Dense(2)(Flatten()(fresh.outputs(of: symbols)[0]))
    let model = try Model(inputs: symbols, outputs: [output])
    try model.compile(optimizer: SGD(learningRate: 0.1), losses: [.mse])
    let before = fresh.trainableWeights.map(\.value)
    let inputs = inputs(types)
    let logs = try model.trainOnBatch(Batch(inputs: inputs, labels: [Tensor.ones([2, 2])]))
    #expect(logs["loss"]!.isFinite, "\(known.className)")
    for (weight, value) in zip(fresh.trainableWeights, before) {
      #expect(firstNotFinite(weight.value) == nil, "\(weight.path)")
      #expect(weight.value.doubles != value.doubles || layer.weights.isEmpty, "\(weight.path) didn't move")
    }
    // A frozen layer stays as it is.
    fresh.trainable = false
    let frozen = fresh.trainableWeights.map(\.value.doubles)
    try model.trainOnBatch(Batch(inputs: inputs, labels: [Tensor.ones([2, 2])]))
    #expect(fresh.trainableWeights.map(\.value.doubles) == frozen)
  }

  @Test("passes masks on if it says so, and drops them if not", arguments: classes.indices)
  func masks(_ index: Int) throws {
    let known = Self.classes[index]
    let (layer, types) = try subject(known)
    // Layers that say more about masks are held to Keras' by the goldens.
    guard types.allSatisfy({ $0.shape.rank == 3 }), !(layer is Merge), !(layer is Masking) else { return }
    var inputs = inputs(types)
    let mask = Tensor([true, false, true, true, true, false]).reshaped(to: [2, 3])
    for position in inputs.indices { inputs[position].mask = mask }
    let result = layer(inputs)[0]
    #expect((result.mask != nil) == layer.supportsMasking, "\(known.className)")
  }
}
