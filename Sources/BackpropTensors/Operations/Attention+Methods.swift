extension Tensor {
  /// softmax(scale · query · keyᵀ) · value for each sample and head (Vaswani et al., 2017).
  ///
  /// ```swift
  /// let out = Tensor.dotProductAttention(query: q, key: k, value: v, isCausal: true)      // all [batch, time, heads, dim]
  /// ```
  ///
  /// The matrix of weights is never stored, neither here nor for the gradient, unless there is a bias or the dtype is
  /// float64. Keras' `ops.dot_product_attention`.
  ///
  /// - Parameters:
  ///   - query: [batch, queries, heads, dim].
  ///   - key: [batch, keys, groups, dim], with at least one key and heads a multiple of groups: each group serves heads / groups heads.
  ///   - value: [batch, keys, groups, valueDim].
  ///   - mask: stretches to [batch, heads, queries, keys]: where it is false the query doesn't see the key. A query that
  ///     sees nothing gets the mean of all values.
  ///   - bias: stretches to the same shape and is added to the scores.
  ///   - scale: nil: 1 / √dim.
  ///   - isCausal: a query sees no key after its own place.
  /// - Returns: [batch, queries, heads, valueDim].
  public static func dotProductAttention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor? = nil, bias: Tensor? = nil, scale: Double? = nil,
    isCausal: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    guard let bias else {
      return attention(
        query, key, value, mask: mask, scale: scale, isCausal: isCausal, file: file, line: line)
    }
    require(
      bias.rank == 4,
      "dotProductAttention: expected a bias of 4 axes that stretches to [batch, heads, queries, keys], got \(bias.shape)",
      file: file, line: line)
    let weights = attentionWeights(
      query, key, mask: mask, bias: bias, scale: scale, isCausal: isCausal, file: file, line: line)
    return attended(weights, value)
  }

  package static func attention(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor? = nil, scale: Double? = nil,
    isCausal: Bool = false,
    emptyRows: AttentionOptions.EmptyRows = .mean, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let options = options(query, mask, scale, isCausal, emptyRows)
    let inputs = floats([query, key, value]) + (mask.map { [$0.cast(to: .bool)] } ?? [])
    return apply(.attention(.forward(options)), inputs, file: file, line: line)[0]
  }

  /// The weights alone, stored: [batch, heads, queries, keys].
  package static func attentionWeights(
    _ query: Tensor, _ key: Tensor, mask: Tensor? = nil, bias: Tensor? = nil, scale: Double? = nil,
    isCausal: Bool = false, emptyRows: AttentionOptions.EmptyRows = .mean, file: StaticString = #fileID,
    line: UInt = #line
  ) -> Tensor {
    let options = options(query, mask, scale, isCausal, emptyRows)
    let pair = floats([query, key])
    let inputs = [pair[0], pair[1], pair[1]] + (mask.map { [$0.cast(to: .bool)] } ?? [])
    do { _ = try Operation.attention(.forward(options)).infer(inputs.map(\.type)) } catch {
      programmerError(error.description, file: file, line: line)
    }
    let heads = AttentionHeads(inputs, options)
    let weights = heads.weights(of: heads.scores(adding: bias.map { heads.inGroups($0) }))
    return weights.reshaped(to: [query.shape[0], query.shape[2], query.shape[1], key.shape[1]])
  }

  /// weights · value: [batch, heads, queries, keys] and [batch, keys, groups, dim] to [batch, queries, heads, dim].
  package static func attended(_ weights: Tensor, _ value: Tensor) -> Tensor {
    let (w, v) = (weights.shape, value.shape)
    let grouped = weights.reshaped(to: [w[0], v[2], w[1] / v[2], w[2], w[3]])
    let result = grouped.matmul(value.transposed([0, 2, 1, 3]).expanded(axis: 2))
    return result.transposed([0, 3, 1, 2, 4]).reshaped(to: [w[0], w[2], w[1], v[3]])
  }

  private static func options(
    _ query: Tensor, _ mask: Tensor?, _ scale: Double?, _ isCausal: Bool,
    _ emptyRows: AttentionOptions.EmptyRows
  ) -> AttentionOptions {
    AttentionOptions(
      scale: scale ?? 1 / Double(Swift.max(query.shape.dimensions.last ?? 1, 1)).squareRoot(),
      isCausal: isCausal,
      hasMask: mask != nil, emptyRows: emptyRows)
  }

  private static func floats(_ inputs: [Tensor]) -> [Tensor] {
    let dtype = inputs.dropFirst().reduce(inputs[0].dtype) { DType.promoted($0, $1.dtype) }
    return inputs.map { $0.cast(to: dtype.isFloatingPoint ? dtype : .float32) }
  }
}
