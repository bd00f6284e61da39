import Backprop
import Testing

@testable import BackpropNetworks

@Suite("Bad input", .serialized) struct BadInputTests {
  private static func model(_ loss: Loss = .sparseCategoricalCrossentropy) throws -> Sequential {
    let model = network()
    try model.compile(optimizer: "sgd", loss: loss, metrics: [.accuracy])
    return model
  }

  private static let good = clouds(12)

  private static func labels(_ change: (inout [Int32]) -> Void) -> Tensor {
    var labels = (0..<12).map { Int32($0 % 4) }
    change(&labels)
    return Tensor(labels)
  }

  private static let cases: [(String, @Sendable () throws -> Void)] = [
    (
      "unknown optimizer 'adm'; did you mean 'adam'?",
      { try network().compile(optimizer: "adm", loss: .mse) }
    ),
    (
      "unknown loss 'mean_square_error'; did you mean 'mean_squared_error'?",
      { try network().compile(loss: "mean_square_error") }
    ),
    (
      "unknown metric 'acuracy'; did you mean 'accuracy'?",
      { try network().compile(loss: .mse, metrics: ["acuracy"]) }
    ),
    (
      "sequential: fit needs a compiled model; call compile(optimizer:loss:metrics:) first",
      { try network().fit(good, verbose: .silent) }
    ),
    ("epochs must be positive, got 0", { try model().fit(good, epochs: 0, verbose: .silent) }),
    ("batchSize must be positive, got 0", { try model().fit(good, batchSize: 0, verbose: .silent) }),
    ("batchSize must be positive, got -1", { _ = try model().predict(good.inputs, batchSize: -1) }),
    (
      "validationSplit must be in 0..<1, got 1.5",
      { try model().fit(good.inputs, good.labels, verbose: .silent, validationSplit: 1.5) }
    ),
    (
      "there are no samples: the inputs have shape [0, 2]",
      { try model().fit(Tensor.zeros([0, 2]), Tensor([] as [Int32]), verbose: .silent) }
    ),
    (
      "the inputs have 12 rows [12, 2], the labels 11 [11]",
      { try model().fit(good.inputs, good.labels[0..<11], verbose: .silent) }
    ),
    (
      "the label in row 7 is 4, expected a class number in 0..<4",
      { try model().fit(good.inputs, labels { $0[7] = 4 }, verbose: .silent) }
    ),
    (
      "the label in row 2 is -1, expected a class number in 0..<4",
      { _ = try model().evaluate(good.inputs, labels { $0[2] = -1 }) }
    ),
    (
      "the inputs hold nan in row 5; leave the row out or replace the value",
      {
        var values = good.inputs.tensor.floats
        values[11] = .nan
        try model().fit(Tensor(values, shape: [12, 2]), good.labels, verbose: .silent)
      }
    ),
    (
      "in the validation data: the label in row 7 is 4, expected a class number in 0..<4",
      {
        let validation = LabelledData(good.inputs, labels { $0[7] = 4 })
        try model().fit(good, verbose: .silent, callbacks: [Untouched()], validationData: validation)
      }
    ),
    (
      "sequential/dense: in the validation data: expected a last axis of 2, got [12, 3]",
      {
        let validation = LabelledData(Tensor.zeros([12, 3]), good.labels)
        try model().fit(good, verbose: .silent, callbacks: [Untouched()], validationData: validation)
      }
    ),
    (
      "sequential/dense: unknown initializer 'he_norml'; did you mean 'he_normal'?",
      { try Sequential { Dense(3, kernelInitializer: "he_norml") }.build(sampleShape: [4]) }
    ),
    (
      "sequential/dense: unknown regularizer 'l3'; did you mean 'l1'?",
      { try Sequential { Dense(3, biasRegularizer: "l3") }.build(sampleShape: [4]) }
    ),
    (
      "mean_squared_error: labels of shape [10, 1] against predictions of shape [10, 4]: they would broadcast; give each row as many labels as it has predictions",
      { try model(.mse).fit(Tensor.zeros([10, 2]), Tensor.zeros([10, 1]), verbose: .silent) }
    ),
    (
      "sequential/dense: expected a last axis of 2, got [12, 3]",
      {
        let model = try Self.model()
        try model.build(sampleShape: [2])
        try model.fit(Tensor.zeros([12, 3]), good.labels, verbose: .silent)
      }
    ),
    (
      "sequential/dense: expected a last axis of 784, got [32, 28, 28]; add Flatten() before it",
      {
        let model = Sequential { Dense(4) }
        try model.build(sampleShape: [784])
        _ = try model.predict(Tensor.zeros([32, 28, 28]))
      }
    ),
    (
      "sequential/input_layer: expected samples of shape [784], got [28, 28]; reshape the samples",
      {
        let model = Sequential {
          Input([784])
          Dense(4)
        }
        _ = try model.predict(Tensor.zeros([32, 28, 28]))
      }
    ),
    (
      "sequential/dense: units must be positive, got 0",
      { try Sequential { Dense(0) }.build(sampleShape: [3]) }
    ),
    (
      "sequential/dropout: the rate must be in 0...1, got 1.5",
      { try Sequential { Dropout(1.5) }.build(sampleShape: [3]) }
    ),
    (
      "sequential/reshape: [5] doesn't hold the 4 elements of a sample of [1, 4]",
      { try Sequential { Reshape([5]) }.build(sampleShape: [4]) }
    ),
    (
      "sequential/leaky_re_lu: negativeSlope must not be negative, got -1.0",
      { try Sequential { LeakyReLU(negativeSlope: -1) }.build(sampleShape: [3]) }
    ),
    (
      "attention: expected an attention mask that stretches to [1, 2, 3, 4], got shape [1, 3, 5]; the inputs come from 'q', 'v', 'v', 'mask'",
      {
        let (q, v) = (Input([3, 4], name: "q"), Input([4, 4], name: "v"))
        let attention = MultiHeadAttention(2, keyDim: 3, name: "attention")
        let mask = Input([3, 5], dtype: .bool, name: "mask")
        _ = try Model(
          inputs: [q, v, mask], outputs: [attention(query: q, value: v, attentionMask: mask)])
      }
    ),
    (
      "einsum: expected 24 elements along axis b of \"abc,cd->abd\", got [1, 40, 5] (24 and 40 stand for sizes that are open)",
      {
        let x = Input(sizes: [nil, 5])
        let einsum = EinsumDense("abc,cd->abd", outputShape: [nil, 4], biasAxes: "bd", name: "einsum")
        _ = try Model(inputs: x, outputs: einsum(x))
      }
    ),
    (
      "attention: a causal mask needs attention along one axis, got the axes [1, 2]",
      {
        let x = Input([3, 4, 5])
        let attention = MultiHeadAttention(2, keyDim: 3, name: "attention")
        _ = try Model(inputs: x, outputs: attention(query: x, value: x, useCausalMask: true))
      }
    ),
    (
      "attention: with flashAttention there are no attention scores to return",
      {
        let x = Input([3, 4])
        let attention = GroupQueryAttention(
          headDim: 2, numQueryHeads: 2, numKeyValueHeads: 1, flashAttention: true, name: "attention")
        _ = try Model(
          inputs: [x], outputs: attention.outputs(of: [x, x], options: [.returnAttentionScores]))
      }
    ),
    (
      "sequential/resizing: the new size must be positive, got 0 × 3",
      { try Sequential { Resizing(0, 3) }.build(sampleShape: [4, 4, 1]) }
    ),
    (
      "category_encoding: the number in row 1 is 5, expected one in 0..<3",
      { _ = try Sequential { CategoryEncoding(3) }.predict(Tensor([0, 5] as [Int32], shape: [2, 1])) }
    ),
    (
      "sequential: there are no layers; put some between the braces of Sequential { }",
      { try Sequential([]).build(sampleShape: [4]) }
    ),
    (
      "sequential/dense: expected 2 weights, got 1",
      {
        let layer = Dense(3)
        try Sequential([layer]).build(sampleShape: [4])
        try layer.setWeights([Tensor.zeros([4, 3])])
      }
    ),
    (
      "sequential/dense/kernel: expected shape [4, 3], got [3, 4]",
      {
        let layer = Dense(3)
        try Sequential([layer]).build(sampleShape: [4])
        try layer.setWeights([Tensor.zeros([3, 4]), Tensor.zeros([3])])
      }
    ),
    (
      "EarlyStopping: there is no 'val_loss' among loss, accuracy; fit with validationData or validationSplit",
      { try model().fit(good, verbose: .silent, callbacks: [EarlyStopping()]) }
    ),
    (
      "unknown layer 'dens'; did you mean 'dense'?",
      {
        let model = try Self.model()
        try model.build(sampleShape: [2])
        _ = try model.getLayer("dens")
      }
    ),
  ]

  @Test("is answered with the thing, what was expected, what came and the way out", arguments: cases.indices)
  func wording(_ index: Int) {
    let (expected, body) = Self.cases[index]
    #expect(message(body) == expected)
  }

  /// Gives NaN where its input is large.
  private final class Fragile: Layer, @unchecked Sendable {
    override func call(_ x: Tensor, _ context: CallContext) -> Tensor { (100 - x).sqrt() }
  }

  @Test(
    "a loss that becomes NaN stops before the weights are touched and says where", arguments: [false, true])
  func notFinite(_ runsEagerly: Bool) throws {
    let model = Sequential {
      Dense(3, kernelInitializer: .ones, name: "first")
      Fragile()
      Dense(1, name: "last")
    }
    try model.compile(optimizer: SGD(learningRate: 1e-6), loss: .mse, runEagerly: runsEagerly)
    var values = [Float](repeating: 1, count: 40)
    values[2 * 13] = 1000
    let inputs = Tensor(values, shape: [20, 2])
    try model.fit(inputs[0..<8], Tensor.zeros([8, 1]), batchSize: 4, verbose: .silent, shuffle: false)
    let before = model.getWeights().map(\.floats)
    let found = message {
      try model.fit(
        inputs[12..<20], Tensor.zeros([8, 1]), epochs: 2, batchSize: 4, verbose: .silent, shuffle: false)
    }
    #expect(
      found
        == "the loss is nan at step 1 (epoch 1); sequential/fragile: the first nan is in the result of sqrt, row 1 of the batch: float32[4, 3]: 3 nan, 0 infinite, the others min 9.899, max 9.899, mean 9.899; training stopped before this step's update"
    )
    #expect(model.getWeights().map(\.floats) == before)
    #expect(model.optimizer?.iterations == 2)
  }

  @Test("NaN in a batch of a data set is named with its row")
  func batchWithNaN() throws {
    let model = try Self.model()
    var values = Self.good.inputs.tensor.floats
    values[9] = .nan
    let batches = [Batch(Tensor(values, shape: [12, 2]), Self.good.labels.tensor)]
    #expect(
      message { try model.fit(batches, verbose: .silent) }
        == "the loss is nan at step 1 (epoch 1); nan in the data: input 0, row 4 of the batch (float32[12, 2]: 1 nan, 0 infinite, the others min -2.507, max 2.93, mean -0.08775); training stopped before this step's update"
    )
  }
}

/// Bad data is found before the first step.
private final class Untouched: Callback, @unchecked Sendable {
  override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) { Issue.record("a step was taken") }
}
