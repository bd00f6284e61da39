import BackpropTensors

/// Attention of several heads, each between projections of its own (Vaswani et al., 2017). Keras' `MultiHeadAttention`.
///
/// ```swift
/// let attention = MultiHeadAttention(4, keyDim: 32)
/// let h = attention(query: x, value: x, useCausalMask: true)      // [batch, steps, 128] → [batch, steps, 128]
/// ```
///
/// Inputs are query, value and, where they are given, key and an attention mask. Steps that don't count in them aren't
/// seen. The weights of attention are stored only where a call asks for them or drops some of them.
public final class MultiHeadAttention: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var numHeads: Int
    public var keyDim: Int
    public var valueDim: Int?
    public var dropout: Double
    public var useBias: Bool
    public var useGate: Bool
    public var outputShape: OneOrMany<Int>?
    public var attentionAxes: OneOrMany<Int>?
    public var slidingWindow: Int?
    public var kernelInitializer: Initializer
    public var biasInitializer: Initializer
    public var kernelRegularizer: Regularizer?
    public var biasRegularizer: Regularizer?
    public var activityRegularizer: Regularizer?
    public var kernelConstraint: Constraint?
    public var biasConstraint: Constraint?
    public var seed: Int?
  }

  public let configuration: Configuration
  // Named and ordered as Keras has them: files find the weights by these names.
  private var queryDense: EinsumDense!
  private var keyDense: EinsumDense!
  private var _gateDense: EinsumDense?
  private var valueDense: EinsumDense!
  private var outputDense: EinsumDense!
  private let heads: AttentionOfHeads

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    heads = AttentionOfHeads(
      keyDim: configuration.keyDim, dropout: configuration.dropout, seed: configuration.seed,
      slidingWindow: configuration.slidingWindow)
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - keyDim: the size of each head's queries and keys.
  ///   - valueDim: the size of each head's values; nil: as `keyDim`.
  ///   - dropout: the share of the weights that is set to 0 in training.
  ///   - useGate: the heads' results are multiplied by sigmoids of projections of the query.
  ///   - outputShape: nil: as the last axis of the query.
  ///   - attentionAxes: the axes that steps lie along, the batch axis being 0; nil: all but the first and the last.
  ///   - slidingWindow: a query sees keys less than so many places away; nil: all. With one axis alone.
  ///   - flashAttention: Keras' choice between kernels. Here one that stores no weights is always taken where it can be;
  ///     `true` says that nothing else may, and so refuses dropout.
  public convenience init(
    _ numHeads: Int, keyDim: Int, valueDim: Int? = nil, dropout: Double = 0, useBias: Bool = true,
    outputShape: OneOrMany<Int>? = nil, attentionAxes: OneOrMany<Int>? = nil, slidingWindow: Int? = nil,
    flashAttention: Bool? = nil, kernelInitializer: Initializer = .glorotUniform,
    biasInitializer: Initializer = .zeros,
    kernelRegularizer: Regularizer? = nil, biasRegularizer: Regularizer? = nil,
    activityRegularizer: Regularizer? = nil, kernelConstraint: Constraint? = nil,
    biasConstraint: Constraint? = nil,
    useGate: Bool = false, seed: Int? = nil, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    let configuration = Configuration(
      numHeads: numHeads, keyDim: keyDim, valueDim: valueDim, dropout: dropout, useBias: useBias,
      useGate: useGate,
      outputShape: outputShape, attentionAxes: attentionAxes, slidingWindow: slidingWindow,
      kernelInitializer: kernelInitializer, biasInitializer: biasInitializer,
      kernelRegularizer: kernelRegularizer,
      biasRegularizer: biasRegularizer, activityRegularizer: activityRegularizer,
      kernelConstraint: kernelConstraint,
      biasConstraint: biasConstraint, seed: seed)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
    heads.mayStoreNothing = flashAttention ?? false
  }

  public override var supportsMasking: Bool { true }
  package override var takesMasksAway: Bool { true }
  public override var inputCounts: ClosedRange<Int> { 2...4 }
  public override var listsInputs: Bool { false }
  public override var callOptions: Set<CallOption> { [.useCausalMask, .returnAttentionScores] }
  package override var argumentNames: [String]? { AttentionOfHeads.argumentNames }
  package override var sampleInputs: [TensorType]? { SequenceInputs.sample }

  public override func build(_ inputs: [Shape]) throws {
    let c = configuration
    for (what, size) in [("numHeads", c.numHeads), ("keyDim", c.keyDim), ("valueDim", c.valueDim ?? 1)]
    where size <= 0 {
      throw ModelError(.argument, at: path, "\(what) must be positive, got \(size)")
    }
    try heads.check(at: path)
    let free = inputs[0].rank - 2
    guard free >= 1, inputs[1].rank == inputs[0].rank else {
      throw ModelError(
        .shape, at: path,
        "expected inputs [batch, steps, features] of as many axes each, got \(inputs[0]) and \(inputs[1])")
    }
    heads.axes = try positions(rank: inputs[0].rank)
    let projection = HeadProjection(inner: free, configuration: common, dtype: dtypePolicy)
    let valueDim = c.valueDim ?? c.keyDim
    queryDense = projection.toHeads("query", c.numHeads, c.keyDim)
    keyDense = projection.toHeads("key", c.numHeads, c.keyDim)
    if c.useGate { _gateDense = projection.toHeads("gate", c.numHeads, valueDim, activation: .sigmoid) }
    valueDense = projection.toHeads("value", c.numHeads, valueDim)
    outputDense = projection.fromHeads("attention_output", c.outputShape?.values ?? [inputs[0][-1]])
    for layer in sublayers { layer.adopt(name: layer.name, parent: path) }
    try queryDense.prepare([inputs[0]])
    try keyDense.prepare([inputs.count > 2 ? inputs[2] : inputs[1]])
    try _gateDense?.prepare([inputs[0]])
    try valueDense.prepare([inputs[1]])
    try outputDense.prepare([Shape(inputs[0].dimensions.dropLast() + [c.numHeads, valueDim])])
  }

  private var common: HeadProjection.Configuration {
    let c = configuration
    return HeadProjection.Configuration(
      useBias: c.useBias, kernelInitializer: c.kernelInitializer, biasInitializer: c.biasInitializer,
      kernelRegularizer: c.kernelRegularizer, biasRegularizer: c.biasRegularizer,
      activityRegularizer: c.activityRegularizer, kernelConstraint: c.kernelConstraint,
      biasConstraint: c.biasConstraint)
  }

  private func positions(rank: Int) throws -> [Int] {
    guard let given = configuration.attentionAxes?.values else { return Array(1..<rank - 1) }
    let axes = given.map { $0 < 0 ? $0 + rank : $0 }
    guard !axes.isEmpty, Set(axes).count == axes.count, axes.allSatisfy({ (1..<rank - 1).contains($0) })
    else {
      throw ModelError(
        .argument, at: path, "expected attention axes in 1..<\(rank - 1), each once, got \(given)")
    }
    return axes.sorted()
  }

  public override func check(_ inputs: [Shape]) throws {
    try SequenceInputs.check(
      inputs, rank: heads.axes.count == 1 ? inputs[0].rank : heads.axes.last! + 2, path: path)
    try heads.checkAxes(inputs, path: path)
    try queryDense.check([inputs[0]])
    try valueDense.check([inputs[1]])
    try keyDense.check([inputs.count > 2 ? inputs[2] : inputs[1]])
    try heads.checkMask(inputs, heads: configuration.numHeads, path: path)
  }

  package override func refusal(of options: Set<CallOption>) -> String? { heads.refusal(of: options) }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    let (query, value) = (inputs[0], inputs[1])
    let key = inputs.count > 2 ? inputs[2] : value
    let projected = (
      queryDense(plain(query), context), keyDense(plain(key), context), valueDense(plain(value), context)
    )
    var results = heads.results(projected.0, projected.1, projected.2, inputs, context, path: path)
    if let gate = _gateDense { results[0] = results[0] * gate(plain(query), context) }
    results[0] = outputDense(results[0], context)
    return results
  }

  /// Masks are this layer's concern, not its projections'.
  private func plain(_ x: Tensor) -> Tensor {
    var x = x
    x.mask = nil
    return x
  }

  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    results.indices.map { $0 == 0 ? inputs[0].mask : nil }
  }
}
