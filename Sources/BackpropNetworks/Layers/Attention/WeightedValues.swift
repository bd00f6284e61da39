import BackpropTensors

/// What attention does with scores [batch, queries, keys]: hides keys, makes weights of them, drops some, and adds up the
/// values.
struct WeightedValues: Sendable {
  let dropout: WeightDropout

  init(dropout rate: Double, seed: Int?) { dropout = WeightDropout(rate: rate, seed: seed) }

  func check(at path: String) throws { try dropout.check(at: path) }

  /// The result for inputs query, value, …, and the weights where the call asks for them.
  func results(of scores: Tensor, _ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    let (query, value) = (inputs[0], inputs[1])
    var seen = value.mask?.expanded(axis: 1)
    if context.options.contains(.useCausalMask) {
      let causal = AttentionMask.causal(scores.shape[-2], scores.shape[-1])
      seen = seen?.and(causal) ?? causal
    }
    // Keras: far below the others, not replaced.
    let masked = seen.map { Tensor.select($0, scores, scores - 1e9) } ?? scores
    let weights = dropout(masked.softmax(), context)
    let result = Self.hiding(query, weights.matmul(value))
    return [result] + (context.options.contains(.returnAttentionScores) ? [weights] : [])
  }

  /// 0 where the query's step doesn't count.
  static func hiding(_ query: Tensor, _ result: Tensor) -> Tensor {
    query.mask.map { result.replacing(where: $0.expanded(axis: -1).not(), with: 0) } ?? result
  }
}

/// Dropout of attention's weights.
struct WeightDropout: Sendable {
  let rate: Double
  private let random: RandomGenerator?

  init(rate: Double, seed: Int?) {
    self.rate = rate
    random = seed.map { RandomGenerator(seed: $0) }
  }

  func check(at path: String) throws {
    guard (0...1).contains(rate) else {
      throw ModelError(.argument, at: path, "the rate of dropout must be in 0...1, got \(rate)")
    }
  }

  func isActive(_ context: CallContext) -> Bool { context.isTraining && rate > 0 }

  func callAsFunction(_ weights: Tensor, _ context: CallContext) -> Tensor {
    guard isActive(context) else { return weights }
    if rate == 1 { return Tensor.zeros(like: weights) }
    let kept = (random ?? context.random).bernoulli(weights.shape, probability: 1 - rate)
    return weights * (kept.cast(to: weights.dtype) * (1 / (1 - rate)))
  }
}

enum AttentionMask {
  /// bool [queries, keys]: no key after the query's own place.
  static func causal(_ queries: Int, _ keys: Int) -> Tensor {
    Tensor.range(to: queries).expanded(axis: 1) .>= Tensor.range(to: keys)
  }

  /// bool [queries, keys]: keys less than `width` places away, before or after.
  static func window(_ width: Int, _ queries: Int, _ keys: Int) -> Tensor {
    (Tensor.range(to: queries).expanded(axis: 1) - Tensor.range(to: keys)).abs() .< Double(width)
  }
}

/// Inputs query, value and, where it is given, key.
enum SequenceInputs {
  static var sample: [TensorType] { [TensorType([2, 3, 4], .float32), TensorType([2, 3, 4], .float32)] }

  /// Whether batch and steps fit.
  static func check(_ inputs: [Shape], rank: Int, path: String) throws {
    let names = ["query", "value", "key"]
    for (name, shape) in zip(names, inputs) where shape.rank != rank {
      throw ModelError(.shape, at: path, "expected a \(name) of \(rank) axes, got shape \(shape)")
    }
    for (name, shape) in zip(names, inputs) where shape[0] != inputs[0][0] {
      throw ModelError(
        .shape, at: path,
        "the inputs don't fit: a query of shape \(inputs[0]) and a \(name) of shape \(shape)")
    }
    if inputs.count > 2, inputs[1].dimensions.dropLast() != inputs[2].dimensions.dropLast() {
      throw ModelError(
        .shape, at: path,
        "value and key must be alike but for the last axis, got shapes \(inputs[1]) and \(inputs[2])")
    }
  }

  /// Whether queries and keys, where they are compared as they are, have one last axis.
  static func checkDim(_ inputs: [Shape], expected: Int?, path: String) throws {
    let key = inputs.count > 2 ? inputs[2] : inputs[1]
    guard inputs[0][-1] == key[-1], expected == nil || expected == key[-1] else {
      throw ModelError(
        .shape, at: path,
        "expected queries and keys of one last axis\(expected.map { " of \($0)" } ?? ""), got shapes \(inputs[0]) and \(key); a Dense on one of them makes them alike"
      )
    }
  }
}
