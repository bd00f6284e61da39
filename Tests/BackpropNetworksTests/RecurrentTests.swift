import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

/// What the goldens of `layers_recurrent.json` don't say of recurrent layers.
@Suite("Recurrent layers") struct RecurrentTests {
  private static func sequences(_ shape: Shape = [3, 6, 4], seed: Int = 1) -> Tensor {
    RandomGenerator(seed: seed).normal(shape)
  }

  private static func masked(_ x: Tensor) -> Tensor {
    var x = x
    let counts = (0..<x.shape[0] * x.shape[1]).map { $0 % 5 != 1 && $0 != 6 }
    x.mask = Tensor(counts).reshaped(to: [x.shape[0], x.shape[1]])
    return x
  }

  // MARK: The engine's operation and the loop over steps

  private static let kinds: [(String, @Sendable (RecurrenceOptions) -> RecurrentLayer)] = [
    ("SimpleRNN", { SimpleRNN(configuration: Joined(SimpleRNNCell(5).configuration, $0)) }),
    ("LSTM", { LSTM(configuration: Joined(LSTMCell(5).configuration, $0)) }),
    ("GRU", { GRU(configuration: Joined(GRUCell(5).configuration, $0)) }),
    (
      "GRU that resets before",
      { GRU(configuration: Joined(GRUCell(5, resetAfter: false).configuration, $0)) }
    ),
  ]

  @Test("are the same by the engine's operation and step by step", arguments: kinds.indices, 0..<8)
  func composed(_ kind: Int, _ bits: Int) throws {
    let options = RecurrenceOptions(
      returnSequences: bits & 1 != 0, returnState: true, goBackwards: bits & 2 != 0,
      zeroOutputForMask: bits & 4 != 0)
    let layer = Self.kinds[kind].1(options)
    let x = Self.sequences()
    let states = (0..<layer.cell.stateCount).map { Self.sequences([3, 5], seed: 7 + $0) }
    for (mask, start) in [(false, false), (true, false), (true, true), (false, true)] {
      let inputs = [x] + (start ? states : [])
      let context = CallContext(mask: mask ? Self.masked(x).mask : nil)
      try layer.prepare(inputs.map(\.shape))
      for weight in layer.weights {
        weight.value = RandomGenerator(seed: 3).normal(weight.shape, standardDeviation: 0.7)
      }
      let variables = layer.weights.map(\.variable)
      @Sendable func run() -> [Tensor] {
        let (results, gradients) = valueAndGradient(at: variables) {
          let results = layer(inputs, context)
          return results.dropFirst().reduce(results[0].squared().sum()) { $0 + $1.sum() }
        }
        return [results] + gradients.map { $0! } + layer(inputs, context)
      }
      let fast = run()
      let slow = RecurrentLayer.$composesSteps.withValue(true) { run() }
      for (a, b) in zip(fast, slow) {
        expectClose(a, b, atol: 2e-5, rtol: 2e-5, "\(Self.kinds[kind].0) \(options) \(mask) \(start)")
      }
    }
  }

  // MARK: Dropout

  @Test("drop the same inputs and states at each step, scaled to keep the mean")
  func dropout() throws {
    let layer = LSTM(64, dropout: 0.25, seed: 3)
    try layer.prepare([[50, 7, 40]])
    let masks = layer.cell.drawMasks(for: [50, 40], .training)
    #expect(masks.inputs.count == 1 && masks.states.isEmpty)
    let values = masks.inputs[0].doubles
    #expect(Set(values.map { ($0 * 3).rounded() }) == [0, 4])
    #expect(abs(values.reduce(0, +) / Double(values.count) - 1) < 0.04)
    #expect(layer.cell.drawMasks(for: [50, 40], .inference).inputs.isEmpty)

    let both = GRU(64, dropout: 0.5, recurrentDropout: 0.5)
    try both.prepare([[50, 7, 40]])
    let gates = both.cell.drawMasks(for: [50, 40], .training)
    #expect(gates.inputs.map(\.shape) == [[50, 40], [50, 40], [50, 40]])
    #expect(gates.states.map(\.shape) == [[50, 64], [50, 64], [50, 64]])
    #expect(gates.inputs[0].doubles != gates.inputs[1].doubles)

    // An identity kernel shows what was dropped.
    let plain = SimpleRNN(
      8, activation: .linear, useBias: false, kernelInitializer: .identity, recurrentInitializer: .zeros,
      dropout: 0.5, returnSequences: true)
    let result = plain(Tensor.ones([4, 5, 8]), .training)
    let steps = result.steps.map(\.doubles)
    #expect(Set(steps[0]) == [0, 2])
    #expect(steps.allSatisfy { $0 == steps[0] })
    #expect(plain(Tensor.ones([4, 5, 8]), .training).doubles != result.doubles)
    #expect(plain(Tensor.ones([4, 5, 8])).doubles.allSatisfy { $0 == 1 })
  }

  // MARK: State

  @Test("stateful ones go on where the batch before ended, eager and compiled")
  func stateful() throws {
    for makes in [{ LSTM(5, stateful: $0) }, { GRU(5, stateful: $0) }] as [(Bool) -> RecurrentLayer] {
      let whole = makes(false)
      let layer = makes(true)
      let x = Self.sequences([3, 6, 4])
      let expected = whole(x)
      try layer.prepare([[3, 2, 4]])
      try layer.setWeights(whole.getWeights())
      let parts = x.split(3, axis: 1)
      let recorded = compiled { (inputs: [Tensor]) -> [Tensor] in layer(inputs) }
      for run in [{ layer($0) }, { recorded([$0])[0] }] as [(Tensor) -> Tensor] {
        layer.resetState()
        let results = parts.map(run)
        expectClose(results[2], expected, atol: 1e-5, rtol: 1e-5, "\(layer.className)")
      }
      #expect(layer.weights.count == 3, "the state isn't among the weights, as in Keras")
    }
  }

  @Test("the state of a stateful model is carried from predict to predict, and is part of a checkpoint")
  func statefulModel() throws {
    let model = Sequential {
      Input([2, 4])
      Bidirectional(LSTM(3, stateful: true))
    }
    let x = Self.sequences([3, 2, 4])
    let first = try model.predict(x)
    let second = try model.predict(x)
    #expect(first.doubles != second.doubles)
    let layer = model.layers[0] as! Bidirectional
    let names = model.trainingVariables.map(\.name).filter { $0.hasPrefix("carried") }
    #expect(names.count >= 4)
    layer.resetState()
    expectClose(try model.predict(x), first, atol: 1e-6, rtol: 1e-6)
    #expect(
      message { try layer.prepare([[5, 2, 4]]) }.contains(
        "shape [3, 3], a batch whose state has shape [5, 3]"))
    layer.resetState()
    #expect(message { try layer.prepare([[5, 2, 4]]) } == "nothing")
  }

  @Test("a stateful layer over images of open size carries a state for each size")
  func statefulImages() throws {
    let model = Sequential {
      Input(sizes: [3, nil, 2])
      ConvLSTM1D(4, kernelSize: 3, padding: .same, stateful: true, name: "conv")
    }
    let wide = try model.predict(Self.sequences([1, 3, 7, 2]))
    #expect(wide.shape == [1, 7, 4])
    let narrow = Self.sequences([1, 3, 5, 2])
    #expect(
      message { _ = try model.predict(narrow) }.contains(
        "conv: carries a state of shape [1, 7, 4], a batch whose state has shape [1, 5, 4] can't go on from it"
      ))
    (model.layers[0] as! RecurrentLayer).resetState()
    #expect(try model.predict(narrow).shape == [1, 5, 4])
  }

  // MARK: Cells of a user's own

  private final class Counter: RNNCell, @unchecked Sendable {
    private var factor: Weight!
    override var stateSizes: [Int] { [2, 1] }
    override func build(_ input: Shape) { factor = addWeight("factor", shape: [2], initializer: .ones) }
    override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
      let sum = inputs[1] + inputs[0] * factor.value
      return [sum * inputs[2], sum, inputs[2] + 1]
    }
  }

  @Test("run a user's cell, in a model that trains")
  func ownCell() throws {
    let x = Tensor([1, 2, 3, 4, 5, 6, 7, 8] as [Float]).reshaped(to: [1, 4, 2])
    let layer = RNN(Counter(), returnState: true)
    let results = layer([x])
    #expect(results.map(\.floats) == [[16 * 3, 20 * 3], [16, 20], [4]])
    let model = Sequential {
      RNN([Counter(), LSTMCell(3)], returnSequences: true, goBackwards: true)
      Dense(1)
    }
    try model.compile(optimizer: SGD(learningRate: 0.01), loss: .mse)
    let logs = try model.trainOnBatch(x, Tensor.zeros([1, 4, 1]))
    #expect(logs["loss"]!.isFinite)
    #expect(model.weights.map(\.path).first == "sequential/rnn/stacked_rnn_cells/counter/factor")
  }

  // MARK: Names, copies, models

  @Test("have Keras' paths")
  func paths() throws {
    let model = Sequential(name: "m") {
      Input([3, 4])
      Bidirectional(LSTM(2, returnSequences: true), name: "both")
      GRU(2)
    }
    #expect(
      model.weights.map(\.path) == [
        "m/both/forward_lstm/lstm_cell/kernel", "m/both/forward_lstm/lstm_cell/recurrent_kernel",
        "m/both/forward_lstm/lstm_cell/bias", "m/both/backward_lstm/lstm_cell/kernel",
        "m/both/backward_lstm/lstm_cell/recurrent_kernel", "m/both/backward_lstm/lstm_cell/bias",
        "m/gru/gru_cell/kernel", "m/gru/gru_cell/recurrent_kernel", "m/gru/gru_cell/bias",
      ])
  }

  @Test("the forget gate's bias starts as 1, also where the model draws the weights again")
  func forgetBias() throws {
    let expected: [Float] = [0, 0, 1, 1, 0, 0, 0, 0]
    let layer = LSTM(2)
    _ = layer(Self.sequences())
    #expect(layer.weights[2].value.floats == expected)
    let x = Input([3, 4])
    let symbolic = LSTM(2)
    let model = try Model(inputs: x, outputs: symbolic(x), seed: 5)
    #expect(model.weights[2].value.floats == expected)
  }

  @Test("copies share no weights")
  func clones() throws {
    let x = Self.sequences()
    for layer in [
      Bidirectional(GRU(2)), RNN([LSTMCell(2), GRUCell(3)]), TimeDistributed(Dense(2)), LSTM(3),
    ] as [Layer] {
      _ = layer(x)
      let copy = try layer.clone()
      _ = copy(x)
      #expect(copy.weights.count == layer.weights.count)
      let own = Set(layer.weights.map { ObjectIdentifier($0) })
      #expect(copy.weights.allSatisfy { !own.contains(ObjectIdentifier($0)) }, "\(layer.className)")
    }
  }

  @Test("an initial state from another layer: an encoder and a decoder")
  func initialState() throws {
    let (source, target) = (Input([5, 4]), Input([3, 2]))
    let encoded = LSTM(6, returnState: true).outputs(of: [source])
    let decoded = LSTM(6, returnSequences: true).outputs(of: [target, encoded[1], encoded[2]])
    let model = try Model(inputs: [source, target], outputs: [Dense(1)(decoded[0])])
    try model.compile(optimizer: Adam(), losses: [.mse])
    let (a, b) = (Self.sequences([2, 5, 4]), Self.sequences([2, 3, 2]))
    let before = try model.predict([a, b])[0]
    let other = try model.predict([a * 2, b])[0]
    #expect(before.doubles != other.doubles, "the decoder doesn't see the encoder's state")
    try model.trainOnBatch(Batch(inputs: [a, b], labels: [Tensor.zeros([2, 3, 1])]))
  }

  // MARK: Refusals

  private func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "nothing"
    } catch { return "\(error)" }
  }

  @Test("say what they take")
  func refusals() throws {
    func refusal(_ layer: Layer, _ shapes: Shape...) -> String { message { try layer.prepare(shapes) } }
    #expect(
      refusal(LSTM(3), [32, 200])
        == "lstm: expected sequences [batch, steps, features], got [32, 200]; Embedding before it makes vectors of whole numbers, Reshape([200, 1]) a sequence of one number a step"
    )
    #expect(
      refusal(GRU(3), [2, 3, 4, 5])
        == "gru: expected sequences [batch, steps, features], got [2, 3, 4, 5]; TimeDistributed(Flatten()) before it makes one axis of a step's"
    )
    #expect(
      refusal(ConvLSTM2D(3, kernelSize: 2), [2, 5, 5, 3])
        == "conv_lstm2d: expected sequences [batch, steps, height, width, channels], got [2, 5, 5, 3]; one sample without its batch axis, or one step without its axis?"
    )
    #expect(
      refusal(LSTM(3), [2, 5, 4], [2, 4], [2, 3])
        == "lstm: expected an initial state of [2, 3] and [2, 3], got [2, 4] and [2, 3]")
    #expect(refusal(LSTM(0), [2, 5, 4]) == "lstm/lstm_cell: units must be positive, got 0")
    #expect(refusal(GRU(2, dropout: 1.5), [2, 5, 4]) == "gru/gru_cell: dropout must be in 0...1, got 1.5")
    #expect(
      refusal(LSTM(2, recurrentActivation: "sigmiod"), [2, 5, 4])
        == "lstm/lstm_cell: unknown activation 'sigmiod'; did you mean 'sigmoid'?")
    #expect(
      refusal(ConvLSTM1D(2, kernelSize: 7), [2, 3, 5, 1]).contains(
        "a kernel of [7] is larger than images of [5]"))
    #expect(
      refusal(ConvLSTM1D(2, kernelSize: 2, strides: 2, dilationRate: 2), [2, 3, 5, 1])
        .contains("can't both be above 1"))
    let built = GRU(2)
    _ = built(Self.sequences())
    #expect(
      refusal(built, [3, 6, 5]) == "gru/gru_cell: expected steps of 4 features, got an input of [3, 5]")
    #expect(
      refusal(Bidirectional(LSTM(2), backwardLayer: LSTM(2)), [2, 3, 4])
        == "bidirectional: one of the layers must go backwards and the other not; both have goBackwards false"
    )
    #expect(
      refusal(
        Bidirectional(LSTM(2), backwardLayer: LSTM(2, returnState: true, goBackwards: true)), [2, 3, 4])
        == "bidirectional: the layers must have the same returnState, got false forwards and true backwards")
    #expect(refusal(LSTM(2), [2, 0, 4]) == "lstm: expected sequences of at least one step, got [2, 0, 4]")
    #expect(
      message {
        try LayerRegistry.named("Bidirectional").layer(
          config: ["layer": .object(["class_name": "Dense", "config": .object(["units": 2])])], name: nil,
          trainable: true, dtype: .float32
        ).prepare([[2, 3, 4]])
      }
        == "bidirectional: expected a recurrent layer such as LSTM, got a Dense")
  }
}
