import BackpropData
import BackpropNetworks
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

/// Writes files for `Tests/interop/check_files.py`, which opens them with h5py and Keras. Run by `scripts/test --interop`,
/// which says where to put them.
private let folder = ProcessInfo.processInfo.environment["BACKPROP_INTEROP"]

@Suite("Files for h5py and Keras", .enabled(if: folder != nil))
struct InteropTests {
  static func write(_ pieces: [FilePiece], to name: String) throws {
    try AtomicFile.write(to: "\(folder!)/\(name)") { file in
      for piece in pieces { try piece.withBytes { try file.write($0) } }
    }
  }

  @Test("HDF5: every dtype and shape, and a large group")
  func hdf5() throws {
    try Self.write(HDF5Writer.pieces(HDF5Tests.sample()), to: "sample.h5")
    var large = HDF5Group()
    for index in 0..<2500 {
      large[["vars"]].tensors["\(index)"] = Tensor(Int32(index))
      large[["g\(index)"]].attributes["name"] = "layer \(index)"
    }
    try Self.write(HDF5Writer.pieces(large), to: "large.h5")
  }

  /// Python holds the numbers that belong to them: those in keras_files.json.
  @Test("models that Keras saved, saved again", arguments: KerasCase.all)
  func resaved(_ golden: KerasCase) throws {
    try Sequential.load(golden.path).save("\(folder!)/\(golden.name).keras")
  }

  @Test("models that were trained here, with every optimizer")
  func trainedHere() throws {
    let inputs = Tensor((0..<48).map { Float($0 * 37 % 41) / 20 - 1 }, shape: [12, 2, 2])
    let labels = Tensor((0..<12).map { Int32($0 % 3) })
    let schedule = LearningRateSchedule.cosineDecay(0.01, decaySteps: 20, warmupTarget: 0.05, warmupSteps: 3)
    let optimizers: [Optimizer] = [
      SGD(learningRate: 0.1), SGD(learningRate: 0.1, momentum: 0.9, nesterov: true), Adam(),
      Adam(amsgrad: true),
      Adam(learningRate: schedule), Adam(gradientAccumulationSteps: 2), Adam(useEMA: true, name: "my_adam"),
      try Optimizer.named("adamw"), RMSprop(momentum: 0.5, centered: true), Adagrad(), RMSprop(),
    ]
    for (index, optimizer) in optimizers.enumerated() {
      let model = Sequential(name: "ours", seed: index) {
        Rescaling(2, offset: 0.5)
        Flatten()
        Dense(6, activation: .gelu, kernelInitializer: .heNormal, name: "my-first")
        Sequential {
          Dense(
            6, activation: .elu, kernelRegularizer: .l1l2(l1: 0.01, l2: 0.02), biasConstraint: .nonNegative)
          ReLU(maxValue: 3)
        }
        Reshape([2, -1])
        PReLU(sharedAxes: [1])
        LeakyReLU(negativeSlope: 0.1)
        ELU()
        Flatten()
        Activation(.silu)
        Dense(3, useBias: false)
        Softmax()
      }
      try model.compile(
        optimizer: optimizer,
        loss: index % 2 == 0 ? .sparseCategoricalCrossentropy : "sparse_categorical_crossentropy",
        metrics: [.accuracy, .sparseTopKCategoricalAccuracy(k: 2)])
      for _ in 0..<3 { _ = try model.trainOnBatch(inputs, labels) }
      let name = "ours-\(index)-\(optimizer.className)"
      try model.save("\(folder!)/\(name).keras")
      var facts: [String: ConfigValue] = [
        "input": Self.value(inputs), "labels": Self.value(labels),
        "output": Self.value(try model.predict(inputs)),
        "weights": .array(model.getWeights().map(Self.value)),
        "state": .array(optimizer.variables.map { Self.value($0.stored) }),
      ]
      model.resetMetrics()
      facts["loss"] = .number(try model.trainOnBatch(inputs, labels)["loss"]!)
      facts["after"] = .array(model.getWeights().map(Self.value))
      try AtomicFile.write(to: "\(folder!)/\(name).json") { try $0.write(JSONWriter.write(.object(facts))) }
    }
  }

  /// As the fixtures hold tensors.
  static func value(_ tensor: Tensor) -> ConfigValue {
    .object([
      "shape": .array(tensor.shape.map { .integer($0) }), "dtype": .string(tensor.dtype.rawValue),
      "data": .array(tensor.doubles.map { .number($0) }),
    ])
  }
}
