import CKernels
import Foundation
import Testing

private let shapes = [(64, 10), (1, 1), (5, 3), (7, 16), (9, 17), (768, 65), (3, 1000), (40, 2000), (0, 4)]

private func softmax(_ x: ArraySlice<Float>) -> (probabilities: [Double], logSum: Double) {
  let largest = Double(x.max()!)
  let e = x.map { exp(Double($0) - largest) }
  let sum = e.reduce(0, +)
  return (e.map { $0 / sum }, largest + log(sum))
}

extension Kernels {
  @Suite struct Rows {
    @Test("softmax and log-softmax", arguments: shapes, [Float(1), 30, 1e4])
    func softmaxes(shape: (Int, Int), size: Float) {
      let (rows, width) = shape
      var numbers = Numbers(seed: 2)
      let x = numbers.take(rows * width).map { $0 * size }
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let src = Memory(x), a = Memory<Float>(repeating: 0, count: x.count)
          let b = Memory<Float>(repeating: 0, count: x.count)
          var first = ck_rows(dst: a.pointer, src: src.pointer, rows: Int64(rows), width: Int64(width))
          ck_softmax_run(&first)
          var second = ck_rows(dst: b.pointer, src: src.pointer, rows: Int64(rows), width: Int64(width))
          ck_log_softmax_run(&second)
          keep(src)
          #expect(a.isIntact && b.isIntact)
          return [a.values, b.values]
        }
        #expect(one == two)
        for r in 0..<rows {
          let row = x[r * width..<(r + 1) * width]
          let (p, logSum) = softmax(row)
          for k in 0..<width {
            let probability = Double(one[0][r * width + k]), logarithm = Double(one[1][r * width + k])
            let expected = Double(row[row.startIndex + k]) - logSum
            // The difference from the largest is rounded before the exponential sees it.
            #expect(
              abs(probability - p[k]) <= (1e-6 - 1.2e-7 * expected) * p[k] + 1e-37, "\(set), \(r), \(k)")
            #expect(abs(logarithm - expected) <= 1e-6 * (abs(expected) + 1), "\(set), \(r), \(k)")
          }
        }
      }
    }

    @Test(
      "rows with infinities: −∞ beside numbers is probability 0, a row of −∞ is NaN", arguments: [3, 10, 40])
    func infinities(width: Int) {
      var x = Array(repeating: -Float.infinity, count: 2 * width)
      x[width] = 2
      let src = Memory(x), y = Memory<Float>(repeating: 0, count: x.count)
      forEachInstructionSet { set in
        var rows = ck_rows(dst: y.pointer, src: src.pointer, rows: 2, width: Int64(width))
        ck_softmax_run(&rows)
        keep(src)
        #expect(y.values[0..<width].allSatisfy { $0.isNaN }, "\(set)")
        #expect(y.values[width] == 1 && y.values[(width + 1)...].allSatisfy { $0 == 0 }, "\(set)")
      }
    }

    @Test("gradients of softmax and log-softmax", arguments: shapes) func gradients(rows: Int, width: Int) {
      var numbers = Numbers(seed: 8)
      let g = numbers.take(rows * width), x = numbers.take(rows * width)
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let gradient = Memory(g), y = Memory(x.map { abs($0) / Float(width) }),
            logs = Memory(x.map { -abs($0) })
          let a = Memory<Float>(repeating: 0, count: g.count), b = Memory<Float>(repeating: 0, count: g.count)
          var first = ck_rows_gradient(
            dst: a.pointer, y: y.pointer, g: gradient.pointer, rows: Int64(rows), width: Int64(width))
          ck_softmax_gradient_run(&first)
          var second = ck_rows_gradient(
            dst: b.pointer, y: logs.pointer, g: gradient.pointer, rows: Int64(rows), width: Int64(width))
          ck_log_softmax_gradient_run(&second)
          keep(gradient, y, logs)
          #expect(a.isIntact && b.isIntact)
          return [a.values, b.values]
        }
        #expect(one == two)
        for r in 0..<rows {
          let row = r * width..<(r + 1) * width
          let dot = row.reduce(0.0) { $0 + Double(abs(x[$1]) / Float(width)) * Double(g[$1]) }
          let sum = row.reduce(0.0) { $0 + Double(g[$1]) }
          for k in row {
            let y = Double(abs(x[k]) / Float(width))
            #expect(abs(Double(one[0][k]) - y * (Double(g[k]) - dot)) <= 1e-6, "\(set), \(k)")
            let expected = Double(g[k]) - exp(-Double(abs(x[k]))) * sum
            #expect(
              abs(Double(one[1][k]) - expected) <= 2e-6 * Double(width).squareRoot() * 4, "\(set), \(k)")
          }
        }
      }
    }

    @Test("sparse cross-entropy and its gradient", arguments: shapes, [CK_U8, CK_I32, CK_I64, CK_F32])
    func crossentropy(shape: (Int, Int), dtype: ck_dtype) {
      let (rows, width) = shape
      var numbers = Numbers(seed: 6)
      let x = numbers.take(rows * width).map { $0 * 12 }, g = numbers.take(rows)
      var labels = (0..<rows).map { $0 * 7 % width }
      if rows > 4 { (labels[2], labels[4]) = (width, -1) }  // outside
      if dtype == CK_U8 { labels = labels.map { $0 < 0 || $0 > 255 ? 255 : $0 } }
      let bytes = Memory(labels.map { UInt8(truncatingIfNeeded: $0) }), words = Memory(labels.map(Int32.init))
      let longs = Memory(labels.map(Int64.init)), floats = Memory(labels.map(Float.init))
      let pointer: UnsafeRawPointer =
        switch dtype {
        case CK_U8: UnsafeRawPointer(bytes.pointer)
        case CK_I32: UnsafeRawPointer(words.pointer)
        case CK_I64: UnsafeRawPointer(longs.pointer)
        default: UnsafeRawPointer(floats.pointer)
        }
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let logits = Memory(x), loss = Memory<Float>(repeating: 0, count: rows)
          let p = Memory<Float>(repeating: 0, count: x.count), d = Memory<Float>(repeating: 0, count: x.count)
          let upstream = Memory(g)
          var forward = ck_sparse_crossentropy(
            loss: loss.pointer, probabilities: p.pointer, logits: logits.pointer, labels: pointer,
            label_dtype: Int32(dtype.rawValue), rows: Int64(rows), width: Int64(width))
          ck_sparse_crossentropy_run(&forward)
          var backward = ck_sparse_crossentropy_gradient(
            dst: d.pointer, probabilities: p.pointer, g: upstream.pointer, labels: pointer,
            label_dtype: Int32(dtype.rawValue), rows: Int64(rows), width: Int64(width), g_stride: 1)
          ck_sparse_crossentropy_gradient_run(&backward)
          keep(logits, upstream, bytes, words, longs, floats)
          #expect(loss.isIntact && p.isIntact && d.isIntact)
          return [loss.values, p.values, d.values].map { $0.map(\.bitPattern) }
        }
        #expect(one == two)
        for r in 0..<rows {
          let row = r * width..<(r + 1) * width
          let loss = Float(bitPattern: one[0][r])
          guard labels[r] >= 0 && labels[r] < width else {
            #expect(loss.isNaN, "\(set), row \(r), label \(labels[r])")
            #expect(row.allSatisfy { Float(bitPattern: one[1][$0]).isNaN })
            continue
          }
          let (p, logSum) = softmax(x[row])
          let expected = logSum - Double(x[row.lowerBound + labels[r]])
          #expect(abs(Double(loss) - expected) <= 2e-6 * (1 + expected), "\(set), row \(r)")
          for (k, i) in row.enumerated() {
            #expect(abs(Double(Float(bitPattern: one[1][i])) - p[k]) <= 5e-6 * p[k] + 1e-37)
            let gradient = (p[k] - (k == labels[r] ? 1 : 0)) * Double(g[r])
            #expect(abs(Double(Float(bitPattern: one[2][i])) - gradient) <= 3e-7, "\(set), \(r), \(k)")
          }
        }
      }
    }

    @Test(
      "the first extreme along the middle axis; NaN wins",
      arguments: [(1, 1, 1), (5, 10, 1), (3, 40, 7), (200, 100, 1)])
    func argExtreme(outer: Int, n: Int, inner: Int) {
      var numbers = Numbers(seed: 13)
      var x = numbers.take(outer * n * inner).map { ($0 * 4).rounded() }  // many ties
      if n > 4 { x[(n / 2) * inner] = .nan }
      let src = Memory(x)
      forEachInstructionSet { set in
        for smallest in [false, true] {
          let dst = Memory<Int32>(repeating: -1, count: outer * inner)
          var arguments = ck_arg_extreme(
            dst: dst.pointer, src: src.pointer, outer: Int64(outer), n: Int64(n), inner: Int64(inner),
            smallest: smallest)
          ck_arg_extreme_run(&arguments)
          keep(src)
          #expect(dst.isIntact)
          for o in 0..<outer {
            for k in 0..<inner {
              let column = (0..<n).map { x[(o * n + $0) * inner + k] }
              let extreme = smallest ? column.filter { !$0.isNaN }.min() : column.filter { !$0.isNaN }.max()
              let expected = column.firstIndex(where: \.isNaN) ?? column.firstIndex(of: extreme!)!
              #expect(dst.pointer[o * inner + k] == Int32(expected), "\(set), \(o), \(k)")
            }
          }
        }
      }
    }

    @Test("layer normalisation and its gradient", arguments: shapes, [true, false])
    func normalisation(shape: (Int, Int), isCentred: Bool) {
      let (rows, width) = shape
      var numbers = Numbers(seed: 4)
      let x = numbers.take(rows * width).map { $0 + 2 }, g = numbers.take(rows * width)
      let gamma = numbers.take(width), beta = numbers.take(width)
      var y = [Double](), dx = [Double]()
      var dgamma = Array(repeating: 0.0, count: width), dbeta = dgamma, magnitudes = dgamma
      for r in 0..<rows {
        let row = (r * width..<(r + 1) * width).map { Double(x[$0]) }
        let mean = isCentred ? row.reduce(0, +) / Double(width) : 0
        let inverse =
          1 / (row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width) + 1e-3).squareRoot()
        let scaled = row.map { ($0 - mean) * inverse }
        let gradients = (0..<width).map { Double(g[r * width + $0]) * Double(gamma[$0]) }
        let shift = isCentred ? gradients.reduce(0, +) / Double(width) : 0
        let slope = zip(gradients, scaled).reduce(0) { $0 + $1.0 * $1.1 } / Double(width)
        for k in 0..<width {
          y.append(scaled[k] * Double(gamma[k]) + Double(beta[k]))
          dx.append(inverse * (gradients[k] - shift - scaled[k] * slope))
          dgamma[k] += Double(g[r * width + k]) * scaled[k]
          dbeta[k] += Double(g[r * width + k])
          magnitudes[k] += abs(Double(g[r * width + k]) * scaled[k])
        }
      }
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let src = Memory(x), weights = [gamma, beta].map { Memory($0) }, gradient = Memory(g)
          let dst = Memory<Float>(repeating: 0, count: x.count)
          var forward = ck_normalise(
            dst: dst.pointer, src: src.pointer, gamma: weights[0].pointer, beta: weights[1].pointer,
            rows: Int64(rows),
            width: Int64(width), epsilon: 1e-3, centred: isCentred)
          ck_normalise_run(&forward)
          let scratch = Int(ck_normalise_scratch_bytes(Int64(rows), Int64(width))) / 4
          let sums = Memory<Float>(repeating: .nan, count: scratch)
          let results = [width, width].map { Memory<Float>(repeating: .nan, count: $0) }
          // Over the very memory of g.
          var backward = ck_normalise_gradient(
            dx: gradient.pointer, dgamma: results[0].pointer, dbeta: results[1].pointer, src: src.pointer,
            gamma: weights[0].pointer, g: gradient.pointer, sums: sums.pointer, rows: Int64(rows),
            width: Int64(width),
            epsilon: 1e-3, centred: isCentred)
          ck_normalise_gradient_run(&backward)
          keep(src, weights[0], weights[1])
          #expect(dst.isIntact && gradient.isIntact && sums.isIntact && results.allSatisfy { $0.isIntact })
          return [dst.values, gradient.values] + results.map(\.values)
        }
        #expect(one == two)
        for i in y.indices {
          #expect(abs(Double(one[0][i]) - y[i]) < 1e-5, "\(set), y \(i)")
          #expect(abs(Double(one[1][i]) - dx[i]) < 2e-5 * max(1, abs(dx[i])), "\(set), dx \(i)")
        }
        for k in 0..<width {
          #expect(abs(Double(one[2][k]) - dgamma[k]) < 1e-5 * (1 + magnitudes[k]), "\(set), dgamma \(k)")
          #expect(abs(Double(one[3][k]) - dbeta[k]) < 1e-5 * Double(rows + 1), "\(set), dbeta \(k)")
        }
      }
    }
  }
}
