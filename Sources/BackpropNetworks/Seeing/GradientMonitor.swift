/// Watches gradients while `fit` trains, and says in words what is wrong with them, if something is.
///
/// ```swift
/// let monitor = GradientMonitor()
/// try model.fit(x, y, epochs: 5, callbacks: [monitor])
/// print(monitor.verdict)
/// // gradients shrink 10^6-fold from dense_9 to dense: vanishing; a sigmoid's slope is at most 1/4 …
/// ```
///
/// Every tenth step is measured: each layer's gradient norm, how far its weights moved, dead and saturated units. Give it
/// to `TensorBoard(gradientMonitor:)` to have them plotted.
public final class GradientMonitor: Callback, @unchecked Sendable {
  private let interval: Int
  private let report: (@Sendable (String) -> Void)?
  private var reported: Set<GradientVerdict.Kind> = []
  /// The measured steps, the latest ``capacity`` of them.
  public private(set) var samples: [GradientSample] = []
  private static let capacity = 1000

  /// - Parameters:
  ///   - every: measure one of so many steps.
  ///   - report: gets each kind of trouble once, where an epoch ends that shows it.
  public init(every: Int = 10, report: (@Sendable (String) -> Void)? = nil) {
    interval = max(every, 1)
    self.report = report
  }

  public override var observesBatches: Bool { false }

  public override func onTrainBegin() {
    samples = []
    reported = []
  }

  /// Whether the step after `stepCount` steps is measured.
  func measures(after stepCount: Int) -> Bool { stepCount % interval == 0 }

  func take(_ sample: GradientSample) {
    if samples.count == Self.capacity { samples.removeFirst(Self.capacity / 2) }
    samples.append(sample)
  }

  /// What the latest steps say.
  public var verdict: GradientVerdict { GradientVerdict(samples) }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) {
    guard let report else { return }
    for finding in verdict.findings where reported.insert(finding.kind).inserted { report(finding.sentence) }
  }
}
