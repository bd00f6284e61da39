import BackpropTensors

/// One step of a recurrent network: from an input and the state before it to an output and the state after it. What
/// ``RNN`` runs over sequences.
///
/// A cell of your own says how large its state is, and computes a step:
///
/// ```swift
/// final class MinimalCell: RNNCell, @unchecked Sendable {
///   private let units: Int
///   private var kernel: Weight!, recurrentKernel: Weight!
///   init(_ units: Int) {
///     self.units = units
///     super.init()
///   }
///   override var stateSizes: [Int] { [units] }
///   override func build(_ input: Shape) {      // of one step: [batch, features]
///     kernel = addWeight("kernel", shape: [input[-1], units])
///     recurrentKernel = addWeight("recurrent_kernel", shape: [units, units])
///   }
///   override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
///     let h = inputs[0].matmul(kernel.value) + inputs[1].matmul(recurrentKernel.value)
///     return [h, h]      // output, new state
///   }
/// }
/// let layer = RNN(MinimalCell(32))
/// ```
///
/// Called by itself it takes [input, states…] and gives [output, states…].
open class RNNCell: Layer, @unchecked Sendable {
  /// The features of each state tensor, which are [batch, size].
  open var stateSizes: [Int] { programmerError("\(path) defines neither stateSizes nor stateShapes(for:)") }

  /// The features of the output.
  open var outputSize: Int { stateSizes[0] }

  /// The shapes of the state tensors for a step's input of this shape, where they are more than ``stateSizes`` says.
  open func stateShapes(for step: Shape) -> [Shape] { stateSizes.map { [step[0], $0] } }

  /// How many state tensors there are.
  open var stateCount: Int { stateSizes.count }

  open override var inputCounts: ClosedRange<Int> { 1 + stateCount...1 + stateCount }

  package override var namedInputs: (name: String, after: Int)? { ("states", 1) }

  open override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    results.map { _ in nil }
  }

  package override var sampleInputs: [TensorType]? {
    let step: Shape = [2, 3]
    return ([step] + stateShapes(for: step)).map { TensorType($0, .float32) }
  }

  /// States as the cell computes with them: its dtype needn't be the layer's.
  func cast(states: [Tensor]) -> [Tensor] { states.map { $0.cast(to: computeDType) } }

  /// How many axes a step's input has, batch included; nil: any.
  var stepRank: Int? { nil }

  /// Refuses a step's input for which there are no states.
  func checkStep(_ step: Shape) throws {}

  /// What drops inputs and states in one call of a layer: the same at each step.
  func drawMasks(for step: Shape, _ context: CallContext) -> CellMasks { CellMasks() }

  /// The functions of one call of a layer.
  func program(_ masks: CellMasks, _ context: CallContext) -> CellProgram {
    CellProgram(project: { $0 }) { input, states in
      let results = self([input] + states, context)
      require(
        results.count == 1 + states.count,
        "\(self.path): a step with \(states.count) state tensors gave \(results.count) results; expected the output and as many states"
      )
      return (results[0], Array(results.dropFirst()))
    }
  }

  /// Refuses inputs that aren't a step with its states.
  open override func check(_ inputs: [Shape]) throws {
    let states = stateShapes(for: inputs[0])
    guard Array(inputs.dropFirst()) == states else {
      let expected = states.map(\.description).joined(separator: ", ")
      let got = inputs.dropFirst().map(\.description).joined(separator: ", ")
      throw ModelError(
        .shape, at: path,
        "expected the states \(expected) after an input of \(inputs[0]), got \(got.isEmpty ? "none" : got)")
    }
  }
}

/// What multiplies inputs and states where training drops some of them, scaled to keep the sum; empty: nothing is dropped.
///
/// One for all gates, or one for each.
struct CellMasks: Sendable {
  var inputs: [Tensor] = []
  var states: [Tensor] = []
  /// Of the cells inside, where there are some.
  var cells: [CellMasks] = []
}

/// A cell in one call of a layer.
struct CellProgram {
  /// From a sequence [batch, steps, …] to what `step` takes of each step: what doesn't depend on the state is computed for
  /// all steps at once.
  let project: (Tensor) -> Tensor
  /// From a projected step and the states to output and new states.
  let step: (Tensor, [Tensor]) -> (output: Tensor, states: [Tensor])
}
