/// Cells that are taken along the time axis, one step after the other: what stands between two steps is their state.
///
/// The product of a layer's input and kernel belongs to no step: it is made before, for all steps at once, and is the
/// first input here.
package enum RecurrentOperation: SampledFamily {
  /// From projected inputs [batch, time, gates · units], initial states [batch, units], the recurrent kernel [units,
  /// gates · units] (a recurrent bias, a mask [batch, time]) to the outputs [batch, time, units], the final states, and
  /// what the backward pass needs.
  case forward(RecurrentOptions)
  /// From the gradients of the results that have one (see ``RecurrentGradient``) to those of the projected inputs, the
  /// initial states and, where it differs from the first, of the recurrent product.
  case gradient(RecurrentGradient)

  package var operation: Operation { .recurrent(self) }

  package enum Kind: CaseIterable { case forward, gradient }

  package var kind: Kind {
    switch self {
    case .forward: .forward
    case .gradient: .gradient
    }
  }

  package static var samples: [Sample] {
    let cells: [RecurrentCell] = [.simple, .lstm, .gru(resetAfter: true), .gru(resetAfter: false)]
    let sizes: [(batch: Int, time: Int, units: Int)] = [
      (2, 3, 4), (5, 2, 17), (1, 4, 1), (17, 1, 35), (2, 0, 3), (0, 2, 3),
    ]
    var samples: [Sample] = []
    for cell in cells {
      for (number, size) in sizes.enumerated() {
        var options = RecurrentOptions(cell)
        options.isMasked = number % 2 == 1
        options.goesBackwards = number % 3 == 1
        options.hasBias = cell.takesBias && number != 2
        samples += options.samples(batch: size.batch, time: size.time, units: size.units)
      }
      var allMasked = RecurrentOptions(cell)
      allMasked.isMasked = true
      samples += allMasked.samples(batch: 3, time: 2, units: 5, mask: { _ in 0 })
    }
    return samples
  }

  package var rule: Rule {
    switch self {
    case .forward(let options): options.forwardRule
    case .gradient(let gradient): gradient.rule
    }
  }
}

/// What a recurrent layer computes at each step, from a projected input x, the state h and the recurrent product h·U.
/// The activations are Keras' defaults, sigmoid for gates and tanh for the rest.
public enum RecurrentCell: Hashable, Sendable {
  /// h′ = tanh(x + h·U)
  case simple
  /// Gates in the order i, f, c, o: c′ = f·c + i·tanh(…), h′ = o·tanh(c′) (Hochreiter and Schmidhuber, 1997).
  case lstm
  /// Gates in the order z, r, h: h′ = z·h + (1 − z)·tanh(…) (Cho et al., 2014). The reset gate multiplies the recurrent
  /// product where it is taken `resetAfter` it, else the state before it.
  case gru(resetAfter: Bool)

  /// Columns of the projected inputs and of the recurrent kernel for each unit.
  public var gates: Int {
    switch self {
    case .simple: 1
    case .lstm: 4
    case .gru: 3
    }
  }

  /// The number of states: the LSTM has h and c, the others h.
  public var stateCount: Int { self == .lstm ? 2 : 1 }

  /// Whether the recurrent product has a bias that can't be part of the projected inputs.
  public var takesBias: Bool { self == .gru(resetAfter: true) }

  var name: String {
    switch self {
    case .simple: "simple recurrence"
    case .lstm: "lstm"
    case .gru: "gru"
    }
  }
}

package struct RecurrentOptions: Hashable, Sendable {
  package var cell: RecurrentCell
  /// Steps are taken from the last to the first; outputs are in the order of the steps.
  package var goesBackwards = false
  /// A bias [gates · units] of the recurrent product is among the inputs.
  package var hasBias = false
  /// A mask [batch, time] is among the inputs: where it is false the states stay and the output is the last one.
  package var isMasked = false
  /// Whether all outputs are made, or the final states alone.
  package var keepsOutputs = true
  /// Whether what the backward pass needs is made.
  package var keepsSaved = true

  package init(_ cell: RecurrentCell) { self.cell = cell }

  var inputCount: Int { 2 + cell.stateCount + (hasBias ? 1 : 0) + (isMasked ? 1 : 0) }
  /// Results that are anybody's: outputs and final states.
  var visibleCount: Int { (keepsOutputs ? 1 : 0) + cell.stateCount }
  /// States before each step; gates; the LSTM's cells after each step, or the GRU's recurrent product for h. In the order
  /// of the inputs' steps.
  var savedCount: Int {
    switch cell {
    case .simple, .gru(resetAfter: false): 2
    case .lstm, .gru(resetAfter: true): 3
    }
  }

  /// The place of step number `step` in the inputs.
  func position(of step: Int, in time: Int) -> Int { goesBackwards ? time - 1 - step : step }

  // MARK: Samples

  fileprivate func samples(
    batch: Int, time: Int, units: Int, mask: (Int) -> Double = { $0 % 3 == 1 ? 0 : 1 }
  ) -> [Sample] {
    let columns = units * cell.gates
    let state = Sample.Input([batch, units])
    let kernel = Sample.Input([units, columns], in: -1...1)
    let masks = Sample.Input([batch, time], .bool, elements: (0..<batch * time).map(mask))
    let last = isMasked ? [masks] : []
    let states = Array(repeating: state, count: cell.stateCount)
    let forward =
      [Sample.Input([batch, time, columns]), state] + states.dropFirst() + [kernel]
      + (hasBias ? [Sample.Input([columns])] : []) + last
    let open = 0.1...0.9
    var saved = [Sample.Input([batch, time, units]), Sample.Input([batch, time, columns], in: open)]
    if savedCount == 3 { saved.append(Sample.Input([batch, time, units])) }
    let cells = cell == .lstm ? [state] : []
    let every = RecurrentGradient(options: self, given: Array(repeating: true, count: 1 + states.count))
    var few = every
    few.given[0] = false
    return [
      Sample(.recurrent(.forward(self)), forward),
      Sample(
        .recurrent(.gradient(every)),
        [Sample.Input([batch, time, units])] + states + saved + cells + [kernel] + last),
      Sample(.recurrent(.gradient(few)), states + saved + cells + [kernel] + last),
    ]
  }

  // MARK: Forward

  /// The inputs by their names.
  struct Inputs<Item> {
    var x: Item
    var states: [Item]
    var kernel: Item
    var bias, mask: Item?
  }

  func named<Item>(_ inputs: [Item]) -> Inputs<Item> {
    let kernel = 1 + cell.stateCount
    return Inputs(
      x: inputs[0], states: Array(inputs[1..<kernel]), kernel: inputs[kernel],
      bias: hasBias ? inputs[kernel + 1] : nil, mask: isMasked ? inputs[inputCount - 1] : nil)
  }

  private func infer(_ types: [TensorType]) throws(OperationError) -> [TensorType] {
    let inputs = named(types)
    let name = cell.name
    let (x, kernel) = (inputs.x, inputs.kernel)
    guard kernel.shape.rank == 2, kernel.shape[0] > 0, kernel.shape[1] == cell.gates * kernel.shape[0] else {
      throw OperationError(
        "\(name): expected a recurrent kernel of shape [units, \(cell.gates) · units], got \(kernel)")
    }
    let units = kernel.shape[0]
    guard x.shape.rank == 3, x.shape[2] == kernel.shape[1], x.dtype.isFloatingPoint else {
      throw OperationError(
        "\(name): expected projected inputs of shape [batch, time, \(cell.gates) · \(units)], got \(x); multiply the "
          + "inputs by the layer's kernel first")
    }
    let state = TensorType([x.shape[0], units], x.dtype)
    for given in inputs.states where given != state {
      throw OperationError("\(name): expected initial states of \(state), got \(given)")
    }
    if kernel.dtype != x.dtype {
      throw OperationError("\(name): projected inputs of \(x) and a recurrent kernel of \(kernel)")
    }
    if let bias = inputs.bias, bias != TensorType([kernel.shape[1]], x.dtype) {
      throw OperationError(
        "\(name): expected a recurrent bias of \(TensorType([kernel.shape[1]], x.dtype)), got \(bias)")
    }
    if let mask = inputs.mask, mask != TensorType([x.shape[0], x.shape[1]], .bool) {
      throw OperationError(
        "\(name): expected a mask of \(TensorType([x.shape[0], x.shape[1]], .bool)), got \(mask)")
    }
    let steps = TensorType([x.shape[0], x.shape[1], units], x.dtype)
    let visible = (keepsOutputs ? [steps] : []) + Array(repeating: state, count: cell.stateCount)
    guard keepsSaved else { return visible }
    return visible + [steps, x] + (savedCount == 3 ? [steps] : [])
  }

  fileprivate var forwardRule: Rule {
    var rule = Rule(
      cell.name, infer: { types throws(OperationError) in try infer(types) },
      value: .composed { composed($0) },
      kernel: { inputs, outputs, scratch in kernel(inputs, outputs, scratch) }, gradient: gradient, onnx: onnx
    )
    rule.scratch = { types in scratchBytes(types) }
    // The gates take the projected inputs' place.
    rule.mayOverwrite = { input, output, _ in input == 0 && keepsSaved && output == visibleCount + 1 }
    rule.savedResults = keepsSaved ? savedCount : 0
    rule.withoutUnused = { used in withoutUnused(used) }
    rule.flops = { inputs, outputs in flops(inputs[0], inputs[1 + cell.stateCount]) }
    return rule
  }

  private var onnx: String {
    switch cell {
    case .simple: "RNN"
    case .lstm: "LSTM"
    case .gru: "GRU"
    }
  }

  /// The recurrent products, and some twenty for each unit's activations.
  func flops(_ x: TensorType, _ kernel: TensorType) -> Int {
    let steps = x.shape[0] * x.shape[1]
    return steps * (2 * kernel.shape.elementCount + 20 * kernel.shape[1])
  }

  /// Outputs that nobody reads, or what only a backward pass would read, needn't be made.
  private func withoutUnused(_ used: [Bool]) -> (operation: Operation, kept: [Int])? {
    var options = self
    let visible = visibleCount
    if keepsSaved { options.keepsSaved = used[visible...].contains(true) }
    if keepsOutputs { options.keepsOutputs = used[0] }
    if options == self { return nil }
    let kept = used.indices.filter {
      ($0 < visible || options.keepsSaved) && ($0 > 0 || options.keepsOutputs || !keepsOutputs)
    }
    return (.recurrent(.forward(options)), kept)
  }

  // MARK: Gradient

  private var gradient: Gradient {
    // Only the compiler leaves something out, after differentiation.
    guard keepsOutputs, keepsSaved else { return .composed }
    return .ofOutputs(
      keeping: Array(visibleCount..<visibleCount + savedCount), inputs: Array(0..<inputCount)
    ) { context in
      let saved = (visibleCount..<visibleCount + savedCount).map { context.output($0) }
      // A gradient's gradient also comes back through what was saved.
      if context.outputGradients[visibleCount...].contains(where: { $0 != nil }) {
        return gradientOfComposed(context)
      }
      let gradients = context.outputGradients[..<visibleCount]
      let inputs = named((0..<inputCount).map { context.input($0) })
      let backward = RecurrentGradient(options: self, given: gradients.map { $0 != nil })
      let results = apply(
        .recurrent(.gradient(backward)),
        gradients.compactMap { $0 } + saved + inputs.states.dropFirst() + [inputs.kernel]
          + (inputs.mask.map { [$0] } ?? []))
      var all: [Tensor?] = Array(results[...cell.stateCount])
      let product = results[cell == .gru(resetAfter: true) ? 1 + cell.stateCount : 0]
      let kernelPlace = 1 + cell.stateCount
      all.append(context.wanted[kernelPlace] ? kernelGradient(saved[0], saved[1], product) : nil)
      if hasBias { all.append(context.wanted[kernelPlace + 1] ? product.sum(axes: [0, 1]) : nil) }
      if isMasked { all.append(nil) }
      return all
    }
  }

  /// Over all steps at once: what was multiplied by the recurrent kernel, and the products' gradients.
  private func kernelGradient(_ previous: Tensor, _ gates: Tensor, _ product: Tensor) -> Tensor {
    func rows(_ tensor: Tensor) -> Tensor { tensor.reshaped(to: [-1, tensor.shape[2]]) }
    func total(_ left: Tensor, _ right: Tensor) -> Tensor {
      let units = left.shape[2]
      guard left.count > 0 else { return Tensor.zeros([units, right.shape[2]], dtype: left.dtype) }
      return rows(left).matmul(rows(right), transposeSelf: true)
    }
    guard cell == .gru(resetAfter: false) else { return total(previous, product) }
    let units = previous.shape[2]
    let reset = gates.sliced(axis: 2, from: units, count: units)
    return Tensor.concatenate(
      [
        total(previous, product.sliced(axis: 2, from: 0, count: 2 * units)),
        total(previous * reset, product.sliced(axis: 2, from: 2 * units, count: units)),
      ], axis: 1)
  }

  private func gradientOfComposed(_ context: Backward) -> [Tensor?] {
    let inputs = (0..<inputCount).map { context.input($0) }
    let places = inputs.indices.filter { inputs[$0].dtype.isFloatingPoint }
    let (values, pullback) = valueWithPullback(at: places.map { inputs[$0] }) { points in
      var all = inputs
      for (place, point) in zip(places, points) { all[place] = point }
      return composed(all)
    }
    let gradients = zip(context.outputGradients, values).map { $0 ?? Tensor.zeros(like: $1) }
    var all = [Tensor?](repeating: nil, count: inputs.count)
    for (place, gradient) in zip(places, pullback(gradients)) { all[place] = gradient }
    return all
  }
}

// MARK: Backward

/// The steps taken back. Inputs: the gradients that are `given` (of the outputs, of each final state), what the forward
/// pass saved, the LSTM's initial cells, the recurrent kernel, the mask. Results: the gradients of the projected inputs, of
/// each initial state, and, of a GRU that resets after the product, of that product.
package struct RecurrentGradient: Hashable, Sendable {
  package var options: RecurrentOptions
  package var given: [Bool]

  struct Inputs<Item> {
    /// In the order of outputs and states; nil where nothing depends on it.
    var gradients: [Item?]
    var previous, gates: Item
    /// Cells after each step, or the recurrent product for h.
    var extra: Item?
    var initialCell: Item?
    var kernel: Item
    var mask: Item?
  }

  func named<Item>(_ inputs: [Item]) -> Inputs<Item> {
    var rest = inputs[...]
    let gradients = given.map { $0 ? rest.removeFirst() : nil }
    let (previous, gates) = (rest.removeFirst(), rest.removeFirst())
    let extra = options.savedCount == 3 ? rest.removeFirst() : nil
    let initialCell = options.cell == .lstm ? rest.removeFirst() : nil
    return Inputs(
      gradients: gradients, previous: previous, gates: gates, extra: extra, initialCell: initialCell,
      kernel: rest.removeFirst(), mask: rest.first)
  }

  private func infer(_ types: [TensorType]) -> [TensorType] {
    let inputs = named(types)
    let (previous, gates) = (inputs.previous, inputs.gates)
    let state = TensorType([previous.shape[0], previous.shape[2]], previous.dtype)
    let product = options.cell == .gru(resetAfter: true) ? [gates] : []
    return [gates] + Array(repeating: state, count: options.cell.stateCount) + product
  }

  fileprivate var rule: Rule {
    var rule = Rule(
      "\(options.cell.name) gradient", infer: { types throws(OperationError) in infer(types) },
      value: .composed { composed($0) },
      kernel: { inputs, outputs, scratch in kernel(inputs, outputs, scratch) }, gradient: .composed)
    rule.scratch = { types in scratchBytes(types) }
    rule.mayOverwrite = { input, output, _ in input == gatesPlace && output == 0 }
    rule.flops = { inputs, _ in
      let inputs = named(inputs)
      return options.flops(inputs.gates, inputs.kernel)
    }
    return rule
  }
}
