import BackpropTensors

/// Each query's mean of the values, weighted by how well their keys fit (Luong et al., 2015). Keras' `Attention`.
///
/// ```swift
/// let context = Attention()([queries, values])      // [batch, m, dim], [batch, n, valueDim] → [batch, m, valueDim]
/// ```
///
/// Inputs are [query, value] or [query, value, key]; without a key the values are the keys. Steps that don't count in the
/// value aren't seen, steps that don't count in the query give 0.
public final class Attention: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var useScale: Bool
    public var scoreMode: ScoreMode
    public var dropout: Double
    public var seed: Int?
  }

  /// How well a key fits a query.
  public enum ScoreMode: String, Codable, Hashable, Sendable {
    /// Their product.
    case dot
    /// Σ tanh(query + key).
    case concat
  }

  public let configuration: Configuration
  private var scale: Weight?
  private var concatScoreWeight: Weight?
  private let weighing: WeightedValues

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    weighing = WeightedValues(dropout: configuration.dropout, seed: configuration.seed)
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - useScale: a trained number scales the scores.
  ///   - dropout: the share of the weights that is set to 0 in training.
  public convenience init(
    useScale: Bool = false, scoreMode: ScoreMode = .dot, dropout: Double = 0, seed: Int? = nil,
    name: String? = nil,
    trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let configuration = Configuration(useScale: useScale, scoreMode: scoreMode, dropout: dropout, seed: seed)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  public override var inputCounts: ClosedRange<Int> { 2...3 }
  public override var supportsMasking: Bool { true }
  public override var callOptions: Set<CallOption> { [.useCausalMask, .returnAttentionScores] }

  package override var sampleInputs: [TensorType]? { SequenceInputs.sample }

  public override func build(_ inputs: [Shape]) throws {
    try weighing.check(at: path)
    if configuration.useScale { scale = addWeight("scale", shape: [], initializer: .ones) }
    if configuration.scoreMode == .concat {
      concatScoreWeight = addWeight("concat_score_weight", shape: [], initializer: .ones)
    }
  }

  public override func check(_ inputs: [Shape]) throws {
    try SequenceInputs.check(inputs, rank: 3, path: path)
    try SequenceInputs.checkDim(inputs, expected: nil, path: path)
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    let (query, value) = (inputs[0], inputs[1])
    let key = inputs.count > 2 ? inputs[2] : value
    // Where weights are neither changed nor asked for they needn't be stored.
    let isPlain = concatScoreWeight == nil && value.mask == nil && !weighing.dropout.isActive(context)
    guard isPlain, !context.options.contains(.returnAttentionScores) else {
      return weighing.results(of: scores(query, key), inputs, context)
    }
    let heads = [scale.map { query * $0.value } ?? query, key, value].map { $0.expanded(axis: 2) }
    let result = Tensor.attention(
      heads[0], heads[1], heads[2], scale: 1, isCausal: context.options.contains(.useCausalMask))
    return [WeightedValues.hiding(query, result.squeezed(axes: [2]))]
  }

  /// [batch, queries, keys]
  private func scores(_ query: Tensor, _ key: Tensor) -> Tensor {
    guard let concatScoreWeight else {
      let scores = query.matmul(key, transposeOther: true)
      return scale.map { scores * $0.value } ?? scores
    }
    var sums = query.expanded(axis: 2) + key.expanded(axis: 1)
    if let scale { sums = sums * scale.value }
    return sums.tanh().sum(axes: [-1]) * concatScoreWeight.value
  }

  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    results.indices.map { $0 == 0 ? inputs[0].mask : nil }
  }
}
