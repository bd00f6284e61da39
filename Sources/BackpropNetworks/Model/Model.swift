import BackpropTensors
import Synchronization

/// Layers that are trained together.
///
/// Most models are a ``Sequential``. Others subclass `Model`, keep their layers in properties and say in
/// ``Layer/call(_:_:)-(Tensor,_)`` how inputs become outputs:
///
/// ```swift
/// final class TwoPaths: Model, @unchecked Sendable {
///   let wide = Dense(64, activation: .relu), narrow = Dense(4, activation: .tanh), output = Dense(1)
///
///   override func call(_ x: Tensor, _ context: CallContext) -> Tensor {
///     output(Tensor.concatenate([wide(x, context), narrow(x, context)], axis: -1), context)
///   }
/// }
/// ```
///
/// `compile`, `fit`, `evaluate` and `predict` come one at a time, whatever tasks they are called from.
open class Model: Layer, @unchecked Sendable {
  /// Decides the initial weights, what dropout drops and the order of the data.
  public let seed: Int
  package let random: RandomGenerator
  let compiled = Mutex<CompiledState?>(nil)
  /// Changed inside ``Engine/exclusively(_:)`` only.
  let programs = ProgramCache()
  private let stop = Atomic<Bool>(false)
  private let interruption = Atomic<Bool>(false)

  public init(name: String? = nil, seed: Int = 0, trainable: Bool = true) {
    self.seed = seed
    random = RandomGenerator(seed: seed)
    super.init(name: name, trainable: trainable)
  }

  /// Set by a callback, or by any thread, to end `fit` after the current step.
  public var stopTraining: Bool {
    get { stop.load(ordering: .relaxed) }
    set { stop.store(newValue, ordering: .relaxed) }
  }

  /// Ends `fit` after the current step from outside, for a signal or a user: a checkpoint that is taken then goes on in
  /// the middle, while one after ``stopTraining`` knows that training was over.
  public func interruptTraining() {
    interruption.store(true, ordering: .relaxed)
    stopTraining = true
  }

  /// Whether ``interruptTraining()`` ended, or is about to end, `fit`.
  public internal(set) var isInterrupted: Bool {
    get { interruption.load(ordering: .relaxed) }
    set { interruption.store(newValue, ordering: .relaxed) }
  }

  /// The layers, in order.
  public var layers: [Layer] { sublayers }

  /// The layer of this name.
  ///
  /// - Throws: ``ModelError`` with the nearest name when there is none.
  public func getLayer(_ name: String) throws -> Layer {
    if let layer = layers.first(where: { $0.name == name }) { return layer }
    throw ModelError.unknown("layer", name, among: layers.map(\.name))
  }

  /// Makes the weights for samples of this shape (without the batch axis), as the first `fit` would.
  ///
  /// - Throws: ``ModelError`` naming the layer that doesn't take it.
  public func build(sampleShape: Shape) throws {
    try Engine.exclusively { try prepare([Shape([1] + sampleShape.dimensions)], random: random) }
  }

  // MARK: Compiled state

  /// nil before `compile`.
  public var optimizer: Optimizer? { compiled.withLock { $0?.optimizer } }
  public var loss: Loss? { compiled.withLock { $0?.loss } }
  public var isCompiled: Bool { compiled.withLock { $0 != nil } }

  /// The metrics as they were resolved: `accuracy` has become the one that fits, once the model has seen labels.
  public var compiledMetrics: [Metric] {
    compiled.withLock { state in
      guard let state else { return [] }
      return state.resolved?.map(\.state.metric) ?? state.metrics + state.weightedMetrics
    }
  }

  /// Loss, optimizer and metrics to train with.
  ///
  /// - Parameters:
  ///   - optimizer: an ``Optimizer``, or a name such as `"adam"`.
  ///   - loss: nil where layers add all of the loss by ``CallContext/addLoss(_:)``.
  ///   - metrics: what to count besides the loss, each sample alike.
  ///   - weightedMetrics: the same, each sample by its weight.
  ///   - runEagerly: run each step operation by operation, so that it can be stepped through; slower.
  /// - Throws: ``ModelError`` for names that mean nothing, with the nearest that does.
  public func compile(
    optimizer: some OptimizerConvertible = "rmsprop", loss: Loss? = nil, metrics: [Metric] = [],
    weightedMetrics: [Metric] = [], runEagerly: Bool = false
  ) throws {
    let optimizer = try optimizer.makeOptimizer()
    _ = try optimizer.schedule?.resolved()
    _ = try loss?.resolved()
    for metric in metrics + weightedMetrics { try metric.check() }
    let state = CompiledState(
      optimizer: optimizer, loss: loss, metrics: metrics, weightedMetrics: weightedMetrics,
      runsEagerly: runEagerly)
    Engine.exclusively {
      compiled.withLock { $0 = state }
      programs.removeAll()
    }
  }

  func requireCompiled(for call: String) throws -> CompiledState {
    if let state = compiled.withLock({ $0 }) { return state }
    throw ModelError(
      .order, at: path, "\(call) needs a compiled model; call compile(optimizer:loss:metrics:) first")
  }

  /// Forgets what `fit` compiled and kept for the next call, with the data it reads.
  public func releasePrograms() { Engine.exclusively { programs.removeAll() } }
}

/// What `compile` fixed.
struct CompiledState: Sendable {
  struct ResolvedMetric: Sendable {
    var state: MetricState
    var isWeighted: Bool
  }

  var optimizer: Optimizer
  var loss: Loss?
  var metrics: [Metric]
  var weightedMetrics: [Metric]
  var runsEagerly: Bool
  let lossTracker = MetricState(Metric(.mean, name: "loss"))
  /// The metrics' counters, once labels and outputs were seen.
  var resolved: [ResolvedMetric]?

  /// - Throws: ``ModelError`` when a metric can't count labels and predictions of these shapes.
  mutating func resolve(labels: Shape?, predictions: Shape) throws {
    guard let labels else { return }
    if resolved == nil {
      func made(_ metric: Metric, _ isWeighted: Bool) -> ResolvedMetric {
        let fitting = metric.fitting(loss: loss, labels: labels, predictions: predictions)
        return ResolvedMetric(state: fitting.state(), isWeighted: isWeighted)
      }
      resolved = metrics.map { made($0, false) } + weightedMetrics.map { made($0, true) }
    }
    for metric in resolved ?? [] { try metric.state.metric.check(labels: labels, predictions: predictions) }
  }

  /// Loss first, then the metrics.
  var trackers: [MetricState] { [lossTracker] + (resolved ?? []).map(\.state) }

  func resetTrackers() { for tracker in trackers { tracker.reset() } }

  var logs: Logs {
    var logs = Logs()
    for tracker in trackers {
      for entry in tracker.entries(named: tracker.name) { logs[entry.name] = entry.value }
    }
    return logs
  }
}
