import Foundation
import Testing

@testable import BackpropTensors

@Suite("Random tensors")
struct RandomTests {
  @Test("the same seed gives the same numbers, each draw others, reset starts again")
  func seeds() {
    let (a, b) = (RandomGenerator(seed: 7), RandomGenerator(seed: 7))
    let first = a.normal([100]).floats
    #expect(first == b.normal([100]).floats)
    #expect(first != a.normal([100]).floats)
    #expect(first != RandomGenerator(seed: 8).normal([100]).floats)
    a.reset(seed: 7)
    #expect(first == a.normal([100]).floats)
  }

  @Test("moments of 100,000 numbers")
  func moments() {
    let random = RandomGenerator(seed: 1)
    let count = 100_000
    // Five standard errors of each estimate.
    let error = 5 / Double(count).squareRoot()
    let uniform = random.uniform([count], from: -1, to: 3)
    #expect(
      abs(uniform.mean().item() - 1) < 1.16 * error && uniform.min().item() >= -1 && uniform.max().item() < 3)
    let normal = random.normal([count], mean: 2, standardDeviation: 3)
    #expect(abs(normal.mean().item() - 2) < 3 * error && abs(normal.variance().item() - 9) < 13 * error)
    let truncated = random.truncatedNormal([count])
    #expect(truncated.abs().max().item() <= 2 && abs(truncated.standardDeviation().item() - 0.8796) < error)
    let bernoulli = random.bernoulli([count], probability: 0.3)
    #expect(abs(bernoulli.mean().item() - 0.3) < 0.46 * error)
    #expect(Set(bernoulli.floats) == [0, 1])
  }

  @Test("a permutation holds each number once, in an order of its own")
  func permutation() {
    let random = RandomGenerator(seed: 3)
    let order = random.permutation(1000).integers
    #expect(order.sorted() == Array(0..<1000))
    #expect(order != random.permutation(1000).integers)
    #expect(order == RandomGenerator(seed: 3).permutation(1000).integers)
    #expect(random.permutation(0).integers == [] && random.permutation(1).integers == [0])
    // Each of the 6 orders of 3 about as often: χ² with 5 degrees of freedom is below 25.7 in 9999 of 10,000.
    var counts: [[Int]: Double] = [:]
    for _ in 0..<6000 { counts[random.permutation(3).integers, default: 0] += 1 }
    #expect(counts.count == 6)
    #expect(counts.values.reduce(0) { $0 + ($1 - 1000) * ($1 - 1000) / 1000 } < 25.7)
  }

  @Test("an epoch's order is the permutation of its state")
  func rowOrder() {
    let order = RowOrder(count: 500, seed: 4)
    #expect(order.rows(epoch: 2).sorted() == (0..<500).map { Int32($0) })
    #expect(order.rows(epoch: 2) == RowOrder(count: 500, seed: 4).rows(epoch: 2))
    #expect(order.rows(epoch: 2) != order.rows(epoch: 3))
  }

  @Test("whole numbers fill their range evenly")
  func integers() {
    let random = RandomGenerator(seed: 2)
    let numbers = random.integers([60_000], in: -2..<4)
    #expect(numbers.dtype == .int32)
    var counts: [Int: Double] = [:]
    for number in numbers.integers { counts[number, default: 0] += 1 }
    #expect(counts.keys.sorted() == [-2, -1, 0, 1, 2, 3])
    #expect(counts.values.reduce(0) { $0 + ($1 - 10_000) * ($1 - 10_000) / 10_000 } < 25.7)
    let extreme = random.integers([1000], in: Int(Int32.min)..<0).integers
    #expect(extreme.allSatisfy { $0 < 0 && $0 >= Int32.min } && extreme.min()! < -2_000_000_000)
  }

  @Test("categorical draws classes as often as softmax says")
  func categorical() {
    let logits = Tensor([0, 1, 2, -1e9] as [Float])
    let draws = RandomGenerator(seed: 5).categorical(logits: logits.broadcast(to: [30_000, 4]))
    #expect(draws.shape == [30_000] && draws.dtype == .int32)
    let expected = logits.softmax().doubles
    let classes = draws.integers
    let shares = (0..<4).map { label in Double(classes.count { $0 == label }) / 30_000 }
    for (share, probability) in zip(shares, expected) { #expect(abs(share - probability) < 0.015) }
    #expect(shares[3] == 0)
  }

  @Test("shuffled rows stay whole")
  func shuffled() {
    let x = Tensor.range(to: 40).reshaped(to: [20, 2])
    let y = RandomGenerator(seed: 6).shuffled(x)
    #expect(y.integers != x.integers)
    #expect(y.integers.sorted() == x.integers)
    #expect((y[..., 1] - y[..., 0]).integers == [Int](repeating: 1, count: 20))
  }

  @Test("compiled programs draw what eager code draws, new numbers each run")
  func compiledDraws() {
    let (eager, traced) = (RandomGenerator(seed: 5), RandomGenerator(seed: 5))
    @Sendable func draw(_ random: RandomGenerator) -> [Tensor] {
      [
        random.permutation(17), random.integers([5], in: 0..<100),
        random.categorical(logits: Tensor.ones([6, 3])),
        random.shuffled(Tensor.range(to: 9)),
      ]
    }
    let program = compiled { _ in draw(traced) }
    for _ in 0..<3 { #expect(program([]).map(\.integers) == draw(eager).map(\.integers)) }
  }
}
