import BackpropTensors

/// What lies between the projections of layers of several heads: masks, the choice of a kernel, dropout.
final class AttentionOfHeads: @unchecked Sendable {
  private let scale: Double
  private let dropout: WeightDropout
  private let slidingWindow: Int?
  /// Keras' `flash_attention`: weights may not be stored. Set before the layer is built.
  var mayStoreNothing = false
  /// The axes that steps lie along; set when the layer is built.
  var axes = [1]

  static let argumentNames = ["query", "value", "key", "attention_mask"]

  init(keyDim: Int, dropout: Double, seed: Int?, slidingWindow: Int?) {
    scale = 1 / Double(max(keyDim, 1)).squareRoot()
    self.dropout = WeightDropout(rate: dropout, seed: seed)
    self.slidingWindow = slidingWindow
  }

  func check(at path: String) throws {
    try dropout.check(at: path)
    if let slidingWindow, slidingWindow <= 0 {
      throw ModelError(.argument, at: path, "slidingWindow must be positive, got \(slidingWindow)")
    }
    if mayStoreNothing, dropout.rate > 0 {
      throw ModelError(
        .argument, at: path,
        "flashAttention stores no weights that dropout could drop; set one of the two off")
    }
  }

  /// Whether queries and keys lie alike on the axes that attention doesn't go along, and the window on the one that it does.
  func checkAxes(_ inputs: [Shape], path: String) throws {
    for axis in FoldedSteps.others(axes, features: inputs[0].rank - 1)
    where inputs[1][axis] != inputs[0][axis] {
      throw ModelError(
        .shape, at: path,
        "the inputs don't fit: attention along the axes \(axes) needs a query and a value of one size on axis \(axis), got shapes \(inputs[0]) and \(inputs[1])"
      )
    }
    if slidingWindow != nil, axes.count > 1 {
      throw ModelError(
        .argument, at: path, "slidingWindow needs attention along one axis, got the axes \(axes)")
    }
  }

  /// Whether the attention mask, where there is one, stretches to [batch, …, heads, queries…, keys…]: axes that are missing
  /// come before those of the steps.
  func checkMask(_ inputs: [Shape], heads: Int, path: String) throws {
    guard inputs.count > 3 else { return }
    let (query, mask) = (inputs[0], inputs[3])
    let others = FoldedSteps.others(axes, features: query.rank - 1)
    let full =
      ([0] + others).map { query[$0] } + [heads] + axes.map { query[$0] } + axes.map { inputs[1][$0] }
    let missing = full.count - mask.rank, steps = 2 * axes.count
    let sizes =
      mask.dimensions.dropLast(steps) + [Int](repeating: 1, count: max(missing, 0))
      + mask.dimensions.suffix(steps)
    guard missing >= 0, mask.rank >= steps, zip(sizes, full).allSatisfy({ $0 == 1 || $0 == $1 }) else {
      throw ModelError(
        .shape, at: path, "expected an attention mask that stretches to \(Shape(full)), got shape \(mask)")
    }
  }

  /// Why a call can't be told these; nil: it can.
  func refusal(of options: Set<CallOption>) -> String? {
    if options.contains(.useCausalMask), axes.count > 1 {
      return "a causal mask needs attention along one axis, got the axes \(axes)"
    }
    if options.contains(.returnAttentionScores), mayStoreNothing {
      return "with flashAttention there are no attention scores to return"
    }
    return nil
  }

  /// The heads' results [batch, …, heads, dim] and, where the call asks for them, the weights.
  ///
  /// - Parameter inputs: the layer's own, which carry masks.
  func results(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, _ inputs: [Tensor], _ context: CallContext, path: String
  ) -> [Tensor] {
    let isCausal = context.options.contains(.useCausalMask)
    let wantsWeights = context.options.contains(.returnAttentionScores)
    let refusal = refusal(of: context.options)
    require(refusal == nil, "\(path): \(refusal ?? "")")
    let shapes = [query, value].map { FoldedSteps($0.shape, axes) }
    let folded = (shapes[0].fold(query), shapes[1].fold(key), shapes[1].fold(value))
    let mask = mask(inputs, shapes[0], shapes[1]).map { shapes[0].fold(mask: $0, keys: shapes[1]) }
    // Keras' `dot_product_attention` and its masked softmax differ in what a query gives that sees nothing.
    let usesProduct = dropout.rate == 0 && !wantsWeights && query.rank == 4
    let emptyRows = usesProduct ? AttentionOptions.EmptyRows.mean : .zero
    guard wantsWeights || dropout.isActive(context) else {
      let result = Tensor.attention(
        folded.0, folded.1, folded.2, mask: mask, scale: scale, isCausal: isCausal, emptyRows: emptyRows)
      return [shapes[0].unfold(result)]
    }
    let weights = Tensor.attentionWeights(
      folded.0, folded.1, mask: mask, scale: scale, isCausal: isCausal, emptyRows: emptyRows)
    let result = Tensor.attended(dropout(weights, context), folded.2)
    return [shapes[0].unfold(result)]
      + (wantsWeights ? [shapes[0].unfold(weights: weights, keys: shapes[1])] : [])
  }

  /// All masks of a call, as what stretches to [batch, …, heads, queries…, keys…].
  private func mask(_ inputs: [Tensor], _ query: FoldedSteps, _ key: FoldedSteps) -> Tensor? {
    var found: Tensor?
    func add(_ mask: Tensor?) {
      guard let mask else { return }
      found = found?.and(mask) ?? mask
    }
    if inputs.count > 3 { add(query.aligned(mask: inputs[3].cast(to: .bool))) }
    add(inputs[0].mask.map { query.aligned(queryMask: $0) })
    for input in inputs.dropFirst().prefix(2) { add(input.mask.map { key.aligned(keyMask: $0) }) }
    if let slidingWindow {
      add(query.aligned(mask: AttentionMask.window(slidingWindow, query.steps, key.steps)))
    }
    return found
  }
}

/// [batch, …, heads, dim] with the axes of attention as one axis of steps and the others in the batch.
struct FoldedSteps {
  private let shape: Shape
  private let axes: [Int]
  private let others: [Int]

  init(_ shape: Shape, _ axes: [Int]) {
    self.shape = shape
    self.axes = axes
    others = Self.others(axes, features: shape.rank - 2)
  }

  /// The axes after the batch's and before `features` that attention doesn't go along.
  static func others(_ axes: [Int], features: Int) -> [Int] { (1..<features).filter { !axes.contains($0) } }

  var steps: Int { axes.reduce(1) { $0 * shape[$1] } }
  private var batch: Int { others.reduce(shape[0]) { $0 * shape[$1] } }
  private var heads: Int { shape[-2] }
  private var order: [Int] { [0] + others + axes + [shape.rank - 2, shape.rank - 1] }

  func fold(_ x: Tensor) -> Tensor {
    let turned = others.isEmpty ? x : x.transposed(order)
    return turned.reshaped(to: [batch, steps, x.shape[-2], x.shape[-1]])
  }

  func unfold(_ x: Tensor) -> Tensor {
    let sizes = order.dropLast(2).map { shape[$0] } + [x.shape[-2], x.shape[-1]]
    let turned = x.reshaped(to: Shape(sizes))
    guard !others.isEmpty else { return turned }
    return turned.transposed(order.indices.map { order.firstIndex(of: $0)! })
  }

  /// [batch, others…, heads, queries…, keys…]
  func unfold(weights: Tensor, keys: FoldedSteps) -> Tensor {
    let sizes =
      [shape[0]] + others.map { shape[$0] } + [heads] + axes.map { shape[$0] } + axes.map { keys.shape[$0] }
    return weights.reshaped(to: Shape(sizes))
  }

  /// An attention mask [batch, …, heads, queries…, keys…]. Keras: axes that are missing come before those of the steps.
  func aligned(mask: Tensor) -> Tensor {
    var mask = mask
    while mask.rank < others.count + 2 + 2 * axes.count {
      mask = mask.expanded(axis: mask.rank - 2 * axes.count)
    }
    return mask
  }

  /// An input's own mask, of its first axes, as [batch, …, 1, queries…, 1…]
  func aligned(queryMask: Tensor) -> Tensor {
    let steps = turned(queryMask).expanded(axis: others.count + 1)
    return axes.reduce(steps) { mask, _ in mask.expanded(axis: -1) }
  }

  /// An input's own mask, of its first axes, as [batch, …, 1, 1…, keys…]
  func aligned(keyMask: Tensor) -> Tensor {
    (0...axes.count).reduce(turned(keyMask)) { mask, _ in mask.expanded(axis: others.count + 1) }
  }

  /// [batch, …, steps…]
  private func turned(_ mask: Tensor) -> Tensor {
    var mask = mask
    while mask.rank < shape.rank - 2 { mask = mask.expanded(axis: -1) }
    return others.isEmpty ? mask : mask.transposed(order.dropLast(2))
  }

  /// What stretches to [batch, heads, queries, keys] of folded steps.
  ///
  /// - Parameter mask: what stretches to [batch, …, heads, queries…, keys…]
  func fold(mask: Tensor, keys: FoldedSteps) -> Tensor {
    guard axes.count > 1 || !others.isEmpty else { return mask }
    let heads = mask.shape[others.count + 1]
    let lead = [shape[0]] + others.map { shape[$0] }
    let stepSizes = axes.map { shape[$0] } + axes.map { keys.shape[$0] }
    let full = mask.broadcast(to: Shape(lead + [heads] + stepSizes))
    return full.reshaped(to: [batch, heads, steps, keys.steps])
  }
}
