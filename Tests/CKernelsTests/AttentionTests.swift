import CKernels
import Foundation
import Testing

/// Attention over some sizes: numbers for the kernels, and plain loops in double to compare with.
private struct Attention: CustomTestStringConvertible, Sendable {
  enum Mask: Sendable { case none, ofKeys, ofPairs }

  var batch = 1
  var queries, keys: Int
  var heads = 1
  var groups = 1
  var dim: Int
  var valueDim: Int
  var causal = false
  var mask = Mask.none
  var hidesRows = false

  var testDescription: String {
    "\(batch) × \(queries) queries × \(keys) keys, \(heads) heads of \(dim) and \(valueDim) in \(groups) groups"
      + "\(causal ? ", causal" : "")\(mask == .none ? "" : ", masked \(mask)")\(hidesRows ? ", rows hidden" : "")"
  }

  /// A tile is 64 × 64; vectors have 4, 8 or 16 lanes.
  static let all: [Attention] = [
    Attention(queries: 1, keys: 1, dim: 1, valueDim: 1),
    Attention(batch: 2, queries: 5, keys: 9, heads: 4, groups: 2, dim: 7, valueDim: 5),
    Attention(batch: 3, queries: 13, keys: 13, heads: 2, groups: 2, dim: 16, valueDim: 16, causal: true),
    Attention(queries: 65, keys: 63, heads: 2, dim: 33, valueDim: 17, causal: true),
    Attention(queries: 63, keys: 131, dim: 65, valueDim: 67, causal: true),
    Attention(queries: 130, keys: 66, heads: 3, groups: 3, dim: 8, valueDim: 24),
    Attention(batch: 2, queries: 7, keys: 70, heads: 2, dim: 5, valueDim: 3, mask: .ofKeys),
    Attention(batch: 2, queries: 67, keys: 65, heads: 2, dim: 32, valueDim: 32, causal: true, mask: .ofPairs),
    Attention(batch: 2, queries: 6, keys: 11, heads: 2, dim: 4, valueDim: 9, mask: .ofPairs, hidesRows: true),
    Attention(batch: 0, queries: 3, keys: 2, dim: 4, valueDim: 4),
  ]

  var scale: Float { 0.7 / Float(dim).squareRoot() }

  private func numbers(_ count: Int, seed: UInt64, scale: Float = 1) -> [Float] {
    var numbers = Numbers(seed: seed)
    return numbers.take(count).map { $0 * scale }
  }

  var q: [Float] { numbers(batch * queries * heads * dim, seed: 1, scale: 3) }
  var k: [Float] { numbers(batch * keys * groups * dim, seed: 2, scale: 3) }
  var v: [Float] { numbers(batch * keys * groups * valueDim, seed: 3) }
  /// Weights of the results in the number that is differentiated.
  var g: [Float] { numbers(batch * queries * heads * valueDim, seed: 4) }
  var logarithmsG: [Float] { numbers(batch * heads * queries, seed: 5) }

  /// [batch, 1, queries or 1, keys]; the third query of each sample sees nothing where queries have masks of their own.
  var maskBytes: [UInt8] {
    let rows = mask == .ofPairs ? queries : 1
    return (0..<batch * rows * keys).map { place in
      let row = place / keys % rows
      return (mask == .ofPairs && row == 2) || (place &* 7919) % 5 == 0 ? 0 : 1
    }
  }

  private func sees(_ bytes: [UInt8], _ sample: Int, _ query: Int, _ key: Int) -> Bool {
    if causal && key > query { return false }
    switch mask {
    case .none: return true
    case .ofKeys: return bytes[sample * keys + key] != 0
    case .ofPairs: return bytes[(sample * queries + query) * keys + key] != 0
    }
  }

  struct Values {
    var out, logarithms: [Double]
  }

  func reference(_ q: [Double], _ k: [Double], _ v: [Double]) -> Values {
    let bytes = maskBytes
    var values = Values(
      out: Array(repeating: 0, count: batch * queries * heads * valueDim),
      logarithms: Array(repeating: 0, count: batch * heads * queries))
    for sample in 0..<batch {
      for head in 0..<heads {
        let group = head / (heads / groups)
        for query in 0..<queries {
          let row = ((sample * queries + query) * heads + head)
          func place(_ key: Int) -> Int { (sample * keys + key) * groups + group }
          let seen = (0..<keys).filter { sees(bytes, sample, query, $0) }
          let scores = seen.map { key in
            Double(scale) * (0..<dim).reduce(0) { $0 + q[row * dim + $1] * k[place(key) * dim + $1] }
          }
          var weighted = [(key: Int, weight: Double)]()
          if let largest = scores.max() {
            let sum = scores.reduce(0) { $0 + exp($1 - largest) }
            values.logarithms[(sample * heads + head) * queries + query] = largest + log(sum)
            weighted = zip(seen, scores).map { ($0, exp($1 - largest) / sum) }
          } else if !hidesRows {
            weighted = (0..<keys).map { ($0, 1 / Double(keys)) }
          }
          for (key, weight) in weighted {
            for i in 0..<valueDim { values.out[row * valueDim + i] += weight * v[place(key) * valueDim + i] }
          }
        }
      }
    }
    return values
  }

  /// Σ weight · result
  func weighted(_ values: Values) -> Double {
    func sum(_ a: [Double], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * Double($1.1) } }
    return sum(values.out, g) + sum(values.logarithms, logarithmsG)
  }

  struct Results: Equatable {
    var out, logarithms: [Float]
    /// Gradients of q, k and v.
    var gradients: [[Float]]
    var isIntact: Bool
  }

  /// Forward and back.
  func run() -> Results {
    let q = Memory(q), k = Memory(k), v = Memory(v), mask = Memory(maskBytes)
    let out = Memory(repeating: Float.nan, count: batch * queries * heads * valueDim)
    let logarithms = Memory(repeating: Float.nan, count: batch * heads * queries)
    let rows = self.mask == .ofPairs ? queries : 1
    var forward = ck_attention()
    (forward.q, forward.k, forward.v) = (.init(q.pointer), .init(k.pointer), .init(v.pointer))
    forward.mask = self.mask == .none ? nil : .init(mask.pointer)
    forward.mask_steps = (Int64(rows * keys), 0, rows == 1 ? 0 : Int64(keys), 1)
    (forward.out, forward.logarithms) = (out.pointer, logarithms.pointer)
    (forward.batch, forward.queries, forward.keys) = (Int64(batch), Int64(queries), Int64(keys))
    (forward.heads, forward.groups) = (Int64(heads), Int64(groups))
    (forward.dim, forward.value_dim, forward.scale) = (Int64(dim), Int64(valueDim), scale)
    (forward.causal, forward.hides_rows) = (causal, hidesRows)
    ck_attention_run(&forward)
    let g = Memory(g), logarithmsG = Memory(logarithmsG)
    let gradients = [q, k, v].map { Memory(repeating: Float.nan, count: $0.count) }
    var back = ck_attention_gradient(
      forward: forward, g: .init(g.pointer), logarithms_g: .init(logarithmsG.pointer),
      dq: gradients[0].pointer, dk: gradients[1].pointer, dv: gradients[2].pointer)
    ck_attention_gradient_run(&back)
    keep(q, k, v, mask, g, logarithmsG)
    return Results(
      out: out.values, logarithms: logarithms.values, gradients: gradients.map(\.values),
      isIntact: out.isIntact && logarithms.isIntact && gradients.allSatisfy(\.isIntact))
  }
}

extension Kernels {
  @Suite("Attention") struct AttentionTests {
    @Test("is what plain loops compute, with every instruction set", arguments: Attention.all)
    private func values(_ test: Attention) {
      let exact = test.reference(test.q.map(Double.init), test.k.map(Double.init), test.v.map(Double.init))
      forEachInstructionSet { name in
        let results = test.run()
        #expect(results.isIntact, "\(name) writes past an end")
        #expect(isClose(results.out, exact.out), "results, \(name)")
        #expect(isClose(results.logarithms, exact.logarithms), "logarithms, \(name)")
      }
    }

    @Test("goes back as central differences of plain loops say", arguments: Attention.all)
    private func gradients(_ test: Attention) {
      let inputs = [test.q, test.k, test.v].map { $0.map(Double.init) }
      func difference(_ place: Int, _ array: Int) -> Double {
        func value(_ step: Double) -> Double {
          var all = inputs
          all[array][place] += step
          return test.weighted(test.reference(all[0], all[1], all[2]))
        }
        return (value(1e-5) - value(-1e-5)) / 2e-5
      }
      /// A few places of an array, the first and the last among them.
      func places(_ count: Int) -> [Int] { count == 0 ? [] : (0..<6).map { $0 * (count - 1) / 5 } }
      let differences = inputs.enumerated().map { array, values in
        places(values.count).map { ($0, difference($0, array)) }
      }
      forEachInstructionSet { name in
        for (array, list) in zip(test.run().gradients, differences) {
          let isFinite = array.allSatisfy { $0.isFinite }
          #expect(isFinite, "\(name)")
          for (place, difference) in list {
            #expect(
              abs(Double(array[place]) - difference) < 1e-4 + 1e-4 * abs(difference), "\(name), \(place)")
          }
        }
      }
    }

    @Test("gives the same bits on one thread and on two", arguments: Attention.all)
    private func threads(_ test: Attention) {
      let (one, two) = onOneAndTwoThreads { test.run() }
      #expect(one == two)
    }

    private func isClose(_ a: [Float], _ b: [Double]) -> Bool {
      a.count == b.count && zip(a, b).allSatisfy { abs(Double($0) - $1) < 1e-5 * (1 + abs($1)) }
    }
  }
}
