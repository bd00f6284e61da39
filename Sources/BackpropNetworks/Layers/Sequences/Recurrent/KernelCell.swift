import BackpropTensors

/// What the library's cells share: a kernel for the input, one for the state, a bias, each for all gates side by side.
public class KernelCell: RNNCell, @unchecked Sendable {
  let options: RecurrentCellOptions
  let units: Int
  private let random: RandomGenerator?
  private(set) var kernel: Weight!
  private(set) var recurrentKernel: Weight!
  private(set) var bias: Weight?

  init(_ options: RecurrentCellOptions, units: Int, name: String?, trainable: Bool, dtype: DTypePolicy) {
    self.options = options
    self.units = units
    random = options.seed.map { RandomGenerator(seed: $0) }
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  // MARK: What a cell defines

  var gates: Int { 1 }
  var biasShape: Shape { [gates * units] }
  /// Where the bias starts as 1: the forget gate's.
  var onesOfBias: Range<Int>? { nil }
  /// The activations besides that of the options.
  var furtherActivations: [ActivationFunction] { [] }
  /// The states' share in the gates, added to the projected input, and what becomes of it.
  func step(_ projected: Tensor, _ states: [Tensor], _ masks: CellMasks) -> (Tensor, [Tensor]) {
    programmerError("\(className) defines no step")
  }
  /// A sequence's, or a step's, share in the gates.
  func projected(_ input: Tensor, _ masks: [Tensor]) -> Tensor {
    let kernel = kernel.value
    let product: Tensor
    if masks.count > 1 {
      let products = zip(masks, kernel.parts(masks.count, axis: 1)).map { (input * $0).matmul($1) }
      product = Tensor.concatenate(products, axis: -1)
    } else {
      product = (masks.first.map { input * $0 } ?? input).matmul(kernel)
    }
    return inputBias.map { product + $0 } ?? product
  }
  /// The part of the bias that belongs to the input.
  var inputBias: Tensor? { bias?.value }
  func kernelShape(_ input: Shape) -> Shape { [input[-1], gates * units] }
  var recurrentKernelShape: Shape { [units, gates * units] }
  /// Whether a dropout of everything drops nothing, as Keras' gated cells have it.
  var ignoresFullDropout: Bool { true }

  /// The engine's operation for this cell, where it has one for these activations.
  var operation: RecurrentCell? { nil }
  /// The state's part of the bias, where it has one of its own.
  var recurrentBias: Tensor? { nil }

  // MARK: Common

  public override var stateSizes: [Int] { [units] }

  override var stepRank: Int? { 2 }

  func checkOptions() throws {
    guard units > 0 else { throw ModelError(.argument, at: path, "units must be positive, got \(units)") }
    for (name, rate) in [("dropout", options.dropout), ("recurrentDropout", options.recurrentDropout)]
    where !(0...1).contains(rate) {
      throw ModelError(.argument, at: path, "\(name) must be in 0...1, got \(rate)")
    }
    for activation in [options.activation] + furtherActivations { try activation.check(at: path) }
    for form in configurationFields(options).compactMap({ $0.value as? any KerasForm }) {
      do { _ = try form.resolved() } catch let error as ModelError {
        throw ModelError(error.kind, at: path, error.message)
      }
    }
  }

  public override func build(_ input: Shape) throws {
    try checkOptions()
    kernel = addWeight(
      "kernel", shape: kernelShape(input), initializer: options.kernelInitializer,
      regularizer: options.kernelRegularizer, constraint: options.kernelConstraint)
    recurrentKernel = addWeight(
      "recurrent_kernel", shape: recurrentKernelShape, initializer: options.recurrentInitializer,
      regularizer: options.recurrentRegularizer, constraint: options.recurrentConstraint)
    guard options.useBias else { return }
    let ones = onesOfBias
    bias = addWeight(
      "bias", shape: biasShape, initializer: options.biasInitializer, regularizer: options.biasRegularizer,
      constraint: options.biasConstraint
    ) { value in
      guard let ones else { return value }
      let places = (0..<value.count).map { ones.contains($0) }
      return Tensor.select(Tensor(places), Tensor.ones(like: value), value)
    }
  }

  public override func check(_ inputs: [Shape]) throws {
    let expected = kernelShape(inputs[0])
    guard inputs[0].rank == stepRank, expected == kernel.shape else {
      throw ModelError(
        .shape, at: path, "expected steps of \(kernel.shape[-2]) features, got an input of \(inputs[0])")
    }
    try super.check(inputs)
  }

  /// Masks for the input alone where nothing else says how many: one for all gates; with recurrent dropout one for each.
  var maskCount: Int { options.recurrentDropout == 0 ? 1 : gates }

  override func drawMasks(for step: Shape, _ context: CallContext) -> CellMasks {
    guard context.isTraining else { return CellMasks() }
    func draw(_ rate: Double, _ shape: Shape) -> [Tensor] {
      guard rate > 0, rate < 1 || !ignoresFullDropout else { return [] }
      return (0..<maskCount).map { _ in
        if rate == 1 { return Tensor.zeros(shape, dtype: computeDType) }
        let kept = (random ?? context.random).bernoulli(shape, probability: 1 - rate)
        return kept.cast(to: computeDType) * (1 / (1 - rate))
      }
    }
    let inputs = draw(options.dropout, step)
    return CellMasks(inputs: inputs, states: draw(options.recurrentDropout, stateShapes(for: step)[0]))
  }

  override func program(_ masks: CellMasks, _ context: CallContext) -> CellProgram {
    CellProgram { sequence in
      self.projected(sequence.cast(to: self.computeDType), masks.inputs.map { $0.expanded(axis: 1) })
    } step: { input, states in
      self.step(input, states, masks)
    }
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    let masks = drawMasks(for: inputs[0].shape, context)
    let (output, states) = step(projected(inputs[0], masks.inputs), Array(inputs.dropFirst()), masks)
    return [output] + states
  }

  /// h · recurrent kernel for all gates, each gate with the mask that is its own.
  func recurrentProduct(_ h: Tensor, _ masks: [Tensor]) -> Tensor {
    let kernel = recurrentKernel.value
    guard masks.count > 1 else { return (masks.first.map { h * $0 } ?? h).matmul(kernel) }
    let products = zip(masks, kernel.parts(masks.count, axis: 1)).map { (h * $0).matmul($1) }
    return Tensor.concatenate(products, axis: -1)
  }
}
