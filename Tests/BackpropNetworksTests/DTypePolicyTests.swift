import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

@Suite("Dtype policies") struct DTypePolicyTests {
  @Test("have Keras' names")
  func names() throws {
    let mixed = try DTypePolicy(named: "mixed_bfloat16")
    #expect(mixed == .mixedBFloat16)
    #expect(mixed.computeDType == .bfloat16 && mixed.variableDType == .float32)
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
}
