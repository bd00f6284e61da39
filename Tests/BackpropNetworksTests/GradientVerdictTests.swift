import Backprop
import Testing

@testable import BackpropNetworks

/// Networks that were built after the verdict's thresholds had been chosen: other depths, activations, beginnings, rates,
/// and kinds of layers.
@Suite("Gradients in words, on other networks", .serialized) struct GradientVerdictTests {
  static let sickOnes: [Patient] = [
    Patient(
      testDescription: "twenty hard sigmoids", kinds: [.vanishing],
      layers: { Patient.stack(20, .hardSigmoid, units: 16) }),
    Patient(
      testDescription: "twelve softsign layers with tiny weights", kinds: [.vanishing],
      layers: { Patient.stack(12, .softsign, .randomNormal(standardDeviation: 0.03), units: 48) },
      optimizer: { RMSprop(learningRate: 1e-4) }),
    Patient(
      testDescription: "tanh and sigmoid in turn, twelve deep", kinds: [.vanishing],
      layers: {
        (0..<12).map { Dense(24, activation: $0 % 2 == 0 ? .tanh : .sigmoid) } + [
          Dense(4, activation: .softmax)
        ]
      },
      optimizer: { SGD(learningRate: 0.05, momentum: 0.9) }),
    Patient(
      testDescription: "a convolution whose biases are far below zero", kinds: [.dead],
      layers: {
        [
          Reshape([5, 4, 1]),
          Conv2D(8, kernelSize: [3, 3], activation: .relu, biasInitializer: .constant(-80)), Flatten(),
          Dense(4, activation: .softmax),
        ]
      }),
    Patient(
      testDescription: "ReLU killed by one enormous step", kinds: [.dead, .stepsTooLarge],
      layers: { Patient.stack(3, .relu) }, optimizer: { SGD(learningRate: 300) }),
    Patient(
      testDescription: "tanh after a scale of 500", kinds: [.saturated],
      layers: { [Dense(32), Rescaling(500), Activation(.tanh), Dense(4, activation: .softmax)] }),
    Patient(
      testDescription: "eight ReLU layers with weights three times too large", kinds: [.exploding],
      layers: { Patient.stack(14, .relu, .randomNormal(standardDeviation: 0.8)) },
      optimizer: { SGD(learningRate: 1e-14) }),
    Patient(
      testDescription: "Adam with a rate of 1e-12", kinds: [.stepsTooSmall],
      layers: { Patient.stack(3, .gelu) },
      optimizer: { Adam(learningRate: 1e-12) }),
  ]

  static let healthyOnes: [Patient] = [
    Patient(
      testDescription: "a convolutional network", kinds: [],
      layers: {
        [
          Reshape([5, 4, 1]), Conv2D(8, kernelSize: [3, 3], padding: .same, activation: .relu),
          MaxPooling2D([2, 2]), Conv2D(16, kernelSize: [2, 2], activation: .relu), Flatten(),
          Dense(4, activation: .softmax),
        ]
      }),
    Patient(
      testDescription: "twelve sigmoid layers, each batch-normalised", kinds: [],
      layers: {
        (0..<6).flatMap { _ in [Dense(32), BatchNormalization(), Activation(.sigmoid)] as [Layer] } + [
          Dense(4, activation: .softmax)
        ]
      }),
    Patient(
      testDescription: "layer normalisation and dropout", kinds: [],
      layers: {
        (0..<4).flatMap { _ in [Dense(48, activation: .relu), LayerNormalization(), Dropout(0.3)] as [Layer] }
          + [Dense(4, activation: .softmax)]
      }),
    Patient(
      testDescription: "twelve SELU layers with LeCun initialisation", kinds: [],
      layers: { Patient.stack(12, .selu, .lecunNormal) },
      optimizer: { SGD(learningRate: 0.01, momentum: 0.9) }),
    Patient(
      testDescription: "LeakyReLU, AdamW", kinds: [],
      layers: { Patient.stack(6, .leakyRelu, .heUniform, units: 24) }, optimizer: { AdamW() }),
    Patient(
      testDescription: "a deep regression with Nadam", kinds: [],
      layers: {
        (0..<5).map { _ -> Layer in Dense(40, activation: .elu, kernelInitializer: .heNormal) }
          + ([Dense(1)] as [Layer])
      },
      optimizer: { Nadam() }, loss: .meanSquaredError),
    Patient(
      testDescription: "very wide and shallow", kinds: [], layers: { Patient.stack(1, .relu, units: 512) },
      optimizer: { SGD(learningRate: 0.05) }),
  ]

  @Test("what is wrong is named", arguments: sickOnes) func sick(_ patient: Patient) throws {
    let monitor = GradientMonitor(every: 2)
    do { try GradientMonitorTests.train(patient, monitor) } catch is TrainingError {}
    let found = Set(monitor.verdict.findings.map(\.kind))
    #expect(!patient.kinds.isDisjoint(with: found), "\(monitor.verdict)")
  }

  @Test("no false alarm", arguments: healthyOnes) func healthy(_ patient: Patient) throws {
    let monitor = GradientMonitor(every: 2)
    try GradientMonitorTests.train(patient, monitor)
    #expect(monitor.verdict.isHealthy, "\(monitor.verdict)")
  }
}
