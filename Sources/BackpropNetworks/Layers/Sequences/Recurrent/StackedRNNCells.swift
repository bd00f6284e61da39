import BackpropTensors

/// Cells one on the other as one cell: a step goes through all of them. Keras' `StackedRNNCells`.
///
/// ```swift
/// RNN([LSTMCell(64), LSTMCell(32)])      // makes one
/// ```
///
/// The state is that of the first cell, then that of the second, and so on.
public final class StackedRNNCells: RNNCell, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable, LayerHolding {
    public var cells: [LayerConfiguration]

    mutating func cloneLayers() throws { cells = try cells.map { try $0.cloned() } }
  }

  public let configuration: Configuration
  let cells: [RNNCell]
  private let failure: ModelError?

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    cells = configuration.cells.compactMap { $0.layer as? RNNCell }
    let other = configuration.cells.first { !($0.layer is RNNCell) }
    failure =
      other.map { ModelError(.argument, "expected cells such as LSTMCell, got a \($0.layer.className)") }
      ?? (cells.isEmpty ? ModelError(.argument, "expected at least one cell, got none") : nil)
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ cells: [RNNCell], name: String? = nil, dtype: DTypePolicy = .default) {
    self.init(
      configuration: Configuration(cells: cells.map { LayerConfiguration($0) }), name: name, dtype: dtype)
  }

  public override var stateSizes: [Int] { cells.flatMap(\.stateSizes) }
  public override var stateCount: Int { cells.reduce(0) { $0 + $1.stateCount } }
  package override var namedInputGroups: [Int] { cells.map(\.stateCount) }
  public override var outputSize: Int { cells.last?.outputSize ?? 0 }

  /// The shapes of what each cell is given in a step.
  private func stepShapes(_ input: Shape) -> [Shape] {
    var step = input
    return cells.map { cell in
      defer { step = [input[0], cell.outputSize] }
      return step
    }
  }

  public override func stateShapes(for step: Shape) -> [Shape] {
    zip(cells, stepShapes(step)).flatMap { $0.stateShapes(for: $1) }
  }

  public override func build(_ input: Shape) throws {
    if let failure { throw ModelError(failure.kind, at: path, failure.message) }
    for (cell, step) in zip(cells, stepShapes(input)) {
      try cell.prepare([step] + cell.stateShapes(for: step))
    }
  }

  public override func check(_ inputs: [Shape]) throws {
    try build(inputs[0])
    try super.check(inputs)
  }

  override func cast(states: [Tensor]) -> [Tensor] {
    var rest = states[...]
    return cells.flatMap { cell in
      defer { rest = rest.dropFirst(cell.stateCount) }
      return cell.cast(states: Array(rest.prefix(cell.stateCount)))
    }
  }

  override func drawMasks(for step: Shape, _ context: CallContext) -> CellMasks {
    CellMasks(cells: zip(cells, stepShapes(step)).map { $0.drawMasks(for: $1, context) })
  }

  override func program(_ masks: CellMasks, _ context: CallContext) -> CellProgram {
    let programs = cells.indices.map { number in
      cells[number].program(masks.cells.isEmpty ? CellMasks() : masks.cells[number], context)
    }
    let counts = cells.map(\.stateCount)
    // What the first cell makes of the input doesn't depend on a state; what the others are given does.
    return CellProgram(project: programs[0].project) { input, states in
      var input = input
      var after: [Tensor] = []
      for (number, program) in programs.enumerated() {
        let own = Array(states[after.count..<after.count + counts[number]])
        let step = number == 0 ? input : program.project(input.expanded(axis: 1)).squeezed(axes: [1])
        let (output, new) = program.step(step, own)
        input = output
        after += new
      }
      return (input, after)
    }
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    let program = program(drawMasks(for: inputs[0].shape, context), context)
    let first = program.project(inputs[0].expanded(axis: 1)).squeezed(axes: [1])
    let (output, states) = program.step(first, cast(states: Array(inputs.dropFirst())))
    return [output] + states
  }
}
