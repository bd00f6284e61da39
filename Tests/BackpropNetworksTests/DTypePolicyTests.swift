import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

@Suite("Dtype policies") struct DTypePolicyTests {
  @Test("have Keras' names")
  func names() throws {
    let mixed = try DTypePolicy(named: "mixed_bfloat16")
    #expect(mixed == .mixedBFloat16)
    #expect(mixed.products == .bfloat16 && mixed.computeDType == .float32 && mixed.variableDType == .float32)
    #expect(try DTypePolicy(named: "float64") == .float64)
    #expect(
      throws: ModelError(.unknownName, "unknown dtype policy 'flaot64'; did you mean 'float64'?")
    ) { try DTypePolicy(named: "flaot64") }
  }

  @Test("are read as names, as Keras' objects and where nothing is said")
  func configurations() throws {
    #expect(try DTypePolicy(.string("float64")) == .float64)
    let object: ConfigValue = .object([
      "module": "keras", "class_name": "DTypePolicy", "config": .object(["name": "mixed_bfloat16"]),
    ])
    #expect(try DTypePolicy(object) == .mixedBFloat16)
    #expect(try DTypePolicy(nil) == .float32)
    #expect(try DTypePolicy(.integer(3)) == nil)
    let layer = Dense(2, dtype: .float64)
    #expect(try LayerClass.fullConfig(of: layer)?["dtype"] == "float64")
  }

  @Test("decide what weights are kept in and what inputs become")
  func layers() {
    let layer = Dense(2, dtype: .float64)
    let result = layer(Tensor.ones([3, 4]))
    #expect(result.dtype == .float64)
    #expect(layer.weights.allSatisfy { $0.dtype == .float64 })
    #expect(Dense(2)(Tensor.ones([3, 4]).cast(to: .float64)).dtype == .float32)
    let numbers = Tensor([0, 1] as [Int32])
    #expect(Identity()(numbers).dtype == .int32)
  }

  @Test("a layer of float64 joins a functional model of float32, its initial state too")
  func functional() throws {
    let (sequence, state) = (Input([4, 3]), Input([2]))
    let layer = SimpleRNN(2, dtype: .float64)
    let model = try Model(inputs: [sequence, state], outputs: [layer.outputs(of: [sequence, state])[0]])
    let inputs = [Tensor.ones([5, 4, 3]), Tensor.ones([5, 2])]
    let result = try model.predict(inputs)[0]
    #expect(result.dtype == .float64)
    #expect(result.doubles == layer(inputs, .inference)[0].doubles)
  }

  @Test("cells of other dtypes than their layer's", arguments: [true, false])
  func cells(isStacked: Bool) throws {
    let cells = [LSTMCell(2, dtype: .float64), LSTMCell(2), LSTMCell(2, dtype: .float64)]
    let layer = isStacked ? RNN(cells) : RNN(cells[0])
    let model = Sequential {
      Input([4, 3])
      layer
    }
    let result = try model.predict(Tensor.ones([5, 4, 3]))
    #expect(result.shape == [5, 2] && result.dtype == .float64)
  }

  @Test("the default makes whole models of float64")
  func wholeModels() throws {
    try DTypePolicy.withDefault(.float64) {
      let model = Sequential {
        Input([3])
        Dense(4, activation: .tanh)
        Dense(1)
      }
      try model.compile(optimizer: Adam(learningRate: 0.1), loss: .mse, metrics: [.mae])
      #expect(model.weights.allSatisfy { $0.dtype == .float64 })
      let logs = try model.trainOnBatch(
        Tensor.ones([2, 3]).cast(to: .float64), Tensor([0.1, 0.3] as [Double]).reshaped(to: [2, 1]))
      #expect(model.optimizer?.learningRate == 0.1)
      // What float32 can't say.
      #expect(Double(Float(logs["loss"]!)) != logs["loss"]!)
    }
    #expect(DTypePolicy.default == .float32)
  }

  @Test("mixed precision rounds what products read, and nothing else")
  func mixed() throws {
    func make() throws -> Sequential {
      let model = Sequential(seed: 1) {
        Input([8, 8, 3])
        Conv2D(16, kernelSize: 3, activation: .relu)
        BatchNormalization()
        Flatten()
        Dense(32, activation: .tanh)
        Dense(5, activation: .softmax)
      }
      try model.compile(optimizer: Adam(learningRate: 0.01), loss: .sparseCategoricalCrossentropy)
      return model
    }
    let x = RandomGenerator(seed: 2).uniform([40, 8, 8, 3], from: -1, to: 1)
    let y = Tensor((0..<40).map { Int32($0 % 5) })
    let (plain, mixed) = (try make(), try DTypePolicy.withDefault(.mixedBFloat16) { try make() })
    #expect(mixed.layers.allSatisfy { $0.dtypePolicy == .mixedBFloat16 })
    try mixed.setWeights(plain.getWeights())
    let (full, rounded) = (try plain.predict(x), try mixed.predict(x))
    #expect(rounded.dtype == .float32 && mixed.weights.allSatisfy { $0.dtype == .float32 })
    let difference = (full - rounded).abs().max().item()
    #expect(difference < 0.02)
    #expect((difference > 0) == ProductPrecision.hasFastBFloat16)
    var losses: [Double] = []
    for _ in 0..<30 { losses.append(try mixed.trainOnBatch(x, y)["loss"]!) }
    for _ in 0..<30 { _ = try plain.trainOnBatch(x, y) }
    let after = try (plain.evaluate(x, y)["loss"]!, mixed.evaluate(x, y)["loss"]!)
    #expect(losses.last! < losses[0] / 3)
    #expect(abs(after.0 - after.1) < 0.1)
  }
}
