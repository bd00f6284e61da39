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

  /// Its layers do.
  public override var castsInputs: Bool { false }

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

  /// What the outputs are called in logs and files; nil where nothing names them.
  open var outputNames: [String] { [] }

  /// The steps that count in what the layers inside gave.
  open override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    results.map(\.mask)
  }

  /// The layer at this position, counted from the end where it is negative.
  ///
  /// - Throws: ``ModelError`` when there are fewer.
  public func getLayer(index: Int) throws -> Layer {
    let layers = layers
    let position = index < 0 ? index + layers.count : index
    guard layers.indices.contains(position) else {
      throw ModelError(.argument, at: path, "there are \(layers.count) layers, none at \(index)")
    }
    return layers[position]
  }

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
  public func build(sampleShape: Shape) throws { try build(sizes: sampleShape.dimensions) }

  /// Makes the weights for samples of which some sizes are open: nil, such as the height and width of images.
  ///
  /// - Throws: ``ModelError`` naming the layer that doesn't take them.
  public func build(sizes: [Int?]) throws {
    let sizes = [nil] + sizes
    try Engine.exclusively {
      try StandIns.firstFitting([sizes]) { pair in
        let shapes = StandIns.filled(sizes, pair: pair)
        try WeightBudget.current?.check(shapes, at: path)
        for shape in shapes { try prepare([shape], random: random) }
      }
    }
  }

  // MARK: Steps

  /// One step of training on one batch; override it for a step of your own.
  ///
  /// ```swift
  /// override func trainStep(
  ///   _ step: TrainingStep, inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor?
  /// ) -> Tensor {
  ///   let context = step.context
  ///   let (loss, gradients) = step.lossAndGradients {
  ///     let y = self(inputs, context)[0]
  ///     return (y - labels[0]).squared().mean() + y.abs().mean() * 0.01
  ///   }
  ///   _ = step.update(loss, gradients)
  ///   return loss
  /// }
  /// ```
  ///
  /// It is recorded once for each shape of batch and then run as one program. Gives the loss, a scalar, which logs don't
  /// hold unless ``TrainingStep/count(_:inputs:labels:outputs:sampleWeights:)`` is called too.
  open func trainStep(
    _ step: TrainingStep, inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor?
  ) -> Tensor { step.train(inputs: inputs, labels: labels, sampleWeights: sampleWeights) }

  /// One step of evaluation on one batch.
  open func testStep(
    _ step: TrainingStep, inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor?
  ) -> Tensor { step.test(inputs: inputs, labels: labels, sampleWeights: sampleWeights) }

  // MARK: Compiled state

  /// nil before `compile`.
  public var optimizer: Optimizer? { compiled.withLock { $0?.optimizer } }
  /// The first output's loss.
  public var loss: Loss? { compiled.withLock { $0?.losses.all.first } }
  public var isCompiled: Bool { compiled.withLock { $0 != nil } }

  /// The metrics as they were resolved: `accuracy` has become the one that fits, once the model has seen labels.
  public var compiledMetrics: [Metric] {
    compiled.withLock { state in
      guard let state else { return [] }
      return state.heads?.flatMap { $0.metrics.map(\.state.metric) }
        ?? (state.metrics.all + state.weightedMetrics.all).flatMap { $0 }
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
    try compile(
      optimizer, losses: PerOutput(shared: loss), lossWeights: [], metrics: PerOutput(shared: metrics),
      weightedMetrics: PerOutput(shared: weightedMetrics), runEagerly: runEagerly)
  }

  /// Loss and metrics for each output: the losses, times their weights, are added up.
  ///
  /// Logs hold each output's loss and metrics under its name: `class_loss`, `class_accuracy`.
  ///
  /// - Parameters:
  ///   - losses: one after the other, or by the outputs' names.
  ///   - lossWeights: 1 where nothing is said.
  /// - Throws: ``ModelError`` for names that mean nothing, with the nearest that does.
  public func compile(
    optimizer: some OptimizerConvertible = "rmsprop", losses: PerOutput<Loss>,
    lossWeights: PerOutput<Double> = [], metrics: PerOutput<[Metric]> = [],
    weightedMetrics: PerOutput<[Metric]> = [], runEagerly: Bool = false
  ) throws {
    try compile(
      optimizer, losses: losses, lossWeights: lossWeights, metrics: metrics, weightedMetrics: weightedMetrics,
      runEagerly: runEagerly)
  }

  func compile(
    _ optimizer: some OptimizerConvertible, losses: PerOutput<Loss>, lossWeights: PerOutput<Double>,
    metrics: PerOutput<[Metric]>, weightedMetrics: PerOutput<[Metric]>, runEagerly: Bool
  ) throws {
    let optimizer = try optimizer.makeOptimizer()
    _ = try optimizer.schedule?.resolved()
    for loss in losses.all { _ = try loss.resolved() }
    for metric in (metrics.all + weightedMetrics.all).flatMap({ $0 }) { try metric.check() }
    if !outputNames.isEmpty {
      _ = try losses.values(outputs: outputNames, what: "losses")
      _ = try lossWeights.values(outputs: outputNames, what: "loss weights")
    }
    let state = CompiledState(
      optimizer: optimizer, losses: losses, lossWeights: lossWeights, metrics: metrics,
      weightedMetrics: weightedMetrics, runsEagerly: runEagerly)
    Engine.exclusively {
      compiled.withLock { $0 = state }
      programs.removeAll()
    }
  }

  /// Whether the data's elements are what the layers at the inputs take.
  func checkData(_ inputs: [Column]) throws {
    for (position, column) in inputs.enumerated() {
      for layer in layers(atInput: position) { try layer.checkData(column) }
    }
  }

  /// The layers that an input goes into as it is.
  func layers(atInput position: Int) -> [Layer] { [] }

  /// Fits what `compile` was given to the outputs and labels, and checks these.
  func resolve(inputs: [TensorType], labels: [TensorType]) throws {
    let predictions = programs.outputTypes(of: self, for: inputs)
    let names = outputNames
    try compiled.withLock { try $0?.resolve(labels: labels, predictions: predictions, outputNames: names) }
  }

  func requireCompiled(for call: String) throws -> CompiledState {
    if let state = compiled.withLock({ $0 }) { return state }
    throw ModelError(
      .order, at: path, "\(call) needs a compiled model; call compile(optimizer:loss:metrics:) first")
  }

  /// Forgets what `fit` compiled and kept for the next call, with the data it reads.
  public func releasePrograms() { Engine.exclusively { programs.removeAll() } }
}
