/// Attention in smaller operations, where the matrix of weights exists: the float64 path, the oracle of the kernels, and
/// what second derivatives are taken of. Heads stand in groups that share keys and values: [batch, groups, heads of a
/// group, time, dim].
extension AttentionOptions {
  func composed(_ inputs: [Tensor]) -> [Tensor] {
    let heads = AttentionHeads(inputs, self)
    let scores = heads.scores()
    let weights = heads.weights(of: scores)
    let result = heads.sideBySide(weights.matmul(heads.value))
    let sums = scores.logSumExp(axes: [-1], keepDims: true)
    return [result, heads.rows(heads.emptyRows.map { sums.replacing(where: $0, with: 0) } ?? sums)]
  }

  /// From softmax(scores) · v = out: with weights w and the gradient g of out, the scores' gradient is
  /// w · (g · vᵀ − Σ g · out).
  func composedGradient(_ inputs: [Tensor], _ ofLogarithms: Bool) -> [Tensor] {
    let heads = AttentionHeads(inputs, self)
    let count = hasMask ? 4 : 3
    let (out, logarithms) = (heads.grouped(inputs[count]), heads.columns(inputs[count + 1]))
    let g = heads.grouped(inputs[count + 2])
    let weights = heads.weights(from: logarithms)
    var shift = (g * out).sum(axes: [-1], keepDims: true)
    if ofLogarithms { shift = shift - heads.columns(inputs[count + 3]) }
    var slopes = weights * (g.matmul(heads.value, transposeOther: true) - shift) * scale
    if let seen = heads.seen { slopes = slopes.replacing(where: seen.not(), with: 0) }
    return [
      heads.sideBySide(slopes.matmul(heads.key)),
      heads.shared(slopes.matmul(heads.query, transposeSelf: true)),
      heads.shared(weights.matmul(g, transposeSelf: true)),
    ]
  }
}

/// The inputs of attention, heads first.
struct AttentionHeads {
  let query, key, value: Tensor
  /// bool, stretches to the scores: which keys a query sees; nil: all.
  let seen: Tensor?
  private let options: AttentionOptions
  private let groups: Int

  init(_ inputs: [Tensor], _ options: AttentionOptions) {
    self.options = options
    groups = inputs[1].shape[2]
    query = Self.grouped(inputs[0], groups)
    key = Self.grouped(inputs[1], groups)
    value = Self.grouped(inputs[2], groups)
    var seen: Tensor?
    if options.hasMask { seen = Self.inGroups(inputs[3], groups) }
    if options.isCausal {
      let places = Tensor.range(to: inputs[0].shape[1]).expanded(axis: 1)
      let causal = places .>= Tensor.range(to: inputs[1].shape[1])
      seen = seen.map { $0.and(causal) } ?? causal
    }
    self.seen = seen
  }

  /// What stretches to [batch, heads, queries, keys].
  private static func inGroups(_ x: Tensor, _ groups: Int) -> Tensor {
    let sizes = x.shape[1] == 1 ? [1, 1] : [groups, x.shape[1] / groups]
    return x.reshaped(to: Shape([x.shape[0]] + sizes + [x.shape[2], x.shape[3]]))
  }

  func inGroups(_ x: Tensor) -> Tensor { Self.inGroups(x, groups) }

  /// Which queries see nothing; nil: none.
  var emptyRows: Tensor? { options.hasMask ? seen!.any(axes: [-1], keepDims: true).not() : nil }

  /// Far below everything where a key isn't seen: a query that sees nothing has equal scores, as in Keras.
  func scores(adding bias: Tensor? = nil) -> Tensor {
    var scores = query.matmul(key, transposeOther: true) * options.scale
    if let bias { scores = scores + bias }
    return seen.map { scores.replacing(where: $0.not(), with: -1e30) } ?? scores
  }

  func weights(of scores: Tensor) -> Tensor {
    let weights = scores.softmax()
    guard let seen, options.emptyRows == .zero else { return weights }
    return weights.replacing(where: seen.not(), with: 0)
  }

  /// The same from log Σ exp of each row of scores.
  func weights(from logarithms: Tensor) -> Tensor {
    let distance = query.matmul(key, transposeOther: true) * options.scale - logarithms
    guard let seen else { return distance.exp() }
    let weights = distance.replacing(where: seen.not(), with: 0).exp()
    let hidden = weights.replacing(where: seen.not(), with: 0)
    guard let emptyRows, options.emptyRows == .mean else { return hidden }
    return hidden.replacing(where: emptyRows, with: 1 / Double(key.shape[-2]))
  }

  /// [batch, time, heads, dim] to [batch, groups, heads of a group, time, dim].
  private static func grouped(_ x: Tensor, _ groups: Int) -> Tensor {
    let s = x.shape
    return x.reshaped(to: [s[0], s[1], groups, s[2] / groups, s[3]]).transposed([0, 2, 3, 1, 4])
  }

  func grouped(_ x: Tensor) -> Tensor { Self.grouped(x, groups) }

  func sideBySide(_ x: Tensor) -> Tensor {
    let s = x.shape
    return x.transposed([0, 3, 1, 2, 4]).reshaped(to: [s[0], s[3], s[1] * s[2], s[4]])
  }

  /// The same for what the heads of a group share: added up.
  func shared(_ x: Tensor) -> Tensor { sideBySide(x.sum(axes: [2], keepDims: true)) }

  /// [batch, groups, heads of a group, time, 1] to [batch, heads, time].
  func rows(_ x: Tensor) -> Tensor {
    let s = x.shape
    return x.reshaped(to: [s[0], s[1] * s[2], s[3]])
  }

  func columns(_ x: Tensor) -> Tensor {
    let s = x.shape
    return x.reshaped(to: [s[0], groups, s[1] / groups, s[2], 1])
  }
}
