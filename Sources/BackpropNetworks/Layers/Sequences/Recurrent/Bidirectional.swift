import BackpropTensors

/// What becomes of the outputs of the two directions.
public enum BidirectionalMerge: String, Codable, Hashable, Sendable, CaseIterable {
  case sum
  case multiply = "mul"
  case average = "ave"
  case concatenate = "concat"
}

/// A recurrent layer over a sequence from both ends: [batch, steps, features] → [batch, 2 · units].
///
/// ```swift
/// Bidirectional(LSTM(64, returnSequences: true))      // → [batch, steps, 128]
/// Bidirectional(GRU(32), mergeMode: .sum)             // → [batch, 32]
/// ```
///
/// The layer is a pattern for two with weights of their own, `forward_…` and `backward_…`; the second goes backwards, and
/// its outputs are turned around again before they are merged. Without a `mergeMode` there are two results. An initial state
/// is that of both, one after the other. Outputs of steps that don't count are 0. Keras' `Bidirectional`; Schuster and
/// Paliwal (1997).
public final class Bidirectional: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable, LayerHolding {
    public var layer: LayerConfiguration
    /// nil: both outputs.
    public var mergeMode: BidirectionalMerge?
    public var backwardLayer: LayerConfiguration?

    mutating func cloneLayers() throws {
      layer = try layer.cloned()
      backwardLayer = try backwardLayer?.cloned()
    }
  }

  public let configuration: Configuration
  public let forwardLayer: Layer
  public let backwardLayer: Layer
  private let failure: ModelError?

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    var made: (forward: RecurrentLayer, backward: RecurrentLayer)?
    var failure: ModelError?
    do { made = try Self.pair(configuration) } catch let error as ModelError { failure = error } catch {
      failure = ModelError(.argument, "\(error)")
    }
    self.failure = failure
    // As in Keras the configuration names the layers that were made.
    var configuration = configuration
    if let made {
      configuration.layer = LayerConfiguration(made.forward)
      configuration.backwardLayer = LayerConfiguration(made.backward)
    }
    self.configuration = configuration
    forwardLayer = made?.forward ?? configuration.layer.layer
    backwardLayer = made?.backward ?? configuration.backwardLayer?.layer ?? configuration.layer.layer
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - layer: ``LSTM``, ``GRU``, ``SimpleRNN``, ``RNN`` or a convolutional one; it stays as it is.
  ///   - mergeMode: nil: both outputs as two results.
  ///   - backwardLayer: for the other direction, going backwards itself; nil: one like `layer`.
  public convenience init(
    _ layer: RecurrentLayer, mergeMode: BidirectionalMerge? = .concatenate,
    backwardLayer: RecurrentLayer? = nil,
    name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let configuration = Configuration(
      layer: LayerConfiguration(layer), mergeMode: mergeMode,
      backwardLayer: backwardLayer.map { LayerConfiguration($0) })
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  // MARK: The two layers

  private static func pair(_ c: Configuration) throws -> (RecurrentLayer, RecurrentLayer) {
    guard let pattern = c.layer.layer as? RecurrentLayer else {
      throw ModelError(
        .argument, "expected a recurrent layer such as LSTM, got a \(c.layer.layer.className)")
    }
    let given = c.backwardLayer?.layer
    if let given, !(given is RecurrentLayer) {
      throw ModelError(.argument, "expected a recurrent layer for backwardLayer, got a \(given.className)")
    }
    let zeroes = { (options: inout RecurrenceOptions) in options.zeroOutputForMask = options.returnSequences }
    let forward = try copy(pattern, prefix: "forward", zeroes)
    let backward =
      if let given = given as? RecurrentLayer { try copy(given, prefix: nil, zeroes) } else {
        try copy(pattern, prefix: "backward") { options in
          options.goBackwards = true
          zeroes(&options)
        }
      }
    let (a, b) = (forward.recurrence, backward.recurrence)
    guard a.goBackwards != b.goBackwards else {
      throw ModelError(
        .argument,
        "one of the layers must go backwards and the other not; both have goBackwards \(a.goBackwards)")
    }
    let common: [(String, Bool, Bool)] = [
      ("stateful", a.stateful, b.stateful), ("returnSequences", a.returnSequences, b.returnSequences),
      ("returnState", a.returnState, b.returnState),
    ]
    if let (name, x, y) = common.first(where: { $0.1 != $0.2 }) {
      throw ModelError(
        .argument, "the layers must have the same \(name), got \(x) forwards and \(y) backwards")
    }
    return (forward, backward)
  }

  /// A layer like this one with weights of its own.
  private static func copy(
    _ layer: RecurrentLayer, prefix: String?, _ change: (inout RecurrenceOptions) -> Void
  ) throws -> RecurrentLayer {
    func made<Made: ConfigurableLayer>(_ pattern: Made) throws -> Layer {
      var configuration = try pattern.ownConfiguration()
      if var changed = configuration as? any RecurrenceConfigured {
        change(&changed.recurrence)
        configuration = changed as! Made.Configuration
      }
      let base = layer.givenName ?? KerasNaming.snake(layer.className)
      let name = prefix.map { base.hasPrefix("\($0)_") ? base : "\($0)_\(base)" } ?? layer.givenName
      return Made(
        configuration: configuration, name: name, trainable: layer.trainable, dtype: layer.dtypePolicy)
    }
    guard let pattern = layer as? any ConfigurableLayer, let copy = try made(pattern) as? RecurrentLayer
    else {
      throw ModelError(.argument, "\(layer.className) has no configuration to make a second layer from")
    }
    return copy
  }

  private var options: RecurrenceOptions { (forwardLayer as? RecurrentLayer)?.recurrence ?? .init() }

  /// Both directions of a stateful layer begin the next batch with zeros.
  public func resetState() {
    for layer in [forwardLayer, backwardLayer] { (layer as? RecurrentLayer)?.resetState() }
  }

  // MARK: Building and calling

  private func halves(_ inputs: [Shape]) -> (forward: [Shape], backward: [Shape]) {
    let half = 1 + (inputs.count - 1) / 2
    return (Array(inputs[..<half]), [inputs[0]] + inputs[half...])
  }

  public override func build(_ inputs: [Shape]) throws {
    if let failure { throw ModelError(failure.kind, at: path, failure.message) }
    let (forward, backward) = halves(inputs)
    try forwardLayer.prepare(forward)
    try backwardLayer.prepare(backward)
  }

  public override func check(_ inputs: [Shape]) throws {
    guard inputs.count % 2 == 1 else {
      throw ModelError(
        .shape, at: path,
        "expected as many initial states for the backward layer as for the forward one, got \(inputs.count - 1)"
      )
    }
    let (forward, backward) = halves(inputs)
    try forwardLayer.prepare(forward)
    try backwardLayer.prepare(backward)
    guard let merge = configuration.mergeMode else { return }
    // What is merged must be alike, but for the features that are put side by side.
    let results = [forwardLayer.outputShapes(forward)[0], backwardLayer.outputShapes(backward)[0]]
    let alike = results.map { merge == .concatenate ? Shape($0.dimensions.dropLast()) : $0 }
    guard alike[0] == alike[1] else {
      throw ModelError(
        .shape, at: path,
        "mergeMode '\(merge.rawValue)' needs outputs of one shape, got \(results[0]) forwards and \(results[1]) backwards"
      )
    }
  }

  public override var inputCounts: ClosedRange<Int> {
    let states = (forwardLayer as? RecurrentLayer)?.cell.stateCount ?? 0
    return 1...1 + 2 * states
  }

  package override var namedInputs: (name: String, after: Int)? { ("initial_state", 1) }

  public override var supportsMasking: Bool { options.returnSequences }

  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    let outputs = configuration.mergeMode == nil ? 2 : 1
    let mask = options.returnSequences ? inputs[0].mask : nil
    return results.indices.map { $0 < outputs ? mask : nil }
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    let half = 1 + (inputs.count - 1) / 2
    let forward = forwardLayer(Array(inputs[..<half]), context)
    let backward = backwardLayer([inputs[0]] + inputs[half...], context)
    let y = forward[0]
    let turned = options.returnSequences ? backward[0].flipped(axes: [1]) : backward[0]
    let outputs: [Tensor] =
      switch configuration.mergeMode {
      case .sum: [y + turned]
      case .multiply: [y * turned]
      case .average: [(y + turned) / 2]
      case .concatenate: [Tensor.concatenate([y, turned], axis: -1)]
      case nil: [y, turned]
      }
    return outputs + forward.dropFirst() + backward.dropFirst()
  }
}
