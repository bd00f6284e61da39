import CKernels
import OneDNN

/// A convolution with the max pooling of its result, or the kernel's gradient from the pooled result's, a few images at a
/// time: what lies between, four times as large as the pooled result or more, never gets to memory.
///
/// Made by the compiler, never by a method. MNIST's convnet, batch 128: the first layer's result is 11 MB, written, read,
/// written and read again in each step.
package enum PooledConvolution: OperationFamily {
  /// Images, kernel (and bias) to what ``PoolingOperation/max`` gives.
  case forward(ConvolutionOptions, MaxPooling)
  /// Images, the pooled result's gradient and the numbers of the largest to the gradient of a kernel of these spatial
  /// sizes; `results` are the spatial sizes between.
  case kernel(ConvolutionOptions, PoolingWindows, results: [Int], size: [Int])

  package var operation: Operation { .pooledConvolution(self) }

  /// The two operations that this does, first to last.
  private var parts: (Operation, Operation) {
    switch self {
    case .forward(let options, let pooling): (.convolution(.forward(options)), .pooling(.max(pooling)))
    case .kernel(let options, let windows, let results, let size):
      (.pooling(.maxGradient(windows, input: results)), .convolution(.kernel(options, size: size)))
    }
  }

  package var rule: Rule {
    var rule = Rule(
      "\(parts.0.rule.name) then \(parts.1.rule.name)",
      infer: { types throws(OperationError) in try infer(types) },
      value: .composed { inputs in composed(inputs) },
      kernel: { inputs, outputs, scratch in kernel(inputs, outputs, scratch) })
    rule.scratch = { types in (try? chunked(types))?.scratchpadSize ?? 0 }
    rule.flops = { inputs, outputs in
      guard let between = try? between(inputs) else { return 0 }
      switch self {
      case .forward: return parts.0.rule.flops!(inputs, [between]) + parts.1.rule.flops!([between], outputs)
      case .kernel:
        return parts.0.rule.flops!(Array(inputs[1...]), [between])
          + parts.1.rule.flops!([inputs[0], between], outputs)
      }
    }
    return rule
  }

  /// The type of what isn't stored.
  private func between(_ types: [TensorType]) throws(OperationError) -> TensorType {
    switch self {
    case .forward: try parts.0.infer(types)[0]
    case .kernel: try parts.0.infer(Array(types[1...]))[0]
    }
  }

  private func infer(_ types: [TensorType]) throws(OperationError) -> [TensorType] {
    let between = try between(types)
    switch self {
    case .forward: return try parts.1.infer([between])
    case .kernel: return try parts.1.infer([types[0], between])
    }
  }

  private func composed(_ inputs: [Tensor]) -> [Tensor] {
    switch self {
    case .forward: return apply(parts.1, apply(parts.0, inputs))
    case .kernel: return apply(parts.1, [inputs[0]] + apply(parts.0, Array(inputs[1...])))
    }
  }

  // MARK: Kernel

  /// Whether it is worth it: a result that no second-level cache holds, of images enough for all threads.
  static func isWorthwhile(_ between: TensorType) -> Bool {
    between.dtype == .float32 && between.byteCount >= 2 << 20 && between.shape[0] >= 16
  }

  /// Whether oneDNN takes the convolution.
  func isPossible(_ types: [TensorType]) -> Bool { (try? chunked(types)) != nil }

  private func chunked(_ types: [TensorType]) throws -> ChunkedConvolution {
    let description: Convolution.Description?
    switch self {
    case .forward(let options, _):
      description = options.description(.forward, images: types[0].shape, kernel: types[1].shape)
    case .kernel(let options, _, _, _):
      description = options.description(.kernel, images: types[0].shape, kernel: try infer(types)[0].shape)
    }
    guard let description, types[0].dtype == .float32 else {
      throw OperationError("\(rule.name): nothing to do")
    }
    return try ChunkedConvolution.primitive(for: description, threads: Int(ck_thread_count()))
  }

  private func kernel(_ inputs: [Buffer], _ outputs: [Buffer], _ scratch: UnsafeMutableRawPointer?)
    -> BoundKernel?
  {
    guard let scratch, let chunked = try? chunked(inputs.map(\.type)),
      let between = try? between(inputs.map(\.type))
    else { return nil }
    let sequence: ExecutionSequence?
    switch self {
    case .forward(let options, let pooling):
      sequence = try? chunked.bind(
        source: inputs[0].bytes, weights: inputs[1].bytes, bias: options.bias ? inputs[2].bytes : nil,
        scratchpad: scratch, failure: .shared
      ) { images, results in
        let kernel = pooling.kernel(
          [Buffer(results, between.rows(images.count))], outputs.map { $0.rows(images) })!
        return (kernel.call, kernel.owner)
      }
    case .kernel(_, let windows, let sizes, _):
      sequence = try? chunked.bind(
        source: inputs[0].bytes, weights: outputs[0].bytes, bias: nil, scratchpad: scratch, failure: .shared
      ) { images, results in
        let rule = PoolingOperation.maxGradient(windows, input: sizes).rule
        let pooled = [inputs[1].rows(images), inputs[2].rows(images)]
        let kernel = rule.kernel!(pooled, [Buffer(results, between.rows(images.count))], nil)!
        return (kernel.call, kernel.owner)
      }
    }
    guard let sequence else { return nil }
    return BoundKernel(
      call: ck_call(run: sequence.run, context: sequence.context), owner: sequence,
      implementation: chunked.implementation)
  }
}

extension TensorType {
  /// The same with another number of rows.
  fileprivate func rows(_ count: Int) -> TensorType {
    TensorType(Shape([count] + shape.dimensions.dropFirst()), dtype)
  }
}

extension Buffer {
  /// Some rows of the first axis, where they lie.
  fileprivate func rows(_ range: Range<Int>) -> Buffer {
    let row = type.byteCount / max(shape[0], 1)
    return Buffer(bytes + range.lowerBound * row, type.rows(range.count))
  }
}
