import Backprop
import BackpropTensors
import Foundation
import Testing

@testable import BackpropNetworks

@Suite("Functional models", .serialized) struct FunctionalTests {
  private func data(_ count: Int, _ width: Int, seed: Int = 1) -> Tensor {
    RandomGenerator(seed: seed).normal([count, width])
  }

  @Test("several inputs and outputs train, with losses, weights and metrics by name")
  func severalOutputs() throws {
    let a = Input([4], name: "a"), b = Input([3], name: "b")
    let h = Dense(8, activation: .relu)(a)
    let both = Concatenate()([h, b])
    let model = try Model(
      inputs: [a, b],
      outputs: [Dense(3, activation: .softmax, name: "kind")(both), Dense(1, name: "size")(both)], name: "two"
    )
    #expect(model is Functional)
    #expect(model.layers.map(\.name) == ["a", "dense", "b", "concatenate", "kind", "size"])
    try model.compile(
      optimizer: Adam(learningRate: 0.05), losses: ["kind": .sparseCategoricalCrossentropy, "size": .mse],
      lossWeights: ["size": 0.5], metrics: ["kind": [.accuracy], "size": ["mae"]])
    let x = data(60, 4), z = data(60, 3, seed: 2)
    let kinds = Tensor((0..<60).map { Int32(x.floats[$0 * 4] > 0 ? 1 : 0) })
    let sizes = z.sliced(axis: 1, from: 0, count: 1) * 2
    let history = try model.fit(
      [x, z], [kinds, sizes], epochs: 30, batchSize: 20, verbose: .silent, validationSplit: 0.2)
    let names = ["loss", "kind_loss", "size_loss", "kind_accuracy", "size_mae"]
    #expect(Set(history.values.keys) == Set(names + names.map { "val_\($0)" }))
    #expect(history["kind_accuracy"].last! > 0.9)
    #expect(history["size_mae"].last! < 0.4)
    let last = zip(history["kind_loss"], history["size_loss"]).map { $0 + 0.5 * $1 }
    for (sum, loss) in zip(last, history["loss"]) { #expect(abs(sum - loss) < 1e-4) }
    let found = try model.evaluate([x, z], [kinds, sizes])
    #expect(found["kind_accuracy"]! > 0.85)
    let outputs = try model.predict([x, z])
    #expect(outputs.map(\.shape) == [[60, 3], [60, 1]])
  }

  @Test("a shared layer has its weights once and gets the gradients of both uses")
  func shared() throws {
    let a = Input([3]), b = Input([3])
    let encoder = Dense(2, useBias: false, kernelInitializer: .ones, name: "encoder")
    let model = try Model(inputs: [a, b], outputs: [Subtract()([encoder(a), encoder(b)])])
    #expect(model.weights.count == 1)
    try model.compile(optimizer: SGD(learningRate: 0.1), losses: [.mse])
    let x = Tensor([[1, 0, 0]] as [[Float]]), y = Tensor([[0, 1, 0]] as [[Float]])
    try model.trainOnBatch(Batch(inputs: [x, y], labels: [Tensor([[1, 1]] as [[Float]])]))
    // The output is kernel[0] − kernel[1] = 0, d/dkernel[0] of the mean of (y − 1)² is −1, of kernel[1] +1.
    let kernel = model.weights[0].value.floats
    for (value, expected) in zip(kernel, [1.1, 1.1, 0.9, 0.9, 1, 1] as [Float]) {
      #expect(abs(value - expected) < 1e-6)
    }
  }

  @Test("nested models, getLayer, the output of a layer inside, and clones")
  func nested() throws {
    let inner = Input([4])
    let encoder = try Model(inputs: inner, outputs: Dense(3, activation: .tanh)(inner), name: "encoder")
    let x = Input([4])
    let model = try Model(inputs: x, outputs: Dense(2)(encoder(x)))
    #expect(model.layers.map(\.name) == ["input_layer", "encoder", "dense"])
    #expect(model.weights.map(\.path) == ["dense/kernel", "dense/bias", "dense/kernel", "dense/bias"])
    let batch = data(5, 4)
    let expected = try model.predict(batch)
    let h = try encoder.predict(batch)
    let direct = try model.getLayer("dense")(h)
    expectClose(direct, expected, atol: 1e-6, "nested")
    let functional = try #require(model as? Functional)
    let features = try Model(inputs: functional.inputs, outputs: [functional.output(of: "encoder")])
    expectClose(try features.predict(batch), h, atol: 1e-6, "features")
    #expect(try model.getLayer(index: -1).name == "dense")
    #expect(message { _ = try model.getLayer(index: 3) }!.contains("there are 3 layers, none at 3"))

    let clone = try cloneModel(model)
    #expect(clone.layers.map(\.name) == model.layers.map(\.name))
    #expect(clone.weights.count == model.weights.count)
    #expect(
      Set(clone.weights.map { ObjectIdentifier($0) }).isDisjoint(
        with: model.weights.map { ObjectIdentifier($0) }))
    try clone.setWeights(model.getWeights())
    expectClose(try clone.predict(batch), expected, atol: 0, "clone")
  }

  @Test("the seed decides the initial weights, whenever the layers were called")
  func seed() throws {
    func kernel(_ seed: Int) throws -> [Float] {
      let x = Input([4])
      return try Model(inputs: x, outputs: Dense(3)(x), seed: seed).weights[0].value.floats
    }
    #expect(try kernel(1) == kernel(1))
    #expect(try kernel(1) != kernel(2))
    let x = Input([4])
    let dense = Dense(3)
    let y = dense(x)
    try dense.setWeights([Tensor.ones([4, 3]), Tensor.zeros([3])])
    #expect(try Model(inputs: x, outputs: y).weights[0].value.floats.allSatisfy { $0 == 1 })
  }

  @Test("frozen layers stay, and thawing them trains them again")
  func freezing() throws {
    let x = Input([4])
    let model = try Model(inputs: x, outputs: Dense(2, name: "top")(Dense(3, name: "base")(x)))
    let base = try model.getLayer("base")
    base.trainable = false
    try model.compile(optimizer: SGD(learningRate: 0.1), loss: .mse)
    let before = base.getWeights()[0].floats
    let top = try model.getLayer("top").getWeights()[0].floats
    try model.fit(data(8, 4), data(8, 2, seed: 3), verbose: .silent)
    #expect(base.getWeights()[0].floats == before)
    #expect(try model.getLayer("top").getWeights()[0].floats != top)
    base.trainable = true
    try model.fit(data(8, 4), data(8, 2, seed: 3), verbose: .silent)
    #expect(base.getWeights()[0].floats != before)
  }

  final class Halved: Model, @unchecked Sendable {
    let dense = Dense(1, useBias: false, kernelInitializer: .ones)
    override func call(_ x: Tensor, _ context: CallContext) -> Tensor { dense(x, context) }
    override func trainStep(
      _ step: TrainingStep, inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor?
    ) -> Tensor {
      let context = step.context
      let (loss, gradients) = step.lossAndGradients {
        (self(inputs, context)[0] - labels[0]).squared().mean() * 0.5
      }
      _ = step.update(loss, gradients)
      step.count(loss, inputs: inputs, labels: labels, outputs: self(inputs), sampleWeights: nil)
      return loss
    }
  }

  @Test("a training step of the user's own", arguments: [false, true])
  func customStep(_ eagerly: Bool) throws {
    let model = Halved()
    try model.compile(optimizer: SGD(learningRate: 0.5), losses: [], runEagerly: eagerly)
    let logs = try model.trainOnBatch(Tensor([[2]] as [[Float]]), Tensor([[0]] as [[Float]]))
    #expect(logs["loss"] == 2)
    #expect(model.weights[0].value.floats == [-1])
  }

  @Test("steps that are open stay open")
  func openSizes() throws {
    let x = Input(sizes: [nil, 4])
    let y = Dense(3)(x)
    #expect(y.shape == [nil, nil, 3])
    let model = try Model(inputs: x, outputs: y)
    #expect(try model.predict(Tensor.ones([2, 7, 4])).shape == [2, 7, 3])
    #expect(try model.predict(Tensor.ones([2, 5, 4])).shape == [2, 5, 3])
  }

  @Test(
    "open sizes may be too small for what stands for them first: long kernels, many poolings, in one branch")
  func largeOpenSizes() throws {
    let sound = Input(sizes: [nil, 2])
    let long = GlobalMaxPooling1D()(Conv1D(3, kernelSize: 100)(sound))
    var pooled = Conv1D(4, kernelSize: 3)(sound)
    for _ in 0..<8 { pooled = MaxPooling1D()(pooled) }
    #expect(pooled.shape == [nil, nil, 4])
    let both = Concatenate()([GlobalAveragePooling1D()(pooled), long])
    #expect(both.shape == [nil, 7])
    let model = try Model(inputs: [sound], outputs: [both, pooled])
    let results: [Tensor] = try model.predict([Tensor.ones([2, 600, 2])])
    #expect(results.map(\.shape) == [[2, 7], [2, 2, 4]])
    #expect(throws: ModelError.self) { let _: [Tensor] = try model.predict([Tensor.ones([2, 200, 2])]) }
    #expect(
      message {
        let x = Input(sizes: [nil, 5])
        _ = try Model(inputs: x, outputs: Dense(3)(Flatten()(x)))
      }
        == "dense: expected a last axis of 120, got [1, 200] (24 and 40 stand for sizes that are open)"
    )
  }

  @Test("a summary shows which sizes are open")
  func openSummary() throws {
    let model = Sequential {
      Input(sizes: [nil, 8, 3])
      Conv2D(2, kernelSize: 3, name: "conv")
      GlobalAveragePooling2D(name: "pool")
    }
    #expect(model.summaryText.contains("│ conv (Conv2D)                   │ (None, None, 6, 2)     │"))
    #expect(model.summaryText.contains("│ pool (GlobalAveragePooling2D)   │ (None, 2)              │"))
    let x = Input(sizes: [nil, 4])
    let graph = try Model(inputs: x, outputs: LSTM(3, returnSequences: true, name: "lstm")(x))
    #expect(graph.summaryText.contains("│ (None, None, 3)        │"))
  }

  @Test("what doesn't fit is said when the model is made, with both shapes")
  func errors() throws {
    let a = Input([4], name: "a"), b = Input([3], name: "b")
    #expect(
      message { _ = try Model(inputs: [a, b], outputs: [Add()([a, b])]) }
        == "add: the inputs don't fit: input 0 is [1, 4], input 1 is [1, 3]; a Dense or 1 × 1 convolution of 4 on the second makes the last axes alike; the inputs come from 'a', 'b'"
    )
    #expect(
      message { _ = try Model(inputs: [a, b], outputs: [Add()([Dense(3)(a), Dense(7)(b)])]) }
        == "add: the inputs don't fit: input 0 is [1, 3], input 1 is [1, 7]; a Dense or 1 × 1 convolution of 3 on the second makes the last axes alike; the inputs come from 'dense' of 'a', 'dense' of 'b'"
    )
    let (image, flat) = (
      Conv2D(2, kernelSize: 3, name: "left")(Input([8, 8, 1])), Dense(2, name: "right")(a)
    )
    #expect(
      message { _ = try Model(inputs: [a], outputs: [Concatenate()([image, flat])]) }
        == "concatenate: the inputs have different ranks: input 0 is [1, 6, 6, 2], input 1 is [1, 2]; Flatten() or Reshape one of them; the inputs come from 'left', 'right'"
    )
    #expect(
      message { _ = try Model(inputs: a, outputs: Add()([Dense(3)(a), b])) }
        == "the outputs depend on the input 'b' of shape [3], which isn't among the model's inputs")
    let twice = [Dense(2, name: "x")(a), Dense(2, name: "x")(a)]
    #expect(
      message { _ = try Model(inputs: [a], outputs: twice) }
        == "two layers are named 'x'; names of the layers of a model must differ")
    let model = try Model(inputs: [a, b], outputs: [Concatenate()([a, b])], name: "m")
    #expect(message { _ = try model.predict(Tensor.ones([2, 4])) } == "m: expected 2 inputs (a, b), got 1")
    let wrong: [Tensor] = [Tensor.ones([2, 4]), Tensor.ones([2, 5])]
    #expect(message { _ = try model.predict(wrong) } == "b: expected samples of shape [3], got [5]")
    #expect(
      message { try model.compile(optimizer: "sgd", losses: ["concatenat": .mse]) }
        == "unknown output 'concatenat'; did you mean 'concatenate'?")
  }

  @Test("the summary says what each layer is connected to")
  func summary() throws {
    let a = Input([4], name: "a")
    let h = Dense(3, name: "h")
    let model = try Model(inputs: a, outputs: Add(name: "sum")([h(a), h(a)]), name: "m")
    #expect(
      model.summaryText.split(separator: "\n").prefix(8).joined(separator: "\n") == """
        Model: "m"
        ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━┓
        ┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃ Connected to         ┃
        ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━┩
        │ a (InputLayer)                  │ (None, 4)              │             0 │ -                    │
        ├─────────────────────────────────┼────────────────────────┼───────────────┼──────────────────────┤
        │ h (Dense)                       │ (None, 3)              │            15 │ a[0][0], a[0][0]     │
        ├─────────────────────────────────┼────────────────────────┼───────────────┼──────────────────────┤
        """)
    #expect(model.summaryText.contains("│ h[0][0], h[1][0]     │"))
  }

  @Test("masks travel with tensors to the loss, and stop at layers that don't pass them on")
  func masks() throws {
    let x = Input([3, 2])
    let masked = Masking()(x)
    let model = try Model(inputs: x, outputs: Dense(1, useBias: false, kernelInitializer: .ones)(masked))
    try model.compile(optimizer: SGD(learningRate: 0), loss: .mse)
    // Of three steps one doesn't count; the others are off by 1 and 2 from labels of 0.
    let inputs = Tensor([1, 0, 0, 0, 1, 1] as [Float], shape: [1, 3, 2])
    #expect(try model.evaluate(inputs, Tensor.zeros([1, 3, 1])).loss == 2.5)
    var plain = inputs
    plain.mask = Tensor([true, false, true]).reshaped(to: [1, 3])
    #expect(Dense(2)(plain).mask != nil)
    #expect(Flatten()(plain).mask == nil)
    #expect((plain * 2).mask == nil)
  }

  @Test("a number that an embedding has no row for is found before training, with its row")
  func vocabulary() throws {
    let x = Input([2], dtype: .int32)
    let model = try Model(inputs: x, outputs: Dense(1)(Flatten()(Embedding(5, 3)(x))))
    try model.compile(optimizer: "sgd", loss: .mse)
    let words = "embedding: the number in row 1 is 5, expected one in 0..<5"
    let numbers = Tensor([0, 4, 5, 1] as [Int32], shape: [2, 2])
    #expect(message { try model.fit(numbers, Tensor.ones([2, 1]), verbose: .silent) } == words)
    #expect(message { _ = try model.predict(numbers) } == words)
    #expect(message { _ = try model.evaluate(numbers, Tensor.ones([2, 1])) } == words)
  }

  @Test("an embedding trains alike compiled and eagerly, rows that no step looks up included")
  func embedding() throws {
    func trained(_ eagerly: Bool) throws -> [[Float]] {
      let x = Input([5], dtype: .int32)
      let model = try Model(inputs: x, outputs: Dense(1)(Flatten()(Embedding(11, 4)(x))), seed: 3)
      try model.compile(optimizer: Adam(learningRate: 0.1), loss: .mse, runEagerly: eagerly)
      for step in 0..<4 {
        let numbers = Tensor((0..<20).map { Int32(($0 * 7 + step * 3) % (5 + step)) }, shape: [4, 5])
        try model.trainOnBatch(numbers, Tensor.ones([4, 1]))
      }
      return model.getWeights().map(\.floats)
    }
    for (a, b) in zip(try trained(false), try trained(true)) {
      for (x, y) in zip(a, b) { #expect(abs(x - y) < 1e-4) }
    }
  }
}
