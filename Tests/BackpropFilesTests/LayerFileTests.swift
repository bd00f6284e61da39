import BackpropData
import BackpropNetworks
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

@Suite("Every layer in a file") struct LayerFileTests {
  @Test("comes back from its own file with the same weights and the same answers", arguments: [0, 1, 2, 3])
  func again(part: Int) throws {
    let folder = try TemporaryFolder()
    for (number, sample) in LayerSample.numbers.enumerated() where number % 4 == part {
      let (model, _) = try sample.model()
      try model.save("\(folder.path)/a.keras")
      let loaded = try Model.load("\(folder.path)/a.keras") { Issue.record("\(sample.name): \($0)") }
      for (a, b) in zip(model.getWeights(), loaded.getWeights()) {
        #expect(areIdentical(a, b), "\(sample.name)")
      }
      let (before, after) = (
        try LayerInteropTests.predict(model, sample.inputs),
        try LayerInteropTests.predict(loaded, sample.inputs)
      )
      #expect(areIdentical(before, after), "\(sample.name)")
    }
  }

  private func config(_ model: Model) throws -> String {
    String(decoding: JSONWriter.write(try KerasModelWriter(file: "f").config(of: model)), as: UTF8.self)
  }

  @Test("what Keras asks of configurations")
  func configurations() throws {
    // A stateful layer wants the batch's size.
    let stateful = Sequential([LSTM(2, stateful: true), Dense(1)])
    _ = try stateful.predict(Tensor.ones([3, 4, 2]))
    #expect(try config(stateful).contains(#""batch_shape": [3, 4, 2]"#))
    #expect(try !config(stateful).contains(": [null, 4, 2]"))
    let plain = Sequential([LSTM(2), Dense(1)])
    _ = try plain.predict(Tensor.ones([3, 4, 2]))
    #expect(try config(plain).contains(#""batch_shape": [null, 4, 2]"#))
    // Keras' own default depends on another value, or it wants the key to be there.
    let usual = Sequential([AveragePooling2D(3, strides: 2), Rescaling(2)])
    _ = try usual.predict(Tensor.ones([2, 3, 3, 1]))
    #expect(try config(usual).contains(#""strides": [2, 2]"#) && config(usual).contains(#""offset": 0"#))
    // What Keras 3.0 doesn't know is left out where it is the default.
    let sizes = [Resizing(4, 4), Resizing(4, 4, antialias: true)].map { Sequential([$0]) }
    for model in sizes { _ = try model.predict(Tensor.ones([2, 3, 3, 1])) }
    #expect(try sizes.map { try config($0).contains("antialias") } == [false, true])
    // PyTorch's Dirichlet takes no whole numbers.
    let mixed = Sequential([MixUp(alpha: 1)])
    _ = try mixed.predict(Tensor.ones([2, 3, 3, 1]))
    #expect(try config(mixed).contains(#""alpha": 1.0"#))
    // A cell's states stand under their name, those of each cell of a stack together.
    let (x, h, c, g) = (Input([3]), Input([4]), Input([4]), Input([2]))
    let results = StackedRNNCells([LSTMCell(4), GRUCell(2)]).outputs(of: [x, h, c, g])
    let text = try config(try Model(inputs: [x, h, c, g], outputs: results))
    #expect(
      text.contains(#""kwargs": {"states": [["#) && text.contains(#""input_shape": [null, 3]"#), "\(text)")
  }

  @Test("what needs numbers before the model is refused when the model is made")
  func refusals() {
    let expected = "hashing: hashes numbers that are there: call it before the model, on its data"
    #expect(
      KerasFileTests.text { try Sequential([Hashing(binCount: 3)]).build(sampleShape: [2]) }
        == "sequential/\(expected)")
    let x = Input([2], dtype: .int64)
    #expect(
      KerasFileTests.text { _ = try Model(inputs: x, outputs: Hashing(binCount: 3)(x)) }.contains(expected))
  }
}
