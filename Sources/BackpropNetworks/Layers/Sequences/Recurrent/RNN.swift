import BackpropTensors

/// Any cell over a sequence: [batch, steps, …] → [batch, output].
///
/// ```swift
/// RNN(LSTMCell(64))
/// RNN([GRUCell(64), GRUCell(32)], returnSequences: true)      // stacked: one pass over the steps
/// RNN(MyCell())
/// ```
///
/// Keras' `RNN`. ``LSTM``, ``GRU`` and ``SimpleRNN`` are faster than their cells here.
public final class RNN: RecurrentLayer, ConfigurableLayer, @unchecked Sendable {
  /// The cell of an ``RNN``.
  public struct CellConfiguration: Codable, Hashable, Sendable, LayerHolding {
    public var cell: LayerConfiguration

    mutating func cloneLayers() throws { cell = try cell.cloned() }
  }

  public typealias Configuration = Joined<CellConfiguration, RecurrenceOptions>

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    let layer = configuration.first.cell.layer
    super.init(
      layer as? RNNCell ?? NoCell(layer), configuration.recurrence, name: name, trainable: trainable,
      dtype: dtype)
  }

  /// - Parameters: as ``LSTM`` has them.
  public convenience init(
    _ cell: RNNCell, returnSequences: Bool = false, returnState: Bool = false, goBackwards: Bool = false,
    stateful: Bool = false, unroll: Bool = false, zeroOutputForMask: Bool = false, name: String? = nil,
    trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let recurrence = RecurrenceOptions(
      returnSequences: returnSequences, returnState: returnState, goBackwards: goBackwards,
      stateful: stateful, unroll: unroll, zeroOutputForMask: zeroOutputForMask)
    self.init(
      configuration: Joined(CellConfiguration(cell: LayerConfiguration(cell)), recurrence), name: name,
      trainable: trainable, dtype: dtype)
  }

  /// Cells one on the other.
  public convenience init(
    _ cells: [RNNCell], returnSequences: Bool = false, returnState: Bool = false,
    goBackwards: Bool = false, stateful: Bool = false, unroll: Bool = false, zeroOutputForMask: Bool = false,
    name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.init(
      StackedRNNCells(cells, dtype: dtype), returnSequences: returnSequences, returnState: returnState,
      goBackwards: goBackwards, stateful: stateful, unroll: unroll, zeroOutputForMask: zeroOutputForMask,
      name: name, trainable: trainable, dtype: dtype)
  }
}

/// In the place of a cell, where a file has a layer that isn't one.
private final class NoCell: RNNCell, @unchecked Sendable {
  private let found: String

  init(_ layer: Layer) {
    found = layer.className
    super.init()
  }

  override var stateSizes: [Int] { [] }

  override func build(_ input: Shape) throws {
    throw ModelError(.argument, at: path, "expected a cell such as LSTMCell, got a \(found)")
  }
}
