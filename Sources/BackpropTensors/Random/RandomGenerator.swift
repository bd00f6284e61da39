/// A source of random tensors: a seed and a counter, so that the same seed gives the same numbers, a checkpoint can
/// hold the state, and a compiled step draws new numbers each time it runs.
///
/// ```swift
/// let random = RandomGenerator(seed: 7)
/// let noise = random.normal([32, 10], mean: 0, standardDeviation: 0.1)
/// ```
public final class RandomGenerator: Sendable {
  /// Seed and counter, int64[2].
  package let state: Variable

  public init(seed: Int) {
    state = Variable(Tensor([seed, 0]), name: "random state")
  }

  /// Starts again from `seed`.
  public func reset(seed: Int) { state.value = Tensor([seed, 0]) }

  private func draw(_ operation: SamplingOperation) -> Tensor {
    let current = state.value
    state.value = current + Tensor([0, operation.blockCount])
    return apply(.sampling(operation), current)
  }

  /// Float32 in `low ..< high`.
  public func uniform(_ shape: Shape, from low: Double = 0, to high: Double = 1) -> Tensor {
    let unit = draw(.uniform(shape))
    return low == 0 && high == 1 ? unit : unit * (high - low) + low
  }

  public func normal(_ shape: Shape, mean: Double = 0, standardDeviation: Double = 1) -> Tensor {
    draw(.normal(shape)) * standardDeviation + mean
  }

  /// Normal, drawn again where it is more than two standard deviations from the mean.
  public func truncatedNormal(_ shape: Shape, mean: Double = 0, standardDeviation: Double = 1) -> Tensor {
    draw(.truncatedNormal(shape)) * standardDeviation + mean
  }

  /// 1 with probability `probability`, else 0, as float32.
  public func bernoulli(_ shape: Shape, probability: Double) -> Tensor {
    draw(.bernoulli(shape, p: probability))
  }

  /// Whole numbers of `range`, each as likely as any other (to 2⁻³² of the range's size), as int32.
  public func integers(
    _ shape: Shape, in range: Range<Int>, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    require(
      (1...1 << 31).contains(range.count) && range.lowerBound >= Int32.min && range.upperBound <= 1 << 31,
      "integers: expected a range of 1 to 2³¹ int32 numbers, got \(range)", file: file, line: line)
    // The upper half of 32 random bits (their sign taken off) times the size of the range.
    let bits = draw(.bits(shape)).cast(to: .int64) + 0x8000_0000
    let scaled = (bits * Double(range.count)).floorDivided(by: Tensor(0x1_0000_0000))
    return (scaled + Double(range.lowerBound)).cast(to: .int32)
  }

  /// 0..<count in random order, as int32.
  ///
  /// - Complexity: O(*n*)
  public func permutation(_ count: Int) -> Tensor { draw(.permutation(count: count)) }

  /// The rows of `tensor` in random order.
  public func shuffled(_ tensor: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    require(tensor.rank > 0, "shuffled: a scalar has no rows", file: file, line: line)
    return tensor.gathered(permutation(tensor.shape[0]))
  }

  /// One class for each row of logits along the last axis, class i with probability softmax(logits)ᵢ, as int32.
  ///
  /// The largest of logits + Gumbel noise (Gumbel, 1954).
  public func categorical(logits: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let noise = -(-uniform(logits.shape).log()).log()
    return (logits.cast(to: .float32) + noise).argMax(axis: -1, file: file, line: line)
  }
}
