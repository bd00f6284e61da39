import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

@Suite("Attention along several axes") struct AttentionTests {
  @Test(
    "an input's own mask does what an attention mask that says the same does", arguments: [[1, 2], [1], [2]])
  func ownMasks(_ axes: [Int]) {
    let random = RandomGenerator(seed: 4)
    var (query, value) = (random.normal([2, 2, 3, 4]), random.normal([2, 2, 3, 4]))
    let layer = MultiHeadAttention(2, keyDim: 3, attentionAxes: OneOrMany(axes))
    let unmasked = layer(query: query, value: value)
    let queryMask = Tensor([true, true, false, true, false, true, true, true, true, true, true, false])
      .reshaped(to: [2, 2, 3])
    let valueMask = Tensor([true, false, true, true, true, true, false, true, true, true, true, true])
      .reshaped(to: [2, 2, 3])
    // [batch, …, queries…, keys…]
    let (queries, keys): (Tensor, Tensor) =
      switch axes {
      case [1, 2]: (queryMask.reshaped(to: [2, 2, 3, 1, 1]), valueMask.reshaped(to: [2, 1, 1, 2, 3]))
      case [1]:
        (
          queryMask.transposed([0, 2, 1]).reshaped(to: [2, 3, 2, 1]),
          valueMask.transposed([0, 2, 1]).reshaped(to: [2, 3, 1, 2])
        )
      default: (queryMask.reshaped(to: [2, 2, 3, 1]), valueMask.reshaped(to: [2, 2, 1, 3]))
      }
    let expected = layer(query: query, value: value, attentionMask: queries.and(keys))
    (query.mask, value.mask) = (queryMask, valueMask)
    let result = layer(query: query, value: value)
    #expect(result.floats == expected.floats)
    #expect(result.floats != unmasked.floats)
  }
}
