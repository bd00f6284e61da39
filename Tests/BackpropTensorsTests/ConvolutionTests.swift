import Testing

@testable import BackpropTensors

@Suite("Convolution and pooling")
struct ConvolutionTests {
  private func numbers(_ shape: Shape) -> Tensor { RandomGenerator(seed: 3).uniform(shape, from: -1, to: 1) }

  /// The operations' names of what `compiled` makes of a closure.
  private func kernels(_ inputs: [Tensor], _ body: @Sendable ([Tensor]) -> [Tensor]) -> [String] {
    Program.compile(inputs: inputs.map(\.type), body).plan.kernels.map(\.name)
  }

  @Test("bias and relu belong to the convolution")
  func epilogue() {
    let inputs = [numbers([2, 6, 6, 3]), numbers([3, 3, 3, 4]), numbers([4])]
    let body: @Sendable ([Tensor]) -> [Tensor] = { [($0[0].convolved(with: $0[1]) + $0[2]).relu()] }
    #expect(kernels(inputs, body) == ["convolution"])
    let (fast, eager) = (compiled(body)(inputs)[0], body(inputs)[0])
    #expect(worstError(fast, eager, eager.abs() + 1) <= 1e-6)
    #expect(eager.floats.contains(0) && eager.floats.contains { $0 > 0 })
  }

  @Test("what is kept of a kernel follows what is written to it", arguments: [[1, 1], [2, 2]])
  func lastingKernel(_ strides: [Int]) {
    // One of ours, and one of oneDNN's: both bring a kernel that a program doesn't write into a form of its own.
    let kernel = Variable(numbers([3, 3, 32, 32]))
    let run = compiled { [$0[0].convolved(with: kernel.value, strides: strides)] }
    for scale in [1, -2, 3] {
      kernel.value = numbers([3, 3, 32, 32]) * Double(scale)
      let x = numbers([1, 12, 12, 32])
      let eager = x.convolved(with: kernel.value, strides: strides)
      #expect(worstError(run([x])[0], eager, eager.abs() + 1) <= 1e-5)
    }
  }

  @Test("relu before max pooling is done by the pooling, and places that nobody reads aren't noted")
  func reluBeforePooling() {
    let x = numbers([2, 6, 6, 3])
    let body: @Sendable ([Tensor]) -> [Tensor] = { [$0[0].relu().maxPooled(size: [2, 2])] }
    #expect(kernels([x], body) == ["maxPool"])
    #expect(compiled(body)([x])[0].floats == body([x])[0].floats)
    let plan = Program.compile(inputs: [x.type], body).plan
    // The input and the result; the places would be another 54 bytes.
    #expect(plan.kernels[0].bytes == 4 * (216 + 54))
    // Read elsewhere too, relu stays what it was.
    let both: @Sendable ([Tensor]) -> [Tensor] = { inputs in
      let y = inputs[0].relu()
      return [y.maxPooled(size: [2, 2]), y]
    }
    #expect(zip(compiled(both)([x]), both([x])).allSatisfy { $0.floats == $1.floats })
  }

  @Test("a bias before max pooling gets its gradient from the pooled one")
  func biasGradient() {
    let inputs = [numbers([2, 6, 6, 3]), numbers([3, 3, 3, 4]), numbers([4])]
    let body: @Sendable ([Tensor]) -> [Tensor] = { inputs in
      gradient(at: [inputs[2]]) { bias in
        let y = (inputs[0].convolved(with: inputs[1]) + bias[0]).relu().maxPooled(size: [2, 2])
        return (y * y).sum()
      }
    }
    #expect(!kernels(inputs, body).contains("maxPoolGradient"))
    let (fast, eager) = (compiled(body)(inputs)[0], body(inputs)[0])
    #expect(worstError(fast, eager, eager.abs()) <= 1e-5)
  }

  @Test("a sum over some axes alone isn't taken before the spreading")
  func partialSum() {
    let x = numbers([2, 4, 4, 3])
    let body: @Sendable ([Tensor]) -> [Tensor] = { inputs in
      gradient(at: [Tensor.zeros([4, 1])]) { row in
        ((inputs[0] + row[0]).maxPooled(size: [2, 2]) * inputs[0].averagePooled(size: [2, 2])).sum()
      }
    }
    #expect(kernels([x], body).contains("maxPoolGradient"))
    let (fast, eager) = (compiled(body)([x])[0], body([x])[0])
    #expect(worstError(fast, eager, eager.abs() + 0.1) <= 1e-5)
  }

  @Test("padding as TensorFlow computes it")
  func padding() {
    // (input, window, stride, dilation) → same
    let cases: [(Int, Int, Int, Int, Int, Int)] = [
      (5, 3, 1, 1, 1, 1), (5, 2, 1, 1, 0, 1), (5, 3, 2, 1, 1, 1), (6, 3, 2, 1, 0, 1), (6, 1, 2, 1, 0, 0),
      (7, 3, 1, 2, 2, 2), (4, 2, 3, 1, 0, 1),
    ]
    for (input, window, stride, dilation, before, after) in cases {
      let amounts = WindowPadding.same.amounts(
        input: input, window: window, stride: stride, dilation: dilation)
      #expect(amounts == (before, after), "\(input), \(window), \(stride), \(dilation)")
    }
    #expect(WindowPadding.causal.amounts(input: 9, window: 3, stride: 1, dilation: 2) == (4, 0))
    #expect(WindowPadding.valid.amounts(input: 9, window: 3, stride: 1) == (0, 0))
  }

  @Test("bfloat16 images and kernels are convolved in float32")
  func halves() {
    let (x, w) = (numbers([2, 5, 5, 3]).cast(to: .bfloat16), numbers([3, 3, 3, 2]).cast(to: .bfloat16))
    let result = x.convolved(with: w)
    #expect(result.dtype == .bfloat16)
    let wide = x.cast(to: .float32).convolved(with: w.cast(to: .float32)).cast(to: .bfloat16)
    #expect(result.cast(to: .float32).floats == wide.cast(to: .float32).floats)
    #expect(x.maxPooled(size: [2, 2]).dtype == .bfloat16)
  }

  @Test("images without rows give results without rows")
  func empty() {
    let x = Tensor.zeros([0, 6, 6, 3])
    #expect(x.convolved(with: Tensor.ones([3, 3, 3, 2])).shape == [0, 4, 4, 2])
    #expect(x.maxPooled(size: [2, 2]).shape == [0, 3, 3, 3])
    let gradient = gradient(at: Tensor.ones([3, 3, 3, 2])) { x.convolved(with: $0).sum() }
    #expect(gradient.floats.allSatisfy { $0 == 0 })
  }

  @Test("a long signal with a border")
  func longSignal() {
    let (x, w) = (numbers([8, 1_500_000, 1]), numbers([5, 1, 2]))
    let y = x.convolved(with: w, padding: .same)
    #expect(y.shape == [8, 1_500_000, 2])
    let (found, signal, kernel) = (y[7, 1_499_999, 1].item(), x[7, (1_499_997)...].floats, w.floats)
    let expected = (0..<3).reduce(Float(0)) { $0 + signal[$1] * kernel[$1 * 2 + 1] }
    #expect(abs(Float(found) - expected) <= 1e-5)
  }

  @Test("a program sees a kernel that was changed, by hand or by another program")
  func changedKernel() throws {
    let x = numbers([2, 7, 7, 16])
    let kernel = Variable(numbers([3, 3, 16, 32]), name: "kernel")
    let count = Variable(Tensor(0 as Float), name: "count")
    // Reads the kernel and writes something else, as an evaluation does.
    let forward = compiled { inputs in
      count.value = count.value + 1
      return [inputs[0].convolved(with: kernel.value)]
    }
    let halve = compiled { inputs in
      kernel.value = kernel.value * inputs[0]
      return []
    }
    func check() {
      let (found, expected) = (forward([x])[0], x.convolved(with: kernel.value))
      #expect(worstError(found, expected, expected.abs().mean() + expected.abs()) <= 1e-6)
    }
    check()
    check()
    kernel.value = numbers([3, 3, 16, 32]) * 3
    check()
    _ = halve([Tensor(0.5 as Float)])
    check()
    check()
    let both = compiled { inputs in
      let y = inputs[0].convolved(with: kernel.value)
      kernel.value = kernel.value * 2
      return [y]
    }
    let before = x.convolved(with: kernel.value)
    #expect(worstError(both([x])[0], before, before.abs().mean() + before.abs()) <= 1e-6)
    #expect(worstError(both([x])[0], before * 2, before.abs().mean() + before.abs()) <= 1e-6)
    check()
  }

  @Test("a large result is pooled as it is made, its gradient spread as it is read", arguments: [16, 19, 37])
  func pooledConvolution(_ batch: Int) {
    // Windows that fit and some that leave positions over; batches that the chunks don't divide.
    let inputs = [numbers([batch, 34, 35, 2]), numbers([3, 3, 2, 32]), numbers([32])]
    let body: @Sendable ([Tensor]) -> [Tensor] = { inputs in
      let (value, gradients) = valueAndGradient(at: [inputs[1], inputs[2]]) { points in
        let y = (inputs[0].convolved(with: points[0]) + points[1]).relu().maxPooled(size: [2, 2])
        return (y * y).sum()
      }
      return [value] + gradients
    }
    let names = kernels(inputs, body)
    #expect(names.contains("convolution then maxPool"))
    #expect(names.contains("maxPoolGradient then convolutionKernelGradient"))
    #expect(!names.contains("convolution") && !names.contains("maxPoolGradient"))
    let (fast, eager) = (compiled(body)(inputs), body(inputs))
    for (fast, eager) in zip(fast, eager) {
      #expect(worstError(fast, eager, eager.abs().mean() + eager.abs()) <= 1e-5)
    }
    // Where the images' gradient is wanted too, what lies between is made once and read twice.
    let both = kernels(inputs) { inputs in
      gradient(at: [inputs[0], inputs[1]]) { points in
        points[0].convolved(with: points[1]).maxPooled(size: [2, 2]).squared().sum()
      }
    }
    #expect(both.contains("maxPoolGradient") && both.contains("convolutionKernelGradient"))
  }
}
