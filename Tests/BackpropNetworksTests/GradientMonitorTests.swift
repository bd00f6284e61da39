import Backprop
import Testing

@testable import BackpropNetworks

/// A network to be judged.
struct Patient: CustomTestStringConvertible, Sendable {
  let testDescription: String
  /// Empty: healthy.
  let kinds: Set<GradientVerdict.Kind>
  let layers: @Sendable () -> [Layer]
  var optimizer: @Sendable () -> Optimizer = { Adam() }
  var loss: Loss = .sparseCategoricalCrossentropy
  /// What the inputs, normal with deviation 1, are multiplied by.
  var scale = 1.0
  var epochs = 4

  static func stack(
    _ depth: Int, _ activation: ActivationFunction, _ initializer: Initializer = .glorotUniform,
    units: Int = 32,
    bias: Initializer = .zeros
  ) -> [Layer] {
    (0..<depth).map { _ in
      Dense(units, activation: activation, kernelInitializer: initializer, biasInitializer: bias)
    } + [Dense(4, activation: .softmax)]
  }

  static let sick: [Patient] = [
    Patient(testDescription: "ten sigmoid layers", kinds: [.vanishing], layers: { stack(10, .sigmoid) }),
    Patient(
      testDescription: "fifteen sigmoid layers, SGD", kinds: [.vanishing], layers: { stack(15, .sigmoid) },
      optimizer: { SGD() }),
    Patient(
      testDescription: "eight tanh layers with tiny weights", kinds: [.vanishing],
      layers: { stack(8, .tanh, .randomNormal(standardDeviation: 0.02)) }, optimizer: { SGD() }),
    Patient(
      testDescription: "eight ReLU layers with tiny weights", kinds: [.vanishing],
      layers: { stack(8, .relu, .randomNormal(standardDeviation: 0.02)) }, optimizer: { SGD() }),
    Patient(
      testDescription: "five tanh layers with huge weights", kinds: [.saturated],
      layers: { stack(5, .tanh, .randomNormal(standardDeviation: 2)) }, optimizer: { SGD(learningRate: 1e-4) }
    ),
    Patient(
      testDescription: "two sigmoid layers on inputs up to 1000", kinds: [.saturated],
      layers: { stack(2, .sigmoid) },
      optimizer: { SGD(learningRate: 1e-3) }, scale: 1000),
    Patient(
      testDescription: "ReLU with biases far below zero", kinds: [.dead],
      layers: { stack(2, .relu, bias: .constant(-50)) }),
    Patient(
      testDescription: "ten linear layers with large weights", kinds: [.exploding],
      layers: { stack(10, .linear, .randomNormal(standardDeviation: 1)) },
      optimizer: { SGD(learningRate: 1e-12) }),
    Patient(
      testDescription: "SGD with a rate of 1e-10", kinds: [.stepsTooSmall], layers: { stack(2, .relu) },
      optimizer: { SGD(learningRate: 1e-10) }),
    Patient(
      testDescription: "Adam with a rate of 1", kinds: [.stepsTooLarge], layers: { stack(1, .tanh) },
      optimizer: { SGD(learningRate: 200) }, epochs: 1),
    Patient(testDescription: "all weights zero", kinds: [.noGradient], layers: { stack(2, .tanh, .zeros) }),
  ]

  static let healthy: [Patient] = [
    Patient(testDescription: "the guide's network", kinds: [], layers: { stack(2, .relu, units: 64) }),
    Patient(
      testDescription: "ten ReLU layers with He initialisation", kinds: [],
      layers: { stack(10, .relu, .heNormal) }),
    Patient(testDescription: "five tanh layers", kinds: [], layers: { stack(5, .tanh) }),
    Patient(testDescription: "one sigmoid layer", kinds: [], layers: { stack(1, .sigmoid) }),
    Patient(
      testDescription: "two sigmoid layers, SGD", kinds: [], layers: { stack(2, .sigmoid) },
      optimizer: { SGD() }),
    Patient(testDescription: "no hidden layer", kinds: [], layers: { stack(0, .relu) }),
    Patient(testDescription: "eight GELU layers", kinds: [], layers: { stack(8, .gelu, .heNormal) }),
    Patient(testDescription: "RMSprop", kinds: [], layers: { stack(3, .relu) }, optimizer: { RMSprop() }),
    Patient(testDescription: "trained for long", kinds: [], layers: { stack(2, .relu) }, epochs: 60),
    Patient(
      testDescription: "a regression", kinds: [],
      layers: { [Dense(32, activation: .relu), Dense(16, activation: .tanh), Dense(1)] },
      loss: .meanSquaredError),
  ]
}

@Suite("Gradients in words", .serialized) struct GradientMonitorTests {
  static func train(_ patient: Patient, _ monitor: GradientMonitor, eagerly: Bool = false) throws {
    let random = RandomGenerator(seed: 4)
    let x = random.normal([256, 20]) * patient.scale
    // What can be learned: which of four sums is the largest.
    let sums = x.reshaped(to: [256, 4, 5]).sum(axes: [2])
    let labels =
      patient.loss.name == "mean_squared_error" ? sums[0..., 0..<1] / patient.scale : sums.argMax(axis: 1)
    let model = Sequential(patient.layers(), seed: 2)
    try model.compile(optimizer: patient.optimizer(), loss: patient.loss, runEagerly: eagerly)
    try model.fit(x, labels, epochs: patient.epochs, batchSize: 32, verbose: .silent, callbacks: [monitor])
  }

  @Test("what is wrong is named", arguments: Patient.sick)
  func sick(_ patient: Patient) throws {
    let monitor = GradientMonitor(every: 2)
    do { try Self.train(patient, monitor) } catch is TrainingError {}
    let found = Set(monitor.verdict.findings.map(\.kind))
    #expect(!patient.kinds.isDisjoint(with: found), "\(monitor.verdict)")
  }

  @Test("no false alarm", arguments: Patient.healthy)
  func healthy(_ patient: Patient) throws {
    let monitor = GradientMonitor(every: 2)
    try Self.train(patient, monitor)
    #expect(monitor.verdict.isHealthy, "\(monitor.verdict)")
    #expect("\(monitor.verdict)" == "gradients are healthy")
  }

  @Test("the sentence names layers, size and the way out")
  func words() throws {
    let monitor = GradientMonitor(every: 1)
    try Self.train(Patient.sick[0], monitor)
    let text = "\(monitor.verdict)"
    #expect(
      text.contains(
        /gradients shrink 10\^[0-9]+-fold from dense_[0-9]+ to dense: vanishing; a sigmoid's slope/),
      "\(text)")
    #expect("\(GradientMonitor().verdict)" == "no step was measured")
  }

  @Test(
    "the numbers are the gradients', compiled and eager, and measuring changes nothing",
    arguments: [false, true])
  func numbers(eagerly: Bool) throws {
    let x = Tensor((0..<24).map { Float($0 % 7) - 3 }, shape: [6, 4])
    let y = Tensor((0..<6).map { Int32($0 % 2) })
    func model() throws -> Sequential {
      let model = Sequential(seed: 3) {
        Dense(5, activation: .relu)
        Dense(3, activation: .tanh)
        Dense(2, activation: .softmax)
      }
      try model.build(sampleShape: [4])
      try model.compile(
        optimizer: SGD(learningRate: 0.1), loss: .sparseCategoricalCrossentropy, runEagerly: eagerly)
      return model
    }
    let measured = try model()
    let weights = measured.trainableWeights
    let (loss, gradients) = valueAndGradient(at: weights.map(\.variable)) {
      Loss.sparseCategoricalCrossentropy(y, measured(x))
    }
    let before = measured.getWeights()
    let monitor = GradientMonitor(every: 1)
    try measured.fit(x, y, epochs: 3, batchSize: 6, verbose: .silent, callbacks: [monitor], shuffle: false)
    let plain = try model()
    try plain.fit(x, y, epochs: 3, batchSize: 6, verbose: .silent, shuffle: false)
    for (a, b) in zip(measured.getWeights(), plain.getWeights()) { #expect(a.floats == b.floats) }

    #expect(monitor.samples.map(\.step) == [1, 2, 3])
    let sample = try #require(monitor.samples.first)
    #expect(abs(sample.loss - loss.item()) < 1e-5)
    #expect(sample.layers.map(\.name) == ["dense", "dense_1", "dense_2"])
    func norm(_ tensors: [Tensor]) -> Double {
      tensors.flatMap(\.doubles).reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
    for (index, layer) in sample.layers.enumerated() {
      let mine = [gradients[2 * index]!, gradients[2 * index + 1]!]
      #expect(abs(layer.gradientNorm - norm(mine)) < 1e-4 * max(1, norm(mine)))
      let old = norm([before[2 * index], before[2 * index + 1]])
      #expect(abs(layer.weightNorm - old) < 1e-4)
      #expect(abs(layer.updateRatio - 0.1 * norm(mine) / old) < 1e-4)
    }
    #expect(sample.activations.map(\.activation) == ["relu", "tanh"])
    let hidden = try #require(sample.activations.first?.deadFraction)
    let outputs = (x.matmul(before[0]) + before[1]).relu()
    let dead = outputs.max(axes: [0]).floats.filter { $0 == 0 }.count
    #expect(abs(hidden - Double(dead) / 5) < 1e-6)
    #expect((sample.activations[1].saturatedFraction ?? -1) >= 0)
  }

  @Test("reports each trouble once, and takes batches as they come")
  func reports() throws {
    let lines = Lines()
    let monitor = GradientMonitor(every: 3) { lines.add($0) }
    try Self.train(Patient.sick[0], monitor)
    #expect(lines.all.count == 1 && lines.all[0].contains("vanishing"), "\(lines.all)")
    let model = Sequential(Patient.healthy[0].layers())
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    let data = LabelledData(Tensor.ones([40, 20]), Tensor((0..<40).map { Int32($0 % 4) })).batched(8)
    try model.fit(data, epochs: 2, verbose: .silent, callbacks: [monitor])
    #expect(monitor.samples.map(\.step) == [1, 4, 7, 10])
  }
}

private final class Lines: @unchecked Sendable {
  private(set) var all: [String] = []
  func add(_ line: String) { all.append(line) }
}
