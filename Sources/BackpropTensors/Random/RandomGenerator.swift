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
    let blocks = (operation.shape.elementCount + 3) / 4
    state.value = current + Tensor([0, blocks])
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
}
