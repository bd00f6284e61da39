import BackpropTensors

/// What layers with several inputs of like shape have in common: checks, broadcasting as Keras does it, and masks.
public class Merge: Layer, @unchecked Sendable {
  public override var supportsMasking: Bool { true }

  public override var inputCounts: ClosedRange<Int> { inputCount.map { $0...$0 } ?? 1...Int.max }

  package override var sampleInputs: [TensorType]? {
    [TensorType([2, 3, 4], .float32), TensorType([2, 3, 4], .float32)]
  }

  /// How many inputs it takes; nil: one or more.
  var inputCount: Int? { nil }

  public override func build(_ inputs: [Shape]) throws {}

  public override func check(_ inputs: [Shape]) throws {
    try checkCount(inputs)
    var result = aligned(inputs[0], to: inputs)
    for (number, input) in inputs.enumerated().dropFirst() {
      guard let joined = Shape.broadcast(result, aligned(input, to: inputs)) else {
        throw ModelError(
          .shape, at: path,
          "the inputs don't fit: input 0 is \(inputs[0]), input \(number) is \(input)\(hint(inputs, number))")
      }
      result = joined
    }
  }

  final func checkCount(_ inputs: [Shape]) throws {
    if let inputCount, inputs.count != inputCount {
      throw ModelError(.shape, at: path, "expected \(inputCount) inputs, got \(inputs.count)")
    }
    guard inputs.count > 1 || inputCount == nil else { return }
    if let scalar = inputs.first(where: { $0.rank == 0 }) {
      throw ModelError(.shape, at: path, "expected inputs with an axis for the batch, got shape \(scalar)")
    }
  }

  private func hint(_ inputs: [Shape], _ number: Int) -> String {
    let (a, b) = (inputs[0], inputs[number])
    if a.rank == b.rank, a.dimensions.dropLast() == b.dimensions.dropLast() {
      return "; a Dense or 1 × 1 convolution of \(a[-1]) on the second makes the last axes alike"
    }
    return "; axes must be alike or 1"
  }

  /// Keras: axes that are missing come after the batch axis.
  private func aligned(_ shape: Shape, to all: [Shape]) -> Shape {
    let rank = all.map(\.rank).max() ?? 0
    guard shape.rank > 0 else { return shape }
    return Shape([shape[0]] + Array(repeating: 1, count: rank - shape.rank) + shape.dimensions.dropFirst())
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    let shapes = inputs.map(\.shape)
    let values = inputs.map { input -> Tensor in
      let shape = aligned(input.shape, to: shapes)
      guard shape != input.shape else { return input }
      var result = input.reshaped(to: shape)
      result.mask = input.mask
      return result
    }
    return [merged(values)]
  }

  /// The result of inputs of one rank.
  func merged(_ inputs: [Tensor]) -> Tensor { programmerError("\(path) defines no merged(_:)") }

  /// Steps that count in any input, if every input has a mask.
  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    let masks = inputs.compactMap(\.mask)
    guard masks.count == inputs.count, let first = masks.first else { return [nil] }
    return [masks.dropFirst().reduce(first) { $0.or($1) }]
  }

  /// The inputs one after the other through `operation`; where an input's steps don't count, what came before is kept.
  final func folded(_ inputs: [Tensor], _ operation: (Tensor, Tensor) -> Tensor) -> Tensor {
    func spread(_ mask: Tensor?, _ x: Tensor) -> Tensor? { mask?.expanded(axis: -1).broadcast(to: x.shape) }
    var result = inputs[0]
    var mask = spread(result.mask, result)
    for input in inputs.dropFirst() {
      var x = input
      let own = spread(input.mask, input)
      if let own { x = Tensor.select(own, x, result) }
      if let mask { result = Tensor.select(mask, result, x) }
      mask = own.flatMap { own in mask.map { $0.or(own) } }
      result = operation(result, x)
    }
    return result
  }
}
