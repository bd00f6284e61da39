import Backprop
import Foundation

/// Tells of training in the form that was asked for.
final class TrainingReporter: Callback, @unchecked Sendable {
  private let format: LogFormat
  private let clock = ContinuousClock()
  private var start = ContinuousClock.now
  private var epochStart = ContinuousClock.now
  private var epochs = 0
  /// What this process has trained, without what a checkpoint held.
  private(set) var steps = 0
  private var stepsOfEpoch = 0

  init(_ format: LogFormat) { self.format = format }

  /// Callbacks that do a part of the telling.
  var companions: [Callback] {
    format == .plain ? [ProgressBar(isBar: StandardOutput.isTerminal, write: StandardOutput.write)] : []
  }

  func begin(_ data: String, _ parts: TrainingParts, _ task: LearningTask, _ model: Model) {
    guard format == .plain else { return }
    let others = [
      parts.validation.flatMap { parts.test?.count == $0.count ? nil : "\($0.count) for validation" },
      parts.test.map { "\($0.count) to test with" },
    ].compactMap { $0 }
    StandardOutput.writeLine(
      "\(data): " + (["\(parts.train.count) rows to train on"] + others).joined(separator: ", "))
    let layers = model.layers.map(\.shortDescription).joined(separator: " → ")
    let aim =
      switch task {
      case .classification(let classes): "\(classes) classes"
      case .regression: "regression"
      }
    StandardOutput.writeLine(
      "network: \(parts.train.inputs.sampleShape.elementCount) → \(layers); \(model.parameterCount) parameters; \(aim)"
    )
  }

  // MARK: Hooks

  override func onTrainBegin() {
    start = clock.now
    guard let position = parameters.resumedFrom, format == .plain else { return }
    let inside = position.step > 0 ? " after step \(position.step) of epoch \(position.epoch + 1)" : ""
    StandardOutput.writeLine("resumed\(inside.isEmpty ? " after epoch \(position.epoch)" : inside)")
  }

  override func onEpochBegin(_ epoch: Int) {
    epochStart = clock.now
    stepsOfEpoch = 0
  }

  override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) {
    stepsOfEpoch += 1
    steps += 1
  }

  override func onEpochEnd(_ epoch: Int, _ logs: Logs) {
    epochs += 1
    guard format == .json else { return }
    var object = JSON.object([("event", "epoch"), ("epoch", .integer(epoch + 1))])
    object.set("steps", .integer(stepsOfEpoch))
    object.set("seconds", .number((clock.now - epochStart).seconds))
    object.add(logs)
    StandardOutput.writeLine(object.line)
  }

  // MARK: The end

  func tell(_ verdict: GradientVerdict) {
    switch format {
    case .quiet: break
    case .plain: StandardOutput.writeLine("\(verdict)")
    case .json:
      let findings = verdict.findings.map { finding in
        JSON.object([
          ("kind", .string("\(finding.kind)")), ("layers", .array(finding.layers.map { .string($0) })),
          ("sentence", .string(finding.sentence)),
        ])
      }
      StandardOutput.writeLine(JSON.object([("event", "gradients"), ("findings", .array(findings))]).line)
    }
  }

  /// - Parameter part: what the numbers are of: "test".
  func end(_ final: Evaluation, on part: String, stoppedAfter: Int?, savedTo output: String?) {
    let seconds = (clock.now - start).seconds
    switch format {
    case .quiet: break
    case .plain:
      if let code = Interruption.exitCode {
        StandardOutput.writeLine("Training was \(code.meaning), after \(steps) steps.")
      }
      if let stoppedAfter {
        StandardOutput.writeLine(
          "Stopped after epoch \(stoppedAfter + 1): no better for as long as --patience says.")
      }
      StandardOutput.writeLine("\(part): \(final.logs.inWords)")
      if let output { StandardOutput.writeLine("saved to \(output)") }
    case .json:
      var object = JSON.object([("event", "end"), ("data", .string(part))])
      object.add(final.logs)
      object.set("epochs", .integer(epochs))
      object.set("steps", .integer(steps))
      object.set("seconds", .number(seconds))
      object.set("signal", Interruption.signal.map { .integer(Int($0)) } ?? nil)
      object.set("stopped_early", .bool(stoppedAfter != nil))
      object.set("output", output.map { .string($0) } ?? nil)
      StandardOutput.writeLine(object.line)
    }
  }
}

extension JSON {
  mutating func add(_ logs: Logs) {
    for (name, value) in logs { set(name, .number(value)) }
  }
}

extension Logs {
  /// "loss 0.1523, accuracy 0.9639"
  var inWords: String { map { "\($0.name) \(readable($0.value))" }.joined(separator: ", ") }
}

/// Four places, or an exponent where they would say nothing.
func readable(_ value: Double) -> String {
  let isSmall = value != 0 && abs(value) < 0.001
  return String(format: isSmall || abs(value) >= 1e6 ? "%.4e" : "%.4f", value)
}

extension Duration {
  /// To the microsecond.
  var seconds: Double {
    let micros = (Double(components.seconds) * 1e6 + Double(components.attoseconds) / 1e12).rounded()
    return micros / 1e6
  }
}

extension Layer {
  /// "64 relu" for a dense layer, the class name for others.
  fileprivate var shortDescription: String {
    guard let dense = self as? Dense else { return className.lowercased() }
    let activation = dense.configuration.activation
    return "\(dense.configuration.units)" + (activation == .linear ? "" : " \(activation.name)")
  }
}
