import Testing

@testable import BackpropTensors

/// Attention at sizes that nobody chose, in float32 (the kernel) against float64 (smaller operations, the weights stored).
@Suite("Attention of any shape") struct AttentionShapeTests {
  private struct Case: CustomTestStringConvertible, Sendable {
    var query, key, value: Shape
    var isCausal: Bool
    /// What the mask's shape is, and how many of a thousand places it hides; nil: there is none.
    var mask: (shape: Shape, hidden: Int)?
    var emptyRows: AttentionOptions.EmptyRows
    var seed: UInt64

    var testDescription: String {
      "seed \(seed): \(query), \(key), \(value)\(isCausal ? ", causal" : "")"
        + (mask.map { ", mask \($0.shape) hides \($0.hidden) ‰, \(emptyRows)" } ?? "")
    }

    init(seed: UInt64) {
      self.seed = seed
      var random = SplitMix64(state: seed)
      let batch = Int.random(in: 1...3, using: &random), groups = Int.random(in: 1...3, using: &random)
      let heads = groups * Int.random(in: 1...3, using: &random)
      let (queries, keys) = (Int.random(in: 1...140, using: &random), Int.random(in: 1...140, using: &random))
      let dim = Int.random(in: 1...70, using: &random)
      query = [batch, queries, heads, dim]
      key = [batch, keys, groups, dim]
      value = [batch, keys, groups, Int.random(in: 1...70, using: &random)]
      isCausal = Bool.random(using: &random)
      emptyRows = Bool.random(using: &random) ? .mean : .zero
      let masks: [Shape?] = [
        nil, [batch, 1, 1, keys], [1, heads, 1, keys], [1, 1, queries, keys], [batch, heads, queries, keys],
      ]
      let hidden = [300, 900, 1000].randomElement(using: &random)!
      mask = masks.randomElement(using: &random)!.map { ($0, hidden) }
    }

    func inputs(_ dtype: DType) -> [Tensor] {
      var random = SplitMix64(state: ~seed)
      func numbers(_ shape: Shape) -> Tensor {
        let elements = (0..<shape.elementCount).map { _ in Float.random(in: -1...1, using: &random) }
        return Tensor(elements, shape: shape).cast(to: dtype)
      }
      return [numbers(query), numbers(key), numbers(value)]
    }

    var maskTensor: Tensor? {
      mask.map { shape, hidden in
        var random = SplitMix64(state: seed &+ 1)
        let seen = (0..<shape.elementCount).map { _ in
          Int.random(in: 0..<1000, using: &random) >= hidden ? 1 : 0 as Float
        }
        return Tensor(seen, shape: shape).cast(to: .bool)
      }
    }

    /// The result, and the gradients of the three inputs for a cotangent.
    func results(_ dtype: DType) -> [Tensor] {
      let mask = maskTensor
      func attention(_ x: [Tensor]) -> Tensor {
        .attention(x[0], x[1], x[2], mask: mask, isCausal: isCausal, emptyRows: emptyRows)
      }
      let inputs = inputs(dtype), result = attention(inputs)
      var random = SplitMix64(state: seed &+ 2)
      let cotangent = Tensor(
        (0..<result.count).map { _ in Float.random(in: -1...1, using: &random) }, shape: result.shape)
      let gradients = gradient(at: inputs) { (attention($0) * cotangent.cast(to: dtype)).sum() }
      return [result] + gradients
    }
  }

  @Test("the kernel gives what smaller operations give", arguments: (1...40).map { Case(seed: $0) })
  private func shapes(_ attention: Case) {
    let (fast, exact) = (attention.results(.float32), attention.results(.float64))
    for (name, pair) in zip(["result", "query's", "key's", "value's"], zip(fast, exact)) {
      let error = (pair.0.cast(to: .float64) - pair.1).abs().max().item()
      let scale = max(1, pair.1.abs().max().item())
      #expect(error <= 2e-5 * scale, "\(name): \(error) where numbers reach \(scale)")
    }
  }

  @Test("causal: what comes after a query changes nothing for it")
  func causal() {
    let random = RandomGenerator(seed: 4)
    let (q, k, v) = (
      random.normal([1, 9, 2, 5]), random.normal([1, 12, 2, 5]), random.normal([1, 12, 2, 3])
    )
    let later = Tensor.concatenate([Tensor.zeros([1, 4, 2, 5]), Tensor.ones([1, 8, 2, 5])], axis: 1)
    let before = Tensor.attention(q, k, v, isCausal: true)
    let after = Tensor.attention(q, k + later, v, isCausal: true)
    #expect(before[0..., 0..<4].floats == after[0..., 0..<4].floats)
    #expect(before[0..., 4...].floats != after[0..., 4...].floats)
  }
}
