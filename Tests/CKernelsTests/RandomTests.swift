import CKernels
import Foundation
import Testing

private func draw(
  _ distribution: ck_distribution, count: Int, seed: Int64 = 42, counter: Int64 = 0, a: Float = 0
) -> [Float] {
  let state = Memory([seed, counter]), dst = Memory<Float>(repeating: -9, count: count)
  var arguments = ck_random(
    dst: dst.pointer, state: state.pointer, dst_dtype: Int32(CK_F32.rawValue),
    distribution: Int32(distribution.rawValue), count: Int64(count), a: a)
  ck_random_run(&arguments)
  keep(state)
  #expect(dst.isIntact)
  return dst.values
}

private func bits(count: Int, seed: UInt64, counter: UInt64) -> [UInt32] {
  let state = Memory([Int64(bitPattern: seed), Int64(bitPattern: counter)])
  let dst = Memory<UInt32>(repeating: 0, count: count)
  var arguments = ck_random(
    dst: dst.pointer, state: state.pointer, dst_dtype: Int32(CK_I32.rawValue),
    distribution: Int32(CK_BITS.rawValue), count: Int64(count), a: 0)
  ck_random_run(&arguments)
  keep(state)
  #expect(dst.isIntact)
  return dst.values
}

/// Philox 4x32-10, straight from the paper, for any counter.
private func philox(_ counter: UInt64, key: UInt64) -> [UInt32] {
  var c = [UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32), 0, 0]
  var k = [UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32)]
  for _ in 0..<10 {
    let p = UInt64(0xD251_1F53) * UInt64(c[0]), q = UInt64(0xCD9E_8D57) * UInt64(c[2])
    c = [
      UInt32(q >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: q), UInt32(p >> 32) ^ c[3] ^ k[1],
      UInt32(truncatingIfNeeded: p),
    ]
    k = [k[0] &+ 0x9E37_79B9, k[1] &+ 0xBB67_AE85]
  }
  return c
}

private func moments(_ x: [Float]) -> (mean: Double, variance: Double, skew: Double, kurtosis: Double) {
  let n = Double(x.count), mean = x.reduce(0.0) { $0 + Double($1) } / n
  var m2 = 0.0, m3 = 0.0, m4 = 0.0
  for value in x {
    let d = Double(value) - mean
    (m2, m3, m4) = (m2 + d * d, m3 + d * d * d, m4 + d * d * d * d)
  }
  return (mean, m2 / n, m3 / n / pow(m2 / n, 1.5), m4 / n / pow(m2 / n, 2))
}

extension Kernels {
  @Suite struct Random {
    @Test("the published vector and the paper's rounds") func knownAnswers() {
      forEachInstructionSet { set in
        #expect(
          bits(count: 4, seed: 0, counter: 0) == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
          "\(set)")
        for (seed, counter) in [(UInt64(5), UInt64(0)), (.max, 0xffff_fff0), (1 << 40, 1 << 35)] {
          let found = bits(count: 1003, seed: seed, counter: counter)
          let expected = (0..<251).flatMap { philox(counter &+ UInt64($0), key: seed) }
          #expect(found == Array(expected.prefix(1003)), "\(set), seed \(seed)")
        }
      }
    }

    @Test(
      "an element depends on seed, counter and position alone",
      arguments: [CK_UNIFORM, CK_NORMAL, CK_TRUNCATED_NORMAL, CK_BERNOULLI].map(\.rawValue))
    func positions(_ raw: UInt32) {
      let distribution = ck_distribution(rawValue: raw)
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads { draw(distribution, count: 100_001, a: 0.3) }
        #expect(one == two, "\(set)")
        #expect(draw(distribution, count: 37, a: 0.3) == Array(one.prefix(37)))
        #expect(draw(distribution, count: 4001, counter: 1000, a: 0.3) == Array(one[4000..<8001]))
        #expect(draw(distribution, count: 100, seed: 43, a: 0.3) != Array(one.prefix(100)))
      }
    }

    @Test("moments") func moments_() {
      let count = 400_000, n = Double(count)
      forEachInstructionSet { set in
        let uniform = draw(CK_UNIFORM, count: count)
        #expect(uniform.allSatisfy { $0 >= 0 && $0 < 1 })
        let u = moments(uniform)
        #expect(
          abs(u.mean - 0.5) < 5 * (1 / 12 / n).squareRoot() && abs(u.variance - 1.0 / 12) < 1e-3, "\(set)")

        let z = moments(draw(CK_NORMAL, count: count))
        #expect(abs(z.mean) < 5 / n.squareRoot() && abs(z.variance - 1) < 5 * (2 / n).squareRoot(), "\(set)")
        #expect(
          abs(z.skew) < 5 * (6 / n).squareRoot() && abs(z.kurtosis - 3) < 5 * (24 / n).squareRoot(), "\(set)")

        let truncated = draw(CK_TRUNCATED_NORMAL, count: count)
        #expect(truncated.allSatisfy { abs($0) < 2 })
        let t = moments(truncated)
        // Variance of a normal cut at two deviations: 1 − 2·2φ(2) / (2Φ(2) − 1)
        #expect(abs(t.mean) < 5 * 0.88 / n.squareRoot() && abs(t.variance - 0.773_741_3) < 5e-3, "\(set)")

        let coins = draw(CK_BERNOULLI, count: count, a: 0.3)
        #expect(coins.allSatisfy { $0 == 0 || $0 == 1 })
        #expect(abs(moments(coins).mean - 0.3) < 5 * (0.21 / n).squareRoot(), "\(set)")
        #expect(draw(CK_BERNOULLI, count: 100, a: 1).allSatisfy { $0 == 1 })
        #expect(draw(CK_BERNOULLI, count: 100, a: 0).allSatisfy { $0 == 0 })
      }
    }

    @Test("normal numbers fill the intervals as they should") func normalDistribution() {
      let count = 200_000
      let z = draw(CK_NORMAL, count: count)
      for edge in [-3.0, -2, -1, -0.5, 0, 0.5, 1, 2, 3] {
        let expected = 0.5 * erfc(-edge / 2.0.squareRoot())
        let found = Double(z.filter { Double($0) < edge }.count) / Double(count)
        #expect(
          abs(found - expected) < 5 * (expected * (1 - expected) / Double(count)).squareRoot(),
          "below \(edge)")
      }
      // Neighbours share a radius; they must not be correlated, nor their squares.
      var product = 0.0, squares = 0.0
      for i in stride(from: 0, to: count, by: 2) {
        product += Double(z[i] * z[i + 1])
        squares += Double((z[i] * z[i] - 1) * (z[i + 1] * z[i + 1] - 1))
      }
      let pairs = Double(count / 2)
      #expect(abs(product / pairs) < 5 / pairs.squareRoot() && abs(squares / pairs) < 10 / pairs.squareRoot())
    }
  }
}
