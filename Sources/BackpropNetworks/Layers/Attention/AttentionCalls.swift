import BackpropTensors

/// Layers that are called with a query, a value and, where they are given, a key and a mask.
public protocol QueryCallable: Layer {}

extension MultiHeadAttention: QueryCallable {}
extension GroupQueryAttention: QueryCallable {}

extension QueryCallable {
  /// The result for [batch, steps, features] each.
  ///
  /// - Parameters:
  ///   - key: nil: as `value`.
  ///   - attentionMask: bool, stretches to [batch, queries, keys] or [batch, heads, queries, keys]: which keys a query sees.
  ///   - useCausalMask: a query sees no key after its own place.
  public func callAsFunction(
    query: Tensor, value: Tensor, key: Tensor? = nil, attentionMask: Tensor? = nil,
    useCausalMask: Bool = false,
    _ context: CallContext = .inference
  ) -> Tensor {
    let inputs = arguments(query, value, key, attentionMask)
    return self(inputs, context, options: useCausalMask ? [.useCausalMask] : [])[0]
  }

  /// The layer's result in a graph.
  public func callAsFunction(
    query: any SymbolicConvertible, value: any SymbolicConvertible, key: (any SymbolicConvertible)? = nil,
    attentionMask: (any SymbolicConvertible)? = nil, useCausalMask: Bool = false
  ) -> SymbolicTensor {
    let inputs = arguments(query, value, key, attentionMask)
    return outputs(of: inputs, options: useCausalMask ? [.useCausalMask] : [])[0]
  }

  private func arguments<Value>(_ query: Value, _ value: Value, _ key: Value?, _ mask: Value?) -> [Value] {
    if let mask { return [query, value, key ?? value, mask] }
    return [query, value] + (key.map { [$0] } ?? [])
  }
}
