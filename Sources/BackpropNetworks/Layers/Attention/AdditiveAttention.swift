import BackpropTensors

/// Attention whose scores are Σ scale · tanh(query + key) (Bahdanau et al., 2014). Keras' `AdditiveAttention`; inputs,
/// masks and options as those of ``Attention``.
public final class AdditiveAttention: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var useScale: Bool
    public var dropout: Double
    public var seed: Int?
  }

  public let configuration: Configuration
  private var scale: Weight?
  private let weighing: WeightedValues

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    weighing = WeightedValues(dropout: configuration.dropout, seed: configuration.seed)
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - useScale: trained numbers, one for each element of a key, weight the sum.
  ///   - dropout: the share of the weights that is set to 0 in training.
  public convenience init(
    useScale: Bool = true, dropout: Double = 0, seed: Int? = nil, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    let configuration = Configuration(useScale: useScale, dropout: dropout, seed: seed)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  public override var inputCounts: ClosedRange<Int> { 2...3 }
  public override var supportsMasking: Bool { true }
  public override var callOptions: Set<CallOption> { [.useCausalMask, .returnAttentionScores] }

  package override var sampleInputs: [TensorType]? { SequenceInputs.sample }

  public override func build(_ inputs: [Shape]) throws {
    try weighing.check(at: path)
    try check(inputs)
    if configuration.useScale { scale = addWeight("scale", shape: [inputs[0][-1]]) }
  }

  public override func check(_ inputs: [Shape]) throws {
    try SequenceInputs.check(inputs, rank: 3, path: path)
    try SequenceInputs.checkDim(inputs, expected: scale?.shape[0], path: path)
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    let key = inputs.count > 2 ? inputs[2] : inputs[1]
    let sums = (inputs[0].expanded(axis: 2) + key.expanded(axis: 1)).tanh()
    let scores = (scale.map { sums * $0.value } ?? sums).sum(axes: [-1])
    return weighing.results(of: scores, inputs, context)
  }

  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    results.indices.map { $0 == 0 ? inputs[0].mask : nil }
  }
}
