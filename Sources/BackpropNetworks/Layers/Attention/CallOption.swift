import BackpropTensors

/// What one call of a layer is told beside its inputs, under Keras' name for the argument. It belongs to the call, not to
/// the layer: a shared layer may be called both ways.
public enum CallOption: String, Sendable, CaseIterable {
  /// A query sees no key after its own place.
  case useCausalMask = "use_causal_mask"
  /// The second result is the weights of attention.
  case returnAttentionScores = "return_attention_scores"
}

extension Layer {
  /// The layer's results in a graph, for a call with options.
  ///
  /// ```swift
  /// let results = MultiHeadAttention(4, keyDim: 32).outputs(of: [x, x], options: [.useCausalMask, .returnAttentionScores])
  /// ```
  public func outputs(of inputs: [any SymbolicConvertible], options: Set<CallOption>) -> [SymbolicTensor] {
    symbolicCall(inputs.map(\.symbolic), takesList: inputs.count > 1, options: options).results
  }

  /// The results for several inputs, for a call with options.
  public func callAsFunction(
    _ inputs: [Tensor], _ context: CallContext = .inference, options: Set<CallOption>
  ) -> [Tensor] {
    let unknown = options.subtracting(callOptions)
    require(
      unknown.isEmpty, "\(path): a call takes no \(unknown.map(\.rawValue).sorted().joined(separator: ", "))")
    return self(inputs, context.telling(options))
  }
}
