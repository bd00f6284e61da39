import BackpropTensors

/// Attention whose heads share keys and values in groups (Ainslie et al., 2023). Keras' `GroupQueryAttention`.
///
/// ```swift
/// let attention = GroupQueryAttention(headDim: 32, numQueryHeads: 8, numKeyValueHeads: 2)
/// let h = attention(query: x, value: x, useCausalMask: true)
/// ```
///
/// Inputs, masks and options as those of ``MultiHeadAttention``.
public final class GroupQueryAttention: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var headDim: Int
    public var numQueryHeads: Int
    public var numKeyValueHeads: Int
    public var dropout: Double
    public var useBias: Bool
    public var useGate: Bool
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
  private var _queryDense: EinsumDense!
  private var _keyDense: EinsumDense!
  private var _gateDense: EinsumDense?
  private var _valueDense: EinsumDense!
  private var _outputDense: EinsumDense!
  private let heads: AttentionOfHeads

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    heads = AttentionOfHeads(
      keyDim: configuration.headDim, dropout: configuration.dropout, seed: configuration.seed,
      slidingWindow: configuration.slidingWindow)
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - numQueryHeads: a multiple of `numKeyValueHeads`.
  ///   - flashAttention: see ``MultiHeadAttention``.
  public convenience init(
    headDim: Int, numQueryHeads: Int, numKeyValueHeads: Int, dropout: Double = 0, useBias: Bool = true,
    slidingWindow: Int? = nil, flashAttention: Bool? = nil, kernelInitializer: Initializer = .glorotUniform,
    biasInitializer: Initializer = .zeros, kernelRegularizer: Regularizer? = nil,
    biasRegularizer: Regularizer? = nil, activityRegularizer: Regularizer? = nil,
    kernelConstraint: Constraint? = nil, biasConstraint: Constraint? = nil, useGate: Bool = false,
    seed: Int? = nil,
    name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let configuration = Configuration(
      headDim: headDim, numQueryHeads: numQueryHeads, numKeyValueHeads: numKeyValueHeads, dropout: dropout,
      useBias: useBias, useGate: useGate, slidingWindow: slidingWindow, kernelInitializer: kernelInitializer,
      biasInitializer: biasInitializer, kernelRegularizer: kernelRegularizer,
      biasRegularizer: biasRegularizer,
      activityRegularizer: activityRegularizer, kernelConstraint: kernelConstraint,
      biasConstraint: biasConstraint,
      seed: seed)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
    heads.mayStoreNothing = flashAttention ?? false
  }

  package override var baseName: String { "GroupedQueryAttention" }

  public override var supportsMasking: Bool { true }
  public override var inputCounts: ClosedRange<Int> { 2...4 }
  public override var listsInputs: Bool { false }
  public override var callOptions: Set<CallOption> { [.useCausalMask, .returnAttentionScores] }
  package override var argumentNames: [String]? { AttentionOfHeads.argumentNames }
  package override var sampleInputs: [TensorType]? { SequenceInputs.sample }

  public override func build(_ inputs: [Shape]) throws {
    let c = configuration
    let counts = [
      ("headDim", c.headDim), ("numQueryHeads", c.numQueryHeads), ("numKeyValueHeads", c.numKeyValueHeads),
    ]
    for (what, size) in counts where size <= 0 {
      throw ModelError(.argument, at: path, "\(what) must be positive, got \(size)")
    }
    guard c.numQueryHeads % c.numKeyValueHeads == 0 else {
      throw ModelError(
        .argument, at: path,
        "numQueryHeads must be a multiple of numKeyValueHeads, got \(c.numQueryHeads) and \(c.numKeyValueHeads)"
      )
    }
    try heads.check(at: path)
    try SequenceInputs.check(inputs, rank: 3, path: path)
    let projection = HeadProjection(
      inner: 1,
      configuration: HeadProjection.Configuration(
        useBias: c.useBias, kernelInitializer: c.kernelInitializer, biasInitializer: c.biasInitializer,
        kernelRegularizer: c.kernelRegularizer, biasRegularizer: c.biasRegularizer,
        activityRegularizer: c.activityRegularizer, kernelConstraint: c.kernelConstraint,
        biasConstraint: c.biasConstraint), dtype: dtypePolicy)
    _queryDense = projection.toHeads("query", c.numQueryHeads, c.headDim)
    _keyDense = projection.toHeads("key", c.numKeyValueHeads, c.headDim)
    if c.useGate { _gateDense = projection.toHeads("gate", c.numQueryHeads, c.headDim, activation: .sigmoid) }
    _valueDense = projection.toHeads("value", c.numKeyValueHeads, c.headDim)
    _outputDense = projection.fromHeads("attention_output", [inputs[0][-1]])
    for layer in sublayers { layer.adopt(name: layer.name, parent: path) }
    try _queryDense.prepare([inputs[0]])
    try _keyDense.prepare([inputs.count > 2 ? inputs[2] : inputs[1]])
    try _gateDense?.prepare([inputs[0]])
    try _valueDense.prepare([inputs[1]])
    try _outputDense.prepare([[inputs[0][0], inputs[0][1], c.numQueryHeads, c.headDim]])
  }

  public override func check(_ inputs: [Shape]) throws {
    try SequenceInputs.check(inputs, rank: 3, path: path)
    try _queryDense.check([inputs[0]])
    try _valueDense.check([inputs[1]])
    try _keyDense.check([inputs.count > 2 ? inputs[2] : inputs[1]])
    try heads.checkMask(inputs, heads: configuration.numQueryHeads, path: path)
  }

  package override func refusal(of options: Set<CallOption>) -> String? { heads.refusal(of: options) }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    let plain = inputs.map { input -> Tensor in
      var input = input
      input.mask = nil
      return input
    }
    let query = _queryDense(plain[0], context)
    let key = _keyDense(plain.count > 2 ? plain[2] : plain[1], context)
    let value = _valueDense(plain[1], context)
    var results = heads.results(query, key, value, inputs, context, path: path)
    if let gate = _gateDense { results[0] = results[0] * gate(plain[0], context) }
    results[0] = _outputDense(results[0], context)
    return results
  }

  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    results.indices.map { $0 == 0 ? inputs[0].mask : nil }
  }
}
