import CKernels

/// Scaled dot-product attention of heads that lie side by side, and its gradient: [batch, time, heads, dim], as Keras
/// has it.
///
/// ```
/// scores = scale · query · keyᵀ      [batch, heads, queries, keys], −∞ where a key isn't seen
/// out = softmax(scores) · value
/// ```
package enum AttentionOperation: SampledFamily {
  /// From query [batch, queries, heads, dim], key [batch, keys, groups, dim], value [batch, keys, groups, valueDim] and,
  /// where there is one, a bool mask that stretches to [batch, heads, queries, keys], to the result [batch, queries,
  /// heads, valueDim] and log Σ exp of each row of scores [batch, heads, queries], kept for the backward pass.
  case forward(AttentionOptions)
  /// From the same inputs, both results and the gradient of the first (and of the second) to those of query, key, value.
  case gradient(AttentionOptions, ofLogarithms: Bool)

  package var operation: Operation { .attention(self) }

  package enum Kind: CaseIterable { case forward, gradient }

  package var kind: Kind {
    switch self {
    case .forward: .forward
    case .gradient: .gradient
    }
  }

  package var rule: Rule {
    switch self {
    case .forward(let options): options.forwardRule
    case .gradient(let options, let ofLogarithms): options.gradientRule(ofLogarithms)
    }
  }

  package static var samples: [Sample] {
    struct Case {
      var batch = 2, queries = 3, keys = 5, heads = 2, groups = 2, dim = 4, valueDim = 4
      var causal = false, emptyRows = AttentionOptions.EmptyRows.mean
      var mask: (Shape, [Double])?
    }
    // The second query of the second sample sees nothing.
    let rows: [Double] =
      [1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1] + [0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    let cases = [
      Case(), Case(causal: true), Case(queries: 5, keys: 3, causal: true),
      Case(batch: 1, queries: 1, keys: 1, heads: 1, groups: 1, dim: 1, valueDim: 1),
      Case(heads: 4, groups: 2, dim: 3, valueDim: 5),
      Case(heads: 3, groups: 1, dim: 17, valueDim: 2, causal: true),
      Case(mask: ([2, 1, 3, 5], rows)), Case(causal: true, mask: ([2, 1, 3, 5], rows)),
      Case(emptyRows: .zero, mask: ([2, 1, 3, 5], rows)),
      Case(mask: ([2, 1, 1, 5], [1, 1, 0, 0, 0, 1, 1, 1, 1, 0])),
      Case(heads: 2, groups: 1, mask: ([1, 2, 1, 5], [1, 1, 0, 1, 0, 0, 1, 1, 1, 1])),
      // More than a tile either way, and more than a block of columns.
      Case(batch: 1, queries: 70, keys: 70, heads: 2, groups: 1, dim: 6, valueDim: 3, causal: true),
      Case(batch: 1, queries: 3, keys: 130, heads: 1, groups: 1, dim: 16, valueDim: 16),
      Case(batch: 1, queries: 67, keys: 65, heads: 1, groups: 1, dim: 80, valueDim: 70),
      Case(batch: 0),
    ]
    return cases.flatMap { c -> [Sample] in
      let query = Shape([c.batch, c.queries, c.heads, c.dim]),
        key = Shape([c.batch, c.keys, c.groups, c.dim])
      let value = Shape([c.batch, c.keys, c.groups, c.valueDim])
      let result = Shape([c.batch, c.queries, c.heads, c.valueDim])
      let logarithms = Shape([c.batch, c.heads, c.queries])
      let options = AttentionOptions(
        scale: 0.4, isCausal: c.causal, hasMask: c.mask != nil, emptyRows: c.emptyRows)
      let inputs =
        [Sample.Input(query, in: -1...1), Sample.Input(key, in: -1...1), Sample.Input(value)]
        + (c.mask.map { [Sample.Input($0.0, .bool, elements: $0.1)] } ?? [])
      let gradient = inputs + [.init(result), .init(logarithms, in: 0...1), .init(result)]
      return [
        Sample(.attention(.forward(options)), inputs),
        Sample(.attention(.gradient(options, ofLogarithms: false)), gradient),
        Sample(.attention(.gradient(options, ofLogarithms: true)), gradient + [.init(logarithms)]),
      ]
    }
  }
}

package struct AttentionOptions: Hashable, Sendable {
  /// What scores are multiplied by.
  package var scale: Double
  /// A query sees no key after its own place.
  package var isCausal = false
  /// A fourth input says which keys are seen.
  package var hasMask = false
  package var emptyRows = EmptyRows.mean

  /// What a query that sees no key gives: as Keras' `dot_product_attention` has it the mean of all values, as its masked
  /// softmax has it 0.
  package enum EmptyRows: Sendable { case mean, zero }

  package init(scale: Double, isCausal: Bool = false, hasMask: Bool = false, emptyRows: EmptyRows = .mean) {
    self.scale = scale
    self.isCausal = isCausal
    self.hasMask = hasMask
    self.emptyRows = emptyRows
  }

  private var inputCount: Int { hasMask ? 4 : 3 }

  // MARK: Forward

  fileprivate var forwardRule: Rule {
    var rule = Rule(
      "attention", infer: { types throws(OperationError) in try results(types, "attention") },
      value: .composed { composed($0) },
      kernel: { inputs, outputs, _ in
        guard var arguments = sizes(inputs) else { return nil }
        arguments.out = outputs[0].mutableFloats
        arguments.logarithms = outputs[1].mutableFloats
        return BoundKernel("attention", arguments, run: ck_attention_run)
      },
      gradient: .ofOutputs(keeping: [0, 1], inputs: Array(0..<inputCount)) { context in
        let ofLogarithms = context.outputGradients[1]
        let inputs = (0..<inputCount).map(context.input)
        let gradients = apply(
          .attention(.gradient(self, ofLogarithms: ofLogarithms != nil)),
          inputs + [context.output(0), context.output(1), context.gradient]
            + (ofLogarithms.map { [$0] } ?? []))
        return gradients + (hasMask ? [nil] : [])
      })
    rule.flops = { inputs, outputs in
      seenPairs(inputs) * (2 * inputs[0].shape[-1] + 2 * inputs[2].shape[-1] + 8)
    }
    return rule
  }

  /// How many pairs of a query and a key there are, masks aside.
  private func seenPairs(_ types: [TensorType]) -> Int {
    let (queries, keys) = (types[0].shape[1], types[1].shape[1])
    let heads = types[0].shape[0] * types[0].shape[2]
    guard isCausal else { return heads * queries * keys }
    let square = Swift.min(queries, keys)
    return heads * (square * (square + 1) / 2 + Swift.max(queries - keys, 0) * keys)
  }

  private func results(_ types: [TensorType], _ name: String) throws(OperationError) -> [TensorType] {
    let (query, key, value) = (types[0], types[1], types[2])
    guard
      types[..<3].allSatisfy({ $0.shape.rank == 4 && $0.dtype == query.dtype && $0.dtype.isFloatingPoint })
    else {
      throw OperationError(
        "\(name): expected query, key and value of one floating-point dtype and of shape [batch, time, heads, dim], got \(query), \(key) and \(value)"
      )
    }
    let (batch, heads, groups) = (query.shape[0], query.shape[2], key.shape[2])
    guard key.shape[0] == batch, value.shape[0] == batch, key.shape[-1] == query.shape[-1],
      key.shape[1] == value.shape[1], groups == value.shape[2], groups > 0, heads % groups == 0,
      key.shape[1] > 0
    else {
      throw OperationError(
        "\(name): the inputs don't fit: query \(query.shape), key \(key.shape), value \(value.shape); expected one batch size, query and key of one dim, key and value of one time of at least one step, and heads of the query that are a multiple of the others'"
      )
    }
    let scores = Shape([batch, heads, query.shape[1], key.shape[1]])
    if hasMask {
      let mask = types[3]
      guard mask.dtype == .bool, mask.shape.rank == 4, Shape.broadcast(mask.shape, scores) == scores else {
        throw OperationError("\(name): expected a mask that stretches to bool\(scores), got \(mask)")
      }
    }
    return [
      TensorType(Shape([batch, query.shape[1], heads, value.shape[-1]]), query.dtype),
      TensorType(Shape([batch, heads, query.shape[1]]), query.dtype),
    ]
  }

  /// The kernel's arguments but for the results; nil for what isn't float32.
  private func sizes(_ inputs: [Buffer]) -> ck_attention? {
    guard inputs[..<3].allSatisfy({ $0.dtype == .float32 }) else { return nil }
    var arguments = ck_attention()
    arguments.q = inputs[0].floats
    arguments.k = inputs[1].floats
    arguments.v = inputs[2].floats
    let (query, key) = (inputs[0].shape, inputs[1].shape)
    arguments.batch = Int64(query[0])
    arguments.queries = Int64(query[1])
    arguments.heads = Int64(query[2])
    arguments.dim = Int64(query[3])
    arguments.keys = Int64(key[1])
    arguments.groups = Int64(key[2])
    arguments.value_dim = Int64(inputs[2].shape[-1])
    arguments.scale = Float(scale)
    arguments.causal = isCausal
    arguments.hides_rows = emptyRows == .zero
    if hasMask {
      let scores = Shape([query[0], query[2], query[1], key[1]])
      let steps = inputs[3].shape.broadcastStrides(to: scores).map { Int64($0) }
      arguments.mask = UnsafePointer(inputs[3].bytes.assumingMemoryBound(to: UInt8.self))
      arguments.mask_steps = (steps[0], steps[1], steps[2], steps[3])
    }
    return arguments
  }

  // MARK: Gradient

  fileprivate func gradientRule(_ ofLogarithms: Bool) -> Rule {
    var rule = Rule(
      "attentionGradient",
      infer: { types throws(OperationError) in
        let results = try results(types, "attentionGradient")
        let rest = Array(types[inputCount...])
        let expected = [results[0], results[1], results[0]] + (ofLogarithms ? [results[1]] : [])
        guard rest == expected else {
          throw OperationError("attentionGradient: expected \(expected) after the inputs, got \(rest)")
        }
        return Array(types[..<3])
      },
      value: .composed { composedGradient($0, ofLogarithms) },
      kernel: { inputs, outputs, _ in
        guard var forward = sizes(inputs) else { return nil }
        forward.out = inputs[inputCount].mutableFloats
        forward.logarithms = inputs[inputCount + 1].mutableFloats
        let arguments = ck_attention_gradient(
          forward: forward, g: inputs[inputCount + 2].floats,
          logarithms_g: ofLogarithms ? inputs[inputCount + 3].floats : nil, dq: outputs[0].mutableFloats,
          dk: outputs[1].mutableFloats, dv: outputs[2].mutableFloats)
        return BoundKernel("attentionGradient", arguments, run: ck_attention_gradient_run)
      },
      gradient: .composed)
    rule.flops = { inputs, _ in
      seenPairs(inputs) * (6 * inputs[0].shape[-1] + 4 * inputs[2].shape[-1] + 12)
    }
    return rule
  }
}
