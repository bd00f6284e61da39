import Testing

@testable import BackpropTensors

@Suite("Products of bfloat16")
struct ProductPrecisionTests {
  private func numbers(_ shape: Shape, seed: Int) -> Tensor {
    RandomGenerator(seed: seed).uniform(shape, from: -1, to: 1)
  }

  /// What bfloat16 keeps of them, as float32.
  private func rounded(_ x: Tensor) -> Tensor { x.cast(to: .bfloat16).cast(to: .float32) }

  private func isClose(_ a: Tensor, _ b: Tensor, _ terms: Tensor) -> Bool {
    a.dtype == .float32 && a.shape == b.shape && worstError(a, b, terms + 1e-3) <= 1e-5
  }

  @Test(
    "a product is that of the rounded operands, in float32",
    arguments: [
      ([3, 5], [5, 4]), ([64, 96], [96, 40]), ([2, 7, 5], [5, 3]), ([2, 4, 6], [2, 6, 5]),
      ([1, 300], [300, 1]),
      ([300, 520], [520, 260]),
    ] as [(Shape, Shape)])
  func product(a: Shape, b: Shape) {
    let (x, y) = (numbers(a, seed: 1), numbers(b, seed: 2))
    for (left, right) in [(false, false), (true, false), (false, true), (true, true)] {
      let options = MatmulOptions(transposeA: left, transposeB: right, isMixed: true)
      let (p, q) = (left ? swapped(x) : x, right ? swapped(y) : y)
      let operands = [p.cast(to: .bfloat16), q.cast(to: .bfloat16)]
      let result = apply(.contraction(.matmul(options)), operands)[0]
      let terms = rounded(x).abs().matmul(rounded(y).abs())
      #expect(isClose(result, rounded(x).matmul(rounded(y)), terms))
      // Without the kernel.
      let rule = Operation.contraction(.matmul(options)).rule
      guard case .reference(let reference) = rule.value else {
        Issue.record("no reference")
        return
      }
      let type = TensorType(result.shape, .float32)
      let storage = Storage(byteCount: type.byteCount)
      let stored = operands.map { $0.storage() }
      withExtendedLifetime((stored, storage)) {
        let buffers = zip(stored, operands).map { Buffer($0.bytes, $1.type) }
        reference(buffers, [Buffer(storage.bytes, type)])
      }
      #expect(isClose(Tensor(storage, shape: type.shape, dtype: .float32), result, terms))
    }
  }

  private func swapped(_ x: Tensor) -> Tensor {
    var order = Array(0..<x.rank)
    order.swapAt(x.rank - 1, x.rank - 2)
    return x.transposed(order)
  }

  /// A dense layer and its gradients: the value is used as it is and rounded.
  private static let dense: @Sendable ([Tensor]) -> [Tensor] = { inputs in
    let (loss, gradients) = valueAndGradient(at: Array(inputs[..<3])) { w in
      withProducts(in: .bfloat16) {
        let hidden = (inputs[3].matmul(w[0]) + w[1]).relu()
        return (hidden.matmul(w[2]).squared() + hidden.sum(axes: [1], keepDims: true)).sum()
      }
    }
    return [loss] + gradients
  }

  @Test("a layer's gradients read rounded operands too, eager and compiled")
  func gradients() {
    let w = [numbers([20, 33], seed: 1), numbers([33], seed: 2), numbers([33, 17], seed: 3)]
    let x = numbers([50, 20], seed: 4)
    let eager = Self.dense(w + [x])
    let fast = compiled(Self.dense)(w + [x])
    for (a, b) in zip(fast, eager) { #expect(worstError(a, b, b.abs() + 1) <= 1e-4) }
    // By hand.
    guard ProductPrecision.hasFastBFloat16 else { return }
    let hidden = (rounded(x).matmul(rounded(w[0])) + w[1]).relu()
    let out = rounded(hidden).matmul(rounded(w[2]))
    let g = rounded(out * 2)
    let expected = rounded(hidden).matmul(g, transposeSelf: true)
    #expect(worstError(eager[3], expected, expected.abs() + 1) <= 1e-4)
    let back = (g.matmul(rounded(w[2]), transposeOther: true) + 17) * (hidden .> 0).cast(to: .float32)
    #expect(worstError(eager[2], back.sum(axes: [0]), back.abs().sum(axes: [0]) + 1) <= 1e-4)
    let first = rounded(x).matmul(rounded(back), transposeSelf: true)
    #expect(worstError(eager[1], first, first.abs() + 1) <= 1e-4)
  }

  @Test("convolutions and their gradients read rounded operands")
  func convolution() {
    let images = numbers([3, 9, 8, 16], seed: 5)
    let kernel = numbers([3, 3, 16, 32], seed: 6)
    let bias = numbers([32], seed: 7)
    let body: @Sendable ([Tensor]) -> [Tensor] = { inputs in
      let (y, gradients) = valueAndGradient(at: Array(inputs[..<3])) { v in
        withProducts(in: .bfloat16) {
          ((v[0].convolved(with: v[1], strides: [2, 1], padding: .same) + v[2]).relu() * inputs[3]).sum()
        }
      }
      return [y] + gradients
    }
    let weights = numbers([3, 5, 8, 32], seed: 8)
    let eager = body([images, kernel, bias, weights])
    let fast = compiled(body)([images, kernel, bias, weights])
    for (a, b) in zip(fast, eager) { #expect(worstError(a, b, b.abs() + 1) <= 1e-4) }
    guard ProductPrecision.hasFastBFloat16 else { return }
    // The same without rounding, of operands that are rounded already, but for the gradient's.
    let plain = (rounded(images).convolved(with: rounded(kernel), strides: [2, 1], padding: .same) + bias)
      .relu()
    #expect(worstError(eager[0], (plain * weights).sum(), Tensor(100)) <= 1e-5)
    let g = rounded(weights * (plain .> 0).cast(to: .float32))
    let (_, expected) = valueAndGradient(at: [rounded(images), rounded(kernel)]) { v in
      (v[0].convolved(with: v[1], strides: [2, 1], padding: .same) * g).sum()
    }
    #expect(worstError(eager[1], expected[0], expected[0].abs() + 1) <= 1e-4)
    #expect(worstError(eager[2], expected[1], expected[1].abs() + 1) <= 1e-4)
  }

  @Test("operands of other dtypes and products outside are left alone")
  func scope() {
    let (a, b) = (numbers([4, 5], seed: 1), numbers([5, 3], seed: 2))
    let wide = withProducts(in: .bfloat16) { a.cast(to: .float64).matmul(b.cast(to: .float64)) }
    #expect(wide.dtype == .float64)
    #expect(wide.doubles == a.cast(to: .float64).matmul(b.cast(to: .float64)).doubles)
    let full = a.matmul(b).floats
    let inside = withProducts(in: .bfloat16) {
      (a.matmul(b).floats, withProducts(in: .full) { a.matmul(b).floats })
    }
    #expect(inside.1 == full)
    if ProductPrecision.hasFastBFloat16 { #expect(inside.0 != full) }
  }

  @Test("what is rounded in a chain is read rounded by the rest of it")
  func chain() {
    let x = numbers([300], seed: 9)
    let body: @Sendable ([Tensor]) -> [Tensor] = { inputs in
      let half = (inputs[0] * 3 + 1).cast(to: .bfloat16)
      let back = half.cast(to: .float32) * 2
      return [half, back, (inputs[0] * 3 + 1).exp()]
    }
    for (fast, eager) in zip(compiled(body)([x]), body([x])) {
      #expect(fast.dtype == eager.dtype)
      #expect(worstError(fast.cast(to: .float32), eager.cast(to: .float32), eager.cast(to: .float32)) <= 1e-6)
    }
  }
}
