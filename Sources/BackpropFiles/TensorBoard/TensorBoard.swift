import BackpropData
import BackpropNetworks
import BackpropTensors
import Foundation

/// Writes what `fit` does for TensorBoard, under the names that Keras' `TensorBoard` uses, so that runs of both lie over
/// one another.
///
/// ```swift
/// try model.fit(x, y, epochs: 5, callbacks: [TensorBoard("runs/first", histogramFreq: 1)])
/// ```
///
/// Below the folder the runs `train` and `validation`: `epoch_loss` and the metrics, `epoch_learning_rate`, with
/// `updateFreq: .steps(n)` `batch_loss` and so on, with `histogramFreq` the weights' distributions, and the model's graph.
public final class TensorBoard: Callback, @unchecked Sendable {
  private let folder: String
  private let histogramFreq: Int
  private let writeGraph: Bool
  private let writeImages: Bool
  private let writeStepsPerSecond: Bool
  private let updateFreq: SaveFrequency
  private let hyperparameters: [String: ConfigValue]
  private let gradientMonitor: GradientMonitor?
  private var lastSample = 0
  private var train: EventWriter?
  private var validation: EventWriter?
  private var epochStart = ContinuousClock.now
  private var stepsInEpoch = 0

  /// - Parameters:
  ///   - histogramFreq: epochs between two distributions of the weights; 0: none.
  ///   - writeGraph: the model's layers for the graph tab, where they are Keras'.
  ///   - writeImages: with the distributions, weights as pictures.
  ///   - writeStepsPerSecond: training steps a second.
  ///   - updateFreq: write the numbers of the epoch so far after every so many steps as well.
  ///   - hyperparameters: for the table of runs, such as `["units": 64]`.
  ///   - gradientMonitor: what it measures is plotted: `gradients/<layer>/norm`, `updates/<layer>/ratio`,
  ///     `activations/<layer>/zero_fraction` and `saturated_fraction`; give it to `fit` before this callback.
  public init(
    _ logDir: String = "logs", histogramFreq: Int = 0, writeGraph: Bool = true, writeImages: Bool = false,
    writeStepsPerSecond: Bool = false, updateFreq: SaveFrequency = .epoch,
    hyperparameters: [String: ConfigValue] = [:], gradientMonitor: GradientMonitor? = nil
  ) {
    folder = logDir
    self.histogramFreq = histogramFreq
    self.writeGraph = writeGraph
    self.writeImages = writeImages
    self.writeStepsPerSecond = writeStepsPerSecond
    self.updateFreq = updateFreq
    self.hyperparameters = hyperparameters
    self.gradientMonitor = gradientMonitor
  }

  /// What is written beside the numbers of `fit`: the run `train`.
  public var writer: EventWriter? { train }

  public override func onTrainBegin() throws {
    try updateFreq.check("TensorBoard")
    let train = try EventWriter("\(folder)/train")
    self.train = train
    validation = nil
    lastSample = 0
    let writer = KerasModelWriter(file: folder, isForTensorBoard: true)
    if writeGraph, let model, let config = try? writer.config(of: model) { try train.graph(config) }
    if !hyperparameters.isEmpty { try train.hyperparameters(hyperparameters) }
  }

  public override func onEpochBegin(_ epoch: Int) {
    epochStart = .now
    stepsInEpoch = 0
  }

  public override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) throws {
    stepsInEpoch += 1
    guard case .steps = updateFreq, let iterations = model?.optimizer?.iterations,
      updateFreq.fits(stepCount: iterations)
    else { return }
    for (name, value) in logs() { try train?.scalar("batch_\(name)", value, step: iterations) }
  }

  public override func onTestEnd(_ logs: Logs) throws {
    guard let iterations = model?.optimizer?.iterations else { return }
    for (name, value) in logs {
      try validationWriter().scalar("evaluation_\(name)_vs_iterations", value, step: iterations)
    }
  }

  private func validationWriter() throws -> EventWriter {
    if let validation { return validation }
    let writer = try EventWriter("\(folder)/validation")
    validation = writer
    return writer
  }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {
    guard let train, let model else { return }
    for (name, value) in logs {
      if name.hasPrefix("val_") {
        try validationWriter().scalar("epoch_\(name.dropFirst(4))", value, step: epoch)
      } else {
        try train.scalar("epoch_\(name)", value, step: epoch)
      }
    }
    if let rate = model.optimizer?.learningRate { try train.scalar("epoch_learning_rate", rate, step: epoch) }
    if writeStepsPerSecond {
      let duration = (ContinuousClock.now - epochStart).components
      let seconds = Double(duration.seconds) + Double(duration.attoseconds) * 1e-18
      try train.scalar("epoch_steps_per_second", Double(stepsInEpoch) / max(seconds, 1e-9), step: epoch)
    }
    try writeGradients(train)
    guard histogramFreq > 0, epoch % histogramFreq == 0 else { return }
    for weight in model.weights {
      let value = weight.value
      try train.histogram("\(weight.path)/histogram", value, step: epoch)
      if writeImages, let picture = Self.picture(value) {
        try train.image("\(weight.path)/image", picture, step: epoch)
      }
    }
  }

  private func writeGradients(_ train: EventWriter) throws {
    for sample in gradientMonitor?.samples ?? [] where sample.step > lastSample {
      lastSample = sample.step
      for layer in sample.layers {
        try train.scalar("gradients/\(layer.path)/norm", layer.gradientNorm, step: sample.step)
        try train.scalar("updates/\(layer.path)/ratio", layer.updateRatio, step: sample.step)
      }
      for activation in sample.activations {
        if let dead = activation.deadFraction {
          try train.scalar("activations/\(activation.path)/zero_fraction", dead, step: sample.step)
        }
        if let saturated = activation.saturatedFraction {
          try train.scalar("activations/\(activation.path)/saturated_fraction", saturated, step: sample.step)
        }
      }
    }
  }

  public override func onTrainEnd(_ logs: Logs) throws {
    if !hyperparameters.isEmpty { try train?.endOfRun() }
    for writer in [train, validation] { try writer?.close() }
    (train, validation) = (nil, nil)
  }

  /// A matrix or vector from its smallest element in black to its largest in white; kernels of convolutions side by side.
  private static func picture(_ value: Tensor) -> Tensor? {
    guard value.count > 0, value.rank > 0, value.count <= 1 << 22 else { return nil }
    let width = value.shape[-1]
    let flat = value.cast(to: .float32).reshaped(to: [value.count / width, width])
    let (low, high) = (flat.min().item(), flat.max().item())
    guard low.isFinite, high.isFinite else { return nil }
    return (flat - low) / Double(high > low ? high - low : 1)
  }
}
