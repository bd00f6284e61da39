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
    try Model.load(golden.path).save("\(folder!)/\(golden.name).keras")
  }

  @Test("models that were trained here, with every optimizer")
  func trainedHere() throws {
    let inputs = wave([12, 2, 2])
    let labels = Tensor((0..<12).map { Int32($0 % 3) })
    let schedule = LearningRateSchedule.cosineDecay(0.01, decaySteps: 20, warmupTarget: 0.05, warmupSteps: 3)
    let optimizers: [Optimizer] = [
      SGD(learningRate: 0.1), SGD(learningRate: 0.1, momentum: 0.9, nesterov: true), Adam(),
      Adam(amsgrad: true),
      Adam(learningRate: schedule), Adam(gradientAccumulationSteps: 2), Adam(useEMA: true, name: "my_adam"),
      RMSprop(momentum: 0.5, centered: true),
    ]
    let all = optimizers + Optimizer.all.map { $0.init(config: [:]) }
    for (index, optimizer) in all.enumerated() {
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
      try save(model, "ours-\(index)-\(optimizer.className)", inputs, labels)
    }
  }

  /// Trains a little, saves the model, and beside it what it answers and what one more step makes of it.
  private func save(
    _ model: Model, _ name: String, _ inputs: Tensor, _ labels: Tensor, other: Tensor? = nil,
    isRandom: Bool = false
  ) throws {
    for _ in 0..<3 { _ = try model.trainOnBatch(inputs, labels) }
    try model.save("\(folder!)/\(name).keras")
    var facts: [String: ConfigValue] = [
      "input": Self.value(inputs), "labels": Self.value(labels),
      "output": Self.value(try model.predict(inputs)),
      "weights": .array(model.getWeights().map(Self.value)),
      "state": .array(model.optimizer!.variables.map { Self.value($0.stored) }),
    ]
    if let other {
      facts["other"] = Self.value(other)
      facts["other_output"] = Self.value(try model.predict(other))
    }
    model.resetMetrics()
    let loss = try model.trainOnBatch(inputs, labels)["loss"]!
    if !isRandom {
      facts["loss"] = .number(loss)
      facts["after"] = .array(model.getWeights().map(Self.value))
    }
    try AtomicFile.write(to: "\(folder!)/\(name).json") { try $0.write(JSONWriter.write(.object(facts))) }
  }

  /// Numbers between −1 and 1.
  private func wave(_ shape: Shape) -> Tensor {
    Tensor((0..<shape.elementCount).map { Float($0 * 37 % 41) / 20 - 1 }, shape: shape)
  }

  @Test("models with preprocessing, losses and metrics with arguments")
  func preprocessing() throws {
    let oneHot = Tensor((0..<8).map { Int32($0 % 2) }).oneHot(classes: 2)
    let images = Sequential(name: "images") {
      RandomFlip("horizontal", seed: 1)
      RandomRotation(0.1, fillMode: "nearest")
      RandomZoom([-0.1, 0.2], widthFactor: 0.1)
      RandomTranslation(0.1, [-0.1, 0.2], interpolation: "nearest")
      RandomContrast(0.2)
      RandomBrightness(0.1, valueRange: -1...1)
      RandomErasing(0.5, fillValue: [0, 0, 0])
      MixUp(alpha: 0.3)
      CutMix([0.5, 1])
      Resizing(10, 9, interpolation: "bicubic", cropToAspectRatio: true)
      CenterCrop(6, 5)
      Normalization(mean: [0, 0.1, 0.2], variance: [1, 2, 3])
      Flatten()
      Dense(2, activation: .softmax)
    }
    try images.compile(
      optimizer: Muon(), loss: .tversky(alpha: 0.3, beta: 0.7, axes: [-1]),
      metrics: [
        .auc(curve: .pr, thresholdCount: 20), .precision(topK: 1), .f1Score(average: .macro),
        .oneHotMeanIoU(classCount: 2),
      ])
    try save(images, "ours-images", wave([8, 7, 8, 3]), oneHot, isRandom: true)

    let sound = Sequential(name: "sound") {
      STFTSpectrogram(mode: "magnitude", frameLength: 8, window: nil, padding: "same")
      Flatten()
      Dense(2)
    }
    try sound.compile(
      optimizer: Nadam(), loss: .huber(delta: 0.5), metrics: [.r2Score(aggregation: nil), "msle"])
    try save(sound, "ours-sound", wave([8, 20, 1]), wave([8, 2]))

    let bands = Sequential(name: "bands") {
      MelSpectrogram(
        fftLength: 16, sequenceStride: 5, samplingRate: 8000, melBinCount: 4, powerToDecibels: false)
      Flatten()
      Dense(2)
    }
    try bands.compile(
      optimizer: Ftrl(learningRate: 0.1), loss: .cosineSimilarity(axis: 0), metrics: [.logCoshError])
    try save(bands, "ours-bands", wave([8, 30]), wave([8, 2]))

    let bins = Sequential(name: "bins") {
      Discretization(boundaries: [-0.5, 0, 0.5], output: .oneHot)
      Flatten()
      Dense(2, activation: .sigmoid)
    }
    try bins.compile(
      optimizer: ScheduleFreeAdamW(warmupSteps: 2), loss: .binaryFocalCrossentropy(gamma: 1.5),
      metrics: [.recall(atPrecision: 0.5, thresholdCount: 10), .fBetaScore(beta: 2, threshold: 0.5)])
    try save(bins, "ours-bins", wave([8, 3]), oneHot)

    let adapted = Normalization()
    try adapted.adapt(wave([20, 3]) * 2 + 1)
    let model = Sequential([adapted, Dense(2)], name: "adapted")
    try model.compile(optimizer: Adafactor(), loss: .logCosh, metrics: [.cosineSimilarity()])
    try save(model, "ours-adapted", wave([8, 3]), wave([8, 2]))
  }

  @Test("models over images and sequences of any size")
  func openSizes() throws {
    let labels = Tensor((0..<6).map { Int32($0 % 3) })
    func trained(_ model: Model, _ name: String, _ inputs: Tensor, other: Tensor) throws {
      try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
      try save(model, name, inputs, labels, other: other)
    }
    let image = Input(sizes: [nil, nil, 3])
    let features = Sequential(name: "features") {
      Conv2D(4, kernelSize: 3, activation: .relu)
      BatchNormalization()
      for _ in 0..<5 { [SeparableConv2D(3, kernelSize: 3, padding: .same), MaxPooling2D(padding: .same)] }
    }
    let head = Sequential(name: "head") {
      GlobalAveragePooling2D()
      Dense(3, activation: .softmax)
    }
    try trained(
      Model(inputs: image, outputs: head(features(image))), "ours-open-images", wave([6, 9, 8, 3]),
      other: wave([2, 12, 7, 3]))
    let steps = Sequential {
      Input(sizes: [nil, 4])
      LSTM(5, returnSequences: true)
      Sequential {
        Conv1D(4, kernelSize: 2, padding: .causal)
        LayerNormalization()
      }
      GlobalMaxPooling1D()
      Dense(3, activation: .softmax)
    }
    try trained(steps, "ours-open-steps", wave([6, 5, 4]), other: wave([2, 8, 4]))
    let unsaid = Sequential {
      Conv1D(3, kernelSize: 3)
      Bidirectional(GRU(2))
      Dense(3, activation: .softmax)
    }
    _ = try unsaid.predict(wave([2, 8, 4]))
    try trained(unsaid, "ours-open-unsaid", wave([6, 5, 4]), other: wave([2, 8, 4]))
  }

  @Test("weights alone, in every form")
  func weights() throws {
    let model = try WeightFileTests.network()
    let x = counting([6, 4], .float32) / 20
    _ = try model.trainOnBatch(x, Tensor((0..<6).map { Int32($0 % 3) }))
    try model.save("\(folder!)/alone.keras")
    for format in WeightFormat.allCases { try model.saveWeights("\(folder!)/alone\(format.rawValue)") }
    try NPY.save(counting([3, 5], .float32), to: "\(folder!)/matrix.npy")
  }

  @Test("a run for TensorBoard")
  func tensorBoard() throws {
    let history = try TensorBoardTests.writeRun("\(folder!)/runs")
    let values = history.values.mapValues { ConfigValue.array($0.map { .number($0) }) }
    try AtomicFile.write(to: "\(folder!)/runs.json") { try $0.write(JSONWriter.write(.object(values))) }
    try TensorBoardTests.writeBranches("\(folder!)/branches")
  }

  /// As the fixtures hold tensors.
  static func value(_ tensor: Tensor) -> ConfigValue {
    .object([
      "shape": .array(tensor.shape.map { .integer($0) }), "dtype": .string(tensor.dtype.rawValue),
      "data": .array(tensor.doubles.map { .number($0) }),
    ])
  }
}
