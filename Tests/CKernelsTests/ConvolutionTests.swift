import CKernels
import Testing

/// A convolution, for the C kernels and for a plain loop.
private struct TestConvolution: CustomTestStringConvertible {
  var batch = 1
  var size: (Int, Int)
  var channels = 1
  var kernel: (Int, Int) = (3, 3)
  var outputs: Int
  var strides = (1, 1)
  /// Zeros above and below, left and right.
  var border: (Int, Int, Int, Int) = (0, 0, 0, 0)

  var testDescription: String {
    "\(batch) × \(size) × \(channels), kernel \(kernel) × \(outputs), strides \(strides), border \(border)"
  }
  var padded: (Int, Int) { (size.0 + border.0 + border.1, size.1 + border.2 + border.3) }
  var out: (Int, Int) {
    ((padded.0 - kernel.0) / strides.0 + 1, (padded.1 - kernel.1) / strides.1 + 1)
  }
  var elements: Int { kernel.0 * kernel.1 * channels }
  var resultCount: Int { batch * out.0 * out.1 * outputs }

  /// What the results must be, with the sum of the terms' magnitudes.
  func expected(_ x: [Float], _ w: [Float], _ bias: [Float]?) -> [(value: Double, size: Double)] {
    positions([batch, out.0, out.1, outputs]).map { place in
      var sum = Double(bias?[place[3]] ?? 0), size = abs(sum)
      for cell in positions([kernel.0, kernel.1, channels]) {
        let row = place[1] * strides.0 + cell[0] - border.0
        let column = place[2] * strides.1 + cell[1] - border.2
        guard (0..<self.size.0).contains(row), (0..<self.size.1).contains(column) else { continue }
        let source = ((place[0] * self.size.0 + row) * self.size.1 + column) * channels + cell[2]
        let weight = ((cell[0] * kernel.1 + cell[1]) * channels + cell[2]) * outputs + place[3]
        sum += Double(x[source]) * Double(w[weight])
        size += abs(Double(x[source]) * Double(w[weight]))
      }
      return (sum, size)
    }
  }

  func arguments(
    _ x: Memory<Float>, _ w: Memory<Float>, _ bias: Memory<Float>?, _ y: Memory<Float>,
    _ packed: Memory<Float>
  ) -> ck_convolution {
    ck_convolution(
      src: x.pointer, weights: w.pointer, bias: bias.map { UnsafePointer($0.pointer) }, dst: y.pointer,
      batch: Int64(batch), height: Int64(size.0), width: Int64(size.1), channels: Int64(channels),
      padded_height: Int64(padded.0), padded_width: Int64(padded.1), pad_top: Int64(border.0),
      pad_left: Int64(border.2), kernel_height: Int64(kernel.0), kernel_width: Int64(kernel.1),
      stride_y: Int64(strides.0), stride_x: Int64(strides.1), out_height: Int64(out.0),
      out_width: Int64(out.1), outputs: Int64(outputs), relu: bias != nil, packed: packed.pointer)
  }

  /// The same by Winograd's, from weights as they are or `turned`, and `transformed` ones as its working memory.
  func winograd(
    _ x: Memory<Float>, _ w: Memory<Float>, _ bias: Memory<Float>?, _ y: Memory<Float>,
    _ transformed: Memory<Float>, turned: Bool
  ) -> ck_winograd {
    ck_winograd(
      src: x.pointer, bias: bias.map { UnsafePointer($0.pointer) }, weights: w.pointer, dst: y.pointer,
      transformed: transformed.pointer, batch: Int64(batch), height: Int64(size.0), width: Int64(size.1),
      channels: Int64(channels), outputs: Int64(outputs), out_height: Int64(out.0), out_width: Int64(out.1),
      pad_top: Int64(border.0), pad_left: Int64(border.2), relu: bias != nil, turned: turned, prepared: false)
  }

  /// Weights [3, 3, channels, outputs] as [3, 3, outputs, channels], cells in reverse.
  func turned(_ w: [Float]) -> [Float] {
    positions([kernel.0 * kernel.1, outputs, channels]).map {
      w[((kernel.0 * kernel.1 - 1 - $0[0]) * channels + $0[2]) * outputs + $0[1]]
    }
  }

  static let winograd: [TestConvolution] = [
    TestConvolution(batch: 2, size: (8, 8), channels: 16, outputs: 32),
    TestConvolution(size: (13, 13), channels: 32, outputs: 64),
    TestConvolution(batch: 3, size: (7, 10), channels: 48, outputs: 16, border: (1, 1, 1, 1)),
    TestConvolution(size: (5, 6), channels: 16, outputs: 80, border: (2, 1, 0, 2)),
    TestConvolution(batch: 3, size: (9, 9), channels: 128, outputs: 16, border: (1, 1, 1, 1)),
    // More border than the kernel reaches, and a single result.
    TestConvolution(size: (4, 3), channels: 16, outputs: 16, border: (4, 3, 5, 0)),
    TestConvolution(size: (3, 3), channels: 16, outputs: 16),
  ]

  static let fewChannels: [TestConvolution] = [
    TestConvolution(size: (28, 28), outputs: 32),
    TestConvolution(batch: 3, size: (9, 14), outputs: 40),
    TestConvolution(batch: 2, size: (12, 11), channels: 3, outputs: 16, border: (1, 1, 1, 1)),
    TestConvolution(
      size: (31, 30), channels: 3, kernel: (5, 5), outputs: 70, strides: (2, 2), border: (1, 2, 2, 1)),
    TestConvolution(
      size: (1, 40), channels: 4, kernel: (1, 7), outputs: 6, strides: (1, 3), border: (0, 0, 6, 0)),
    TestConvolution(size: (7, 5), channels: 2, kernel: (7, 5), outputs: 1),
    // A row of the results that reads nothing but border.
    TestConvolution(size: (6, 6), kernel: (2, 2), outputs: 33, strides: (2, 1), border: (3, 0, 0, 4)),
    // Bands cut by what fits on the stack.
    TestConvolution(
      size: (120, 300), channels: 4, kernel: (1, 1), outputs: 1, strides: (3, 3), border: (0, 1, 0, 0)),
    TestConvolution(batch: 5, size: (1, 1), kernel: (1, 1), outputs: 17),
  ]
}

extension Kernels {
  @Suite struct Convolutions {
    @Test(
      "few channels: what plain loops compute, with and without bias and relu",
      arguments: TestConvolution.fewChannels)
    fileprivate func fewChannels(_ test: TestConvolution) {
      var numbers = Numbers(seed: 11)
      let x = numbers.take(test.batch * test.size.0 * test.size.1 * test.channels)
      let w = numbers.take(test.elements * test.outputs)
      let shift = numbers.take(test.outputs)
      for hasBias in [false, true] {
        let expected = test.expected(x, w, hasBias ? shift : nil)
        forEachInstructionSet { set in
          let (one, two) = onOneAndTwoThreads {
            let src = Memory(x), weights = Memory(w), bias = hasBias ? Memory(shift) : nil
            let dst = Memory<Float>(repeating: .nan, count: test.resultCount)
            let bytes = ck_convolution_scratch_bytes(Int64(test.elements))
            let packed = Memory<Float>(repeating: .nan, count: Int(bytes) / 4)
            var arguments = test.arguments(src, weights, bias, dst, packed)
            ck_convolution_run(&arguments)
            keep(src, weights, bias as Any)
            #expect(dst.isIntact && packed.isIntact)
            return dst.values
          }
          #expect(one == two)
          for (found, expected) in zip(one, expected) {
            let value = hasBias ? max(expected.value, 0) : expected.value
            #expect(abs(Double(found) - value) <= 1e-6 * (expected.size + 1e-6), "\(set)")
          }
        }
      }
    }

    @Test(
      "3 × 3: what plain loops compute, from weights as they are and turned",
      arguments: TestConvolution.winograd)
    fileprivate func winograd(_ test: TestConvolution) {
      var numbers = Numbers(seed: 12)
      let x = numbers.take(test.batch * test.size.0 * test.size.1 * test.channels)
      let w = numbers.take(test.elements * test.outputs)
      let shift = numbers.take(test.outputs)
      for (hasBias, turned) in [(false, false), (true, false), (false, true)] {
        let expected = test.expected(x, w, hasBias ? shift : nil)
        forEachInstructionSet { set in
          let (one, two) = onOneAndTwoThreads {
            let src = Memory(x), bias = hasBias ? Memory(shift) : nil
            let weights = Memory(turned ? test.turned(w) : w)
            let dst = Memory<Float>(repeating: .nan, count: test.resultCount)
            let transformed = Memory<Float>(repeating: .nan, count: 16 * test.channels * test.outputs)
            var arguments = test.winograd(src, weights, bias, dst, transformed, turned: turned)
            ck_winograd_run(&arguments)
            keep(src, weights, bias as Any)
            #expect(dst.isIntact && transformed.isIntact)
            return dst.values
          }
          #expect(one == two)
          for (found, expected) in zip(one, expected) {
            let value = hasBias ? max(expected.value, 0) : expected.value
            #expect(abs(Double(found) - value) <= 1e-6 * (expected.size + 1e-6), "\(set)")
          }
        }
      }
    }
  }
}
