/// A kernel that moves over images [batch, spatial…, channels], and what leads back from its results.
///
/// The three are each other's gradients, so gradients of gradients are convolutions too.
package enum ConvolutionOperation: SampledFamily {
  /// From images and kernel [spatial…, channels / groups, results] (and a bias) to [batch, spatial…, results].
  case forward(ConvolutionOptions)
  /// From results (or their gradient) and kernel to images of these spatial sizes: the transposed convolution.
  case images(ConvolutionOptions, input: [Int])
  /// From images and the results' gradient to that of a kernel of these spatial sizes.
  case kernel(ConvolutionOptions, size: [Int])

  package var operation: Operation { .convolution(self) }

  package enum Kind: CaseIterable { case forward, images, kernel }

  package var kind: Kind {
    switch self {
    case .forward: .forward
    case .images: .images
    case .kernel: .kernel
    }
  }

  var options: ConvolutionOptions {
    switch self {
    case .forward(let options), .images(let options, _), .kernel(let options, _): options
    }
  }

  package static var samples: [Sample] {
    let plain = ConvolutionOptions(axes: 2)
    let cases: [(ConvolutionOptions, images: Shape, kernel: Shape)] = [
      (plain, [2, 5, 4, 3], [3, 2, 3, 4]), (plain, [1, 1, 1, 1], [1, 1, 1, 1]),
      (plain, [3, 8, 8, 16], [3, 3, 16, 32]),
      (ConvolutionOptions(axes: 1), [2, 9, 3], [4, 3, 5]),
      (ConvolutionOptions(axes: 3), [1, 4, 3, 5, 2], [2, 3, 2, 2, 3]),
      (ConvolutionOptions(strides: [2, 1], before: [1, 0], after: [1, 2]), [2, 6, 5, 3], [3, 3, 3, 4]),
      (ConvolutionOptions(strides: [1], dilation: [2], before: [4], after: [0]), [2, 7, 2], [3, 2, 4]),
      (ConvolutionOptions(strides: [1, 1], dilation: [2, 3]), [2, 7, 8, 2], [3, 2, 2, 3]),
      // Positions at the end that no kernel reaches.
      (ConvolutionOptions(strides: [3, 2]), [1, 8, 6, 2], [2, 3, 2, 3]),
      (
        ConvolutionOptions(strides: [1, 1], before: [1, 1], after: [1, 1], groups: 2), [2, 4, 4, 6],
        [3, 3, 3, 4]
      ),
      // One kernel for each channel, and two.
      (
        ConvolutionOptions(strides: [1, 1], before: [1, 1], after: [1, 1], groups: 5), [2, 4, 5, 5],
        [3, 3, 1, 5]
      ),
      (ConvolutionOptions(strides: [2], groups: 3), [2, 6, 3], [2, 1, 6]),
      (plain, [0, 4, 4, 2], [2, 2, 2, 3]),
      // Channels in whole vectors.
      (
        ConvolutionOptions(strides: [1, 1], before: [1, 1], after: [1, 1]), [2, 9, 7, 32], [3, 3, 32, 48]
      ),
      // Images of one channel and of three, results that fill vectors.
      (plain, [2, 12, 14, 1], [3, 3, 1, 48]),
      (
        ConvolutionOptions(strides: [2, 2], before: [1, 1], after: [0, 1]), [1, 30, 31, 3], [3, 3, 3, 16]
      ),
    ]
    return cases.flatMap { options, images, kernel -> [Sample] in
      let spatial = Array(images.dimensions.dropFirst().dropLast())
      let size = Array(kernel.dimensions.dropLast(2))
      let results = Shape(
        [images[0]] + (try! options.results(of: spatial, size: size, in: "sample")) + [kernel[-1]])
      return [
        Sample(.convolution(.forward(options)), [.init(images), .init(kernel)]),
        Sample(.convolution(.images(options, input: spatial)), [.init(results), .init(kernel)]),
        Sample(.convolution(.kernel(options, size: size)), [.init(images), .init(results)]),
      ]
    } + [
      Sample(
        .convolution(.forward(plain.with(bias: true))),
        [.init([2, 5, 4, 3]), .init([3, 2, 3, 4]), .init([4])]),
      Sample(
        .convolution(.forward(plain.with(bias: true, relu: true))),
        [.init([2, 5, 4, 3], in: 0.1...1), .init([3, 2, 3, 4], in: 0.1...1), .init([4], in: 0.1...1)]),
    ]
  }

  package var rule: Rule {
    switch self {
    case .forward(let options): options.forwardRule
    case .images(let options, let input): options.imagesRule(input)
    case .kernel(let options, let size): options.kernelRule(size)
    }
  }
}

/// How a kernel moves. Each array has one number for each of the one to three spatial axes.
package struct ConvolutionOptions: Hashable, Sendable {
  package var strides: [Int]
  /// Steps between neighbouring cells of the kernel.
  package var dilation: [Int]
  /// Zeros at the beginning and at the end of each axis.
  package var before: [Int]
  package var after: [Int]
  /// Channels and results are cut into so many parts, each with kernels of its own.
  package var groups: Int
  /// A third input of shape [results] is added; forward only.
  package var bias = false
  /// The result is max(0, …); forward only.
  package var relu = false
  /// The operands are bfloat16, sums and result float32.
  package var isMixed = false

  package init(
    strides: [Int], dilation: [Int]? = nil, before: [Int]? = nil, after: [Int]? = nil, groups: Int = 1
  ) {
    let axes = strides.count
    self.strides = strides
    self.dilation = dilation ?? Array(repeating: 1, count: axes)
    self.before = before ?? Array(repeating: 0, count: axes)
    self.after = after ?? Array(repeating: 0, count: axes)
    self.groups = groups
  }

  package init(axes: Int) { self.init(strides: Array(repeating: 1, count: axes)) }

  func with(bias: Bool = false, relu: Bool = false) -> ConvolutionOptions {
    var options = self
    options.bias = bias
    options.relu = relu
    return options
  }

  var axes: Int { strides.count }
  private var isPlain: Bool { !bias && !relu }

  // MARK: Shapes

  /// Spatial sizes of the results for images of `spatial` sizes.
  package func results(of spatial: [Int], size: [Int], in name: String = "convolution") throws(OperationError)
    -> [Int]
  {
    var results: [Int] = []
    for axis in spatial.indices {
      let reach = (size[axis] - 1) * dilation[axis] + 1
      let length = spatial[axis] + before[axis] + after[axis]
      guard size[axis] > 0, reach <= length else {
        let padding = length == spatial[axis] ? "" : " with \(length - spatial[axis]) of padding"
        let dilated = dilation[axis] == 1 ? "" : ", dilated by \(dilation[axis]),"
        throw OperationError(
          "\(name): a kernel of \(size)\(dilated) is larger than images of \(spatial)\(padding)")
      }
      results.append((length - reach) / strides[axis] + 1)
    }
    return results
  }

  private func check(_ type: TensorType, _ what: String, in name: String) throws(OperationError) {
    guard type.shape.rank == axes + 2 else {
      let expected =
        what == "kernel"
        ? "[\(axes) spatial axes, channels, results]" : "[batch, \(axes) spatial axes, channels]"
      throw OperationError("\(name): expected \(what) of \(expected), got \(type)")
    }
    guard type.dtype.isFloatingPoint else {
      throw OperationError("\(name): expected floating-point \(what), got \(type)")
    }
  }

  private func spatial(_ shape: Shape) -> [Int] { Array(shape.dimensions[1...axes]) }

  /// What `images`, `kernel` and `results` are, when they fit each other.
  private func inferForward(_ types: [TensorType]) throws(OperationError) -> TensorType {
    let name = "convolution"
    try check(types[0], "images", in: name)
    try check(types[1], "kernel", in: name)
    let dtype = try productDType(broadcastDType(Array(types[..<2]), in: name), isMixed: isMixed, in: name)
    let (channels, perGroup, results) = (types[0].shape[-1], types[1].shape[-2], types[1].shape[-1])
    guard channels == perGroup * groups, results % groups == 0 else {
      let parts = groups == 1 ? "" : " in \(groups) groups"
      throw OperationError(
        "\(name): images of \(types[0].shape) have \(channels) channels, the kernel \(types[1].shape) takes "
          + "\(perGroup * groups)\(parts)")
    }
    if bias, types[2].shape != [results] {
      throw OperationError("\(name): expected a bias of shape [\(results)], got \(types[2].shape)")
    }
    let size = Array(types[1].shape.dimensions[..<axes])
    let sizes = try self.results(of: spatial(types[0].shape), size: size, in: name)
    return TensorType(Shape([types[0].shape[0]] + sizes + [results]), dtype)
  }

  private func inferImages(_ types: [TensorType], _ input: [Int]) throws(OperationError) -> TensorType {
    let name = "transposed convolution"
    try check(types[0], "images", in: name)
    try check(types[1], "kernel", in: name)
    let dtype = try productDType(broadcastDType(types, in: name), isMixed: isMixed, in: name)
    guard types[0].shape[-1] == types[1].shape[-1] else {
      throw OperationError(
        "\(name): images of \(types[0].shape) have \(types[0].shape[-1]) channels, the kernel \(types[1].shape) takes "
          + "\(types[1].shape[-1])")
    }
    let size = Array(types[1].shape.dimensions[..<axes])
    let expected = try results(of: input, size: size, in: name)
    guard spatial(types[0].shape) == expected else {
      throw OperationError("\(name): images of \(input) come from \(expected), got \(types[0].shape)")
    }
    return TensorType(Shape([types[0].shape[0]] + input + [types[1].shape[-2] * groups]), dtype)
  }

  private func inferKernel(_ types: [TensorType], _ size: [Int]) throws(OperationError) -> TensorType {
    let name = "convolution's kernel gradient"
    try check(types[0], "images", in: name)
    try check(types[1], "gradients", in: name)
    let dtype = try productDType(broadcastDType(types, in: name), isMixed: isMixed, in: name)
    let expected = try results(of: spatial(types[0].shape), size: size, in: name)
    guard types[0].shape[0] == types[1].shape[0], spatial(types[1].shape) == expected,
      types[0].shape[-1] % groups == 0, types[1].shape[-1] % groups == 0
    else {
      throw OperationError(
        "\(name): gradients of \(types[1].shape) don't belong to images of \(types[0].shape)")
    }
    return TensorType(Shape(size + [types[0].shape[-1] / groups, types[1].shape[-1]]), dtype)
  }

  // MARK: Rules

  fileprivate var forwardRule: Rule {
    let plain = with()
    var rule = Rule(
      "convolution", infer: { types throws(OperationError) in [try inferForward(types)] },
      value: isPlain
        ? reference { inputs, outputs in reference(.forward, inputs[0], inputs[1], outputs[0]) }
        : .composed { inputs in [composed(inputs)] },
      kernel: { inputs, outputs, scratch in
        kernel(.forward, inputs[0], inputs[1], outputs[0], bias: bias ? inputs[2] : nil, scratch)
      },
      gradient: isPlain
        ? .ofInputs(keeping: [0, 1]) { context in
          let (g, images, kernel) = (operand(context.gradient), context.input(0), context.input(1))
          return [
            context.wanted[0] ? g.convolutionImages(kernel, plain, input: spatial(images.shape)) : nil,
            context.wanted[1]
              ? images.convolutionKernel(g, plain, size: Array(kernel.shape.dimensions[..<axes])) : nil,
          ]
        } : .composed,
      onnx: "Conv")
    rule.scratch = { scratchBytes(.forward, $0[0], $0[1]) }
    rule.takesHalf = isMixed
    rule.flops = { inputs, outputs in flops(kernel: inputs[1], results: outputs[0]) }
    return rule
  }

  private func composed(_ inputs: [Tensor]) -> Tensor {
    var result: Tensor = apply(.convolution(.forward(with())), inputs[0], inputs[1])
    if bias { result = result + inputs[2] }
    return relu ? result.relu() : result
  }

  fileprivate func imagesRule(_ input: [Int]) -> Rule {
    var rule = Rule(
      "transposedConvolution", infer: { types throws(OperationError) in [try inferImages(types, input)] },
      value: reference { inputs, outputs in reference(.images, outputs[0], inputs[1], inputs[0]) },
      kernel: { inputs, outputs, scratch in kernel(.images, outputs[0], inputs[1], inputs[0], scratch) },
      gradient: .ofInputs(keeping: [0, 1]) { context in
        let (h, results, kernel) = (operand(context.gradient), context.input(0), context.input(1))
        return [
          context.wanted[0] ? apply(.convolution(.forward(self)), h, kernel) : nil,
          context.wanted[1]
            ? h.convolutionKernel(results, self, size: Array(kernel.shape.dimensions[..<axes])) : nil,
        ]
      },
      onnx: "ConvTranspose")
    rule.scratch = { types in
      guard let result = try? inferImages(types, input) else { return 0 }
      return scratchBytes(.images, result, types[1])
    }
    rule.flops = { inputs, _ in flops(kernel: inputs[1], results: inputs[0]) }
    rule.takesHalf = isMixed
    return rule
  }

  fileprivate func kernelRule(_ size: [Int]) -> Rule {
    var rule = Rule(
      "convolutionKernelGradient", infer: { types throws(OperationError) in [try inferKernel(types, size)] },
      value: reference { inputs, outputs in reference(.kernel, inputs[0], outputs[0], inputs[1]) },
      kernel: { inputs, outputs, scratch in kernel(.kernel, inputs[0], outputs[0], inputs[1], scratch) },
      gradient: .ofInputs(keeping: [0, 1]) { context in
        let (v, images, results) = (operand(context.gradient), context.input(0), context.input(1))
        return [
          context.wanted[0] ? results.convolutionImages(v, self, input: spatial(images.shape)) : nil,
          context.wanted[1] ? apply(.convolution(.forward(self)), images, v) : nil,
        ]
      })
    rule.scratch = { types in
      guard let result = try? inferKernel(types, size) else { return 0 }
      return scratchBytes(.kernel, types[0], result)
    }
    rule.flops = { inputs, outputs in flops(kernel: outputs[0], results: inputs[1]) }
    rule.takesHalf = isMixed
    return rule
  }

  /// A gradient as an operand of the next convolution.
  private func operand(_ gradient: Tensor) -> Tensor { isMixed ? gradient.cast(to: .bfloat16) : gradient }

  private func reference(_ compute: @escaping @Sendable (_ inputs: [Buffer], _ outputs: [Buffer]) -> Void)
    -> Rule.Value
  {
    guard isMixed else { return .reference(compute) }
    return .reference { inputs, outputs in withWidened(inputs) { compute($0, outputs) } }
  }

  private func flops(kernel: TensorType, results: TensorType) -> Int {
    2 * results.shape.elementCount * kernel.shape.dimensions.dropLast().reduce(1, *)
  }
}

extension Tensor {
  fileprivate func convolutionImages(_ kernel: Tensor, _ options: ConvolutionOptions, input: [Int]) -> Tensor
  {
    apply(.convolution(.images(options, input: input)), self, kernel)
  }

  fileprivate func convolutionKernel(_ results: Tensor, _ options: ConvolutionOptions, size: [Int]) -> Tensor
  {
    apply(.convolution(.kernel(options, size: size)), self, results)
  }
}
