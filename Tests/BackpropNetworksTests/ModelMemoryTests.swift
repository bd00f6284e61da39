import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

/// What holds on to a model's weights holds on to hundreds of megabytes.
@Suite("Memory of models") struct ModelMemoryTests {
  enum Use: String, CaseIterable, Sendable {
    case built, functional, predicted, trained, trainedEagerly, evaluated, monitored, profiled
  }

  @Test("weights, optimizer and model are freed with the last that holds the model", arguments: Use.allCases)
  func freed(_ use: Use) throws {
    weak var model: Model?
    weak var layer: Layer?
    weak var weight: Variable?
    weak var slot: Variable?
    try {
      let made = try Self.model(use)
      (model, weight, slot) = (made, made.weights[0].variable, made.optimizer?.variables.last)
      // A functional model's is its input.
      layer = made.layers.first
      #expect(weight != nil && layer != nil)
    }()
    #expect(model == nil)
    #expect(layer == nil)
    #expect(weight == nil)
    #expect(slot == nil)
  }

  @Test("a compiled closure lets go of what it read")
  func compiledClosure() {
    weak var variable: Variable?
    do {
      let made = Variable(Tensor.ones([2]))
      variable = made
      let step = compiled { inputs in
        made.value = made.value + inputs[0]
        return [made.value * 2]
      }
      #expect(step([Tensor.ones([2])])[0].floats == [4, 4])
    }
    #expect(variable == nil)
  }

  private static func model(_ use: Use) throws -> Model {
    let (x, y) = (Tensor.ones([8, 3]), Tensor((0..<8).map { Int32($0 % 2) }))
    let model: Model
    if use == .functional {
      let input = Input([3])
      model = try Model(inputs: [input], outputs: [Dense(2, activation: .softmax)(Dense(4)(input))])
    } else {
      model = Sequential {
        Dense(4)
        Dense(2, activation: .softmax)
      }
    }
    try model.build(sampleShape: [3])
    if use == .built { return model }
    if use == .predicted {
      _ = try model.predict(x)
      return model
    }
    try model.compile(
      optimizer: Adam(), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy],
      runEagerly: use == .trainedEagerly)
    switch use {
    case .evaluated: _ = try model.evaluate(x, y)
    case .profiled: _ = try model.profile(x, y, batchSize: 4, runs: 2)
    default:
      let callbacks = use == .monitored ? [GradientMonitor(every: 1)] : []
      try model.fit(x, y, epochs: 2, batchSize: 4, verbose: .silent, callbacks: callbacks)
    }
    return model
  }
}
