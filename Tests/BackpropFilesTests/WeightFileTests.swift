import BackpropNetworks
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

@Suite("Weights alone, and models of Keras 2's format")
struct WeightFileTests {
  /// The network of tensor_files.py.
  static func network() throws -> Sequential {
    let model = Sequential {
      Dense(5, activation: .relu, kernelRegularizer: "l2", name: "first")
      Sequential {
        Dense(4)
        LeakyReLU(negativeSlope: 0.1)
        Dense(5, useBias: false)
      }
      PReLU()
      Dense(3, activation: .softmax)
    }
    try model.build(sampleShape: [4])
    try model.compile(
      optimizer: Adam(learningRate: 0.01), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
    return model
  }

  @Test(
    "what Keras wrote: weights and state bit for bit, answers, the next step", arguments: KerasCase.weights)
  func fromKeras(_ golden: KerasCase) throws {
    let model: Model
    if golden.name == "legacy.h5" {
      var warnings: [String] = []
      model = try Model.load(golden.path) { warnings.append($0) }
      #expect(warnings == [])
      #expect((model.layers[1] as? Sequential)?.layers.count == 3)
    } else {
      model = try Self.network()
      try model.loadWeights(golden.path)
    }
    KerasFileTests.expectIdentical(model.getWeights(), golden.tensors("weights"), "weight")
    KerasFileTests.expectIdentical(KerasFileTests.state(model), golden.tensors("state"), "state")
    expectClose(try model.predict(golden.tensor("input")), golden.tensor("output"))
    let logs = try model.trainOnBatch(golden.tensor("input"), golden.tensor("labels"))
    #expect(abs(logs["loss"]! - golden.number("loss")) <= 1e-5 * max(1, golden.number("loss")))
    for (index, (found, expected)) in zip(model.getWeights(), golden.tensors("after")).enumerated() {
      expectClose(found, expected, 1e-5, "weight \(index) after a step")
    }
  }

  @Test("there and back in every format", arguments: WeightFormat.allCases)
  func roundTrip(_ format: WeightFormat) throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/w\(format.rawValue)"
    let model = try Self.network()
    try model.saveWeights(path)
    let other = Sequential(name: "another name", seed: 9) {
      Dense(5, name: "first")
      Sequential {
        Dense(4)
        LeakyReLU()
        Dense(5, useBias: false)
      }
      PReLU()
      Dense(3)
    }
    try other.build(sampleShape: [4])
    try other.loadWeights(path)
    KerasFileTests.expectIdentical(other.getWeights(), model.getWeights(), "weight")
    if format != .keras {
      let names = try TensorFile(path).names
      #expect(names.contains("first.kernel") && names.contains("sequential.dense.bias"), "\(names)")
    }
  }

  @Test("weights that don't fit change nothing and are named", arguments: WeightFormat.allCases)
  func misfits(_ format: WeightFormat) throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/w\(format.rawValue)"
    func model(_ units: Int, bias: Bool = true, name: String = "a") throws -> Sequential {
      let model = Sequential {
        Dense(2, name: "in")
        Dense(units, useBias: bias, name: name)
      }
      try model.build(sampleShape: [3])
      return model
    }
    try model(4).saveWeights(path)
    for (other, words) in [
      (try model(5), "shape [2, 5] of sequential/a/kernel, found [2, 4]"),
      (
        try model(4, bias: false),
        format == .keras
          ? "expected 1 variables of layer 'a', found 2" : "found 1 more, such as this one of shape [4]"
      ),
    ] {
      let before = other.getWeights()
      let text = message { try other.loadWeights(path) }
      #expect(text.hasPrefix(path) && text.contains(words), "\(text)")
      KerasFileTests.expectIdentical(other.getWeights(), before, "weight")
    }
    if format != .keras {
      let text = message { try model(4, name: "b").loadWeights(path) }
      #expect(
        text.contains(
          "b.kernel: expected the weight sequential/b/kernel of shape [2, 4], found no tensor of this name; there is 'a.kernel'"
        ), "\(text)")
    }
  }

  @Test("names that say nothing, and models without weights")
  func refused() throws {
    let folder = try TemporaryFolder()
    #expect(
      message { try Self.network().saveWeights(folder.path + "/w.bin") }
        == "\(folder.path)/w.bin: expected a name that ends in .weights.h5, .safetensors, .npz, found 'w.bin'"
    )
    #expect(throws: ModelError.self) { try Sequential { Dense(1) }.saveWeights(folder.path + "/w.npz") }
    #expect(throws: ModelError.self) { try Sequential { Dense(1) }.loadWeights(fixture("tensors.npz")) }
    #expect(folder.names == [])
  }

  @Test("no damage to a model of the older format makes the reader trap")
  func damage() throws {
    let whole = try bytes(of: fixture("legacy.h5"))
    // That no byte stops the HDF5 reader is shown with its own tests; here, what the loader makes of what it reads.
    for index in stride(from: 0, to: whole.count, by: 11) {
      for value in [0, 255] as [UInt8] {
        var copy = whole
        copy[index] = value
        _ = try? LegacyKerasFile(ByteRegion(copy, name: "x")).model(seed: 0)
      }
    }
  }
}
