import BackpropTensors
import Foundation

/// What `fit` prints: on a terminal a bar that rewrites its line, elsewhere one plain line an epoch.
public final class ProgressBar: Callback, @unchecked Sendable {
  private static let width = 20
  /// Redrawn at most ten times a second: reading the counters and writing cost more than a small step.
  private static let interval = Duration.milliseconds(100)

  private let isBar: Bool
  private let write: @Sendable (String) -> Void
  private let clock = ContinuousClock()
  private var epochStart = ContinuousClock.now
  private var lastDraw = ContinuousClock.now
  private var batches = 0
  private var drawnWidth = 0

  /// - Parameter write: where the text goes; standard output when nil.
  public init(isBar: Bool, write: (@Sendable (String) -> Void)? = nil) {
    self.isBar = isBar
    self.write = write ?? { StandardStream.output.write($0) }
  }

  static func make(_ verbosity: Verbosity) -> ProgressBar? {
    switch verbosity {
    case .silent: nil
    case .bar: ProgressBar(isBar: true)
    case .lines: ProgressBar(isBar: false)
    case .auto: ProgressBar(isBar: isatty(STDOUT_FILENO) == 1)
    }
  }

  public override var observesBatches: Bool { isBar }

  public override func onEpochBegin(_ epoch: Int) {
    epochStart = clock.now
    lastDraw = epochStart
    batches = 0
    drawnWidth = 0
    if isBar { write("Epoch \(epoch + 1)/\(parameters.epochs)\n") }
  }

  public override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) {
    batches = batch + 1
    let now = clock.now
    guard now - lastDraw >= Self.interval else { return }
    lastDraw = now
    draw(logs(), at: now, isLast: false)
  }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) {
    let now = clock.now
    if isBar { return draw(logs, at: now, isLast: true) }
    let seconds = Self.seconds(now - epochStart)
    write("Epoch \(epoch + 1)/\(parameters.epochs) - \(Self.duration(seconds)) - \(Self.text(logs))\n")
  }

  private func draw(_ logs: Logs, at now: ContinuousClock.Instant, isLast: Bool) {
    let steps = parameters.steps
    let seconds = Self.seconds(now - epochStart)
    let done = steps.map { min(Self.width * batches / max($0, 1), Self.width) } ?? 0
    let bar =
      String(repeating: "━", count: done)
      + String(repeating: "╌", count: steps == nil ? 0 : Self.width - done)
    let left = steps.map { Double($0 - batches) * seconds / Double(max(batches, 1)) }
    let time = isLast ? seconds : left ?? seconds
    let rate = Self.duration(seconds / Double(max(batches, 1)))
    let line =
      "\(batches)/\(steps.map(String.init) ?? "?") \(bar) \(Self.duration(time)) \(rate)/step - \(Self.text(logs))"
    let padding = String(repeating: " ", count: max(0, drawnWidth - line.count))
    drawnWidth = line.count
    write("\r\(line)\(padding)\(isLast ? "\n" : "")")
  }

  private static func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
  }

  private static func text(_ logs: Logs) -> String {
    logs.map { "\($0.name): \(number($0.value))" }.joined(separator: " - ")
  }

  /// Four places, or an exponent where they would say nothing.
  private static func number(_ value: Double) -> String {
    let isSmall = value != 0 && abs(value) < 0.001
    return String(format: isSmall || abs(value) >= 1e6 ? "%.4e" : "%.4f", value)
  }

  private static func duration(_ seconds: Double) -> String {
    switch seconds {
    case ..<1e-3: String(format: "%.0fus", seconds * 1e6)
    case ..<1: String(format: "%.0fms", seconds * 1e3)
    case ..<10: String(format: "%.1fs", seconds)
    case ..<60: String(format: "%.0fs", seconds)
    default: String(format: "%d:%02d", Int(seconds) / 60, Int(seconds) % 60)
    }
  }
}
