import CKernels
import OneDNN

extension ConvolutionOptions {
  func description(
    _ kind: ConvolutionOperation.Kind, images: Shape, kernel: Shape
  ) -> Convolution.Description? {
    let input = Array(images.dimensions[1...axes])
    let size = Array(kernel.dimensions[..<axes])
    guard images.elementCount > 0, kernel.elementCount > 0,
      let output = try? results(of: input, size: size, in: "convolution")
    else { return nil }
    var description = Convolution.Description(
      batch: images[0], input: input, inputChannels: images[-1], output: output, outputChannels: kernel[-1],
      kernel: size, strides: strides, dilation: dilation, paddingBefore: before, paddingAfter: after)
    description.groups = groups
    switch kind {
    case .forward: description.direction = .forward
    case .images: description.direction = .data
    case .kernel: description.direction = .weights
    }
    description.bias = bias
    description.activation = relu ? .relu() : nil
    description.operandType = isMixed ? .bfloat16 : .float32
    return description
  }

  private func primitive(
    _ kind: ConvolutionOperation.Kind, images: TensorType, kernel: TensorType
  ) -> Convolution? {
    let types = [images.dtype, kernel.dtype]
    guard types.allSatisfy({ $0 == .float32 || (isMixed && $0 == .bfloat16) }),
      let description = description(kind, images: images.shape, kernel: kernel.shape)
    else { return nil }
    return try? Convolution.primitive(for: description, threads: Int(ck_thread_count()))
  }

  func scratchBytes(_ kind: ConvolutionOperation.Kind, _ images: TensorType, _ kernel: TensorType) -> Int {
    if kind == .forward, let own = FewChannelsConvolution(self, images: images, kernel: kernel) {
      return own.scratchBytes
    }
    if let own = WinogradConvolution(kind, self, images: images, kernel: kernel) { return own.scratchBytes }
    return primitive(kind, images: images, kernel: kernel)?.scratchpadSize ?? 0
  }

  /// Ours for images of a few channels and for kernels of 3 × 3, oneDNN's for others; nil for what none takes.
  func kernel(
    _ kind: ConvolutionOperation.Kind, _ images: Buffer, _ kernel: Buffer, _ results: Buffer,
    bias: Buffer? = nil,
    _ scratch: UnsafeMutableRawPointer?
  ) -> BoundKernel? {
    if kind == .forward, let own = FewChannelsConvolution(self, images: images.type, kernel: kernel.type) {
      return own.kernel(images, kernel, results, bias: bias, scratch)
    }
    if let own = WinogradConvolution(kind, self, images: images.type, kernel: kernel.type) {
      let (source, target) = kind == .forward ? (images, results) : (results, images)
      return own.kernel(from: source, kernel, to: target, bias: bias, scratch)
    }
    guard let convolution = primitive(kind, images: images.type, kernel: kernel.type),
      let execution = try? ConvolutionExecution(
        convolution, source: images.bytes, weights: kernel.bytes, bias: bias?.bytes,
        destination: results.bytes, scratchpad: scratch, weightsLast: kernel.isLasting, failure: .shared)
    else { return nil }
    var bound = BoundKernel(
      call: ck_call(run: execution.run, context: execution.context), owner: execution,
      implementation: convolution.implementation)
    bound.preparation = execution.preparation.map { ck_call(run: $0.run, context: $0.context) }
    return bound
  }

  // MARK: Reference

  /// Any of the three, into the one of `images`, `kernel` and `results` that `kind` names.
  func reference(_ kind: ConvolutionOperation.Kind, _ images: Buffer, _ kernel: Buffer, _ results: Buffer) {
    switch results.dtype {
    case .float32: reference(kind, images, kernel, results, Float.self)
    case .float64: reference(kind, images, kernel, results, Double.self)
    default: break
    }
  }

  private func reference<T: Real>(
    _ kind: ConvolutionOperation.Kind, _ images: Buffer, _ kernel: Buffer, _ results: Buffer, _: T.Type
  ) {
    let (x, w, y) = (
      images.elements(as: T.self), kernel.elements(as: T.self), results.elements(as: T.self)
    )
    switch kind {
    case .forward: y.update(repeating: 0)
    case .images: x.update(repeating: 0)
    case .kernel: w.update(repeating: 0)
    }
    guard x.count > 0, y.count > 0, w.count > 0 else { return }
    let (channels, outputs) = (kernel.shape[-2], kernel.shape[-1])
    let groupOutputs = outputs / groups
    forEachPair(images.shape, kernel.shape, results.shape) { image, cell, result in
      for group in 0..<groups {
        let target = y.baseAddress! + result + group * groupOutputs
        for channel in 0..<channels {
          let source = x.baseAddress! + image + group * channels + channel
          let weights = w.baseAddress! + cell + channel * outputs + group * groupOutputs
          switch kind {
          case .forward:
            let factor = source.pointee
            for output in 0..<groupOutputs { target[output] += factor * weights[output] }
          case .images:
            var sum = T(0)
            for output in 0..<groupOutputs { sum += target[output] * weights[output] }
            source.pointee += sum
          case .kernel:
            let factor = source.pointee
            for output in 0..<groupOutputs { weights[output] += factor * target[output] }
          }
        }
      }
    }
  }

  /// Calls `body` for each position of the results and each cell of the kernel that lies on the image, with the offsets
  /// of their channels.
  @inline(__always)
  private func forEachPair(
    _ images: Shape, _ kernel: Shape, _ results: Shape,
    _ body: (_ image: Int, _ cell: Int, _ result: Int) -> Void
  ) {
    /// As three axes, of which the first ones may be 1.
    func three(_ numbers: [Int], _ fill: Int) -> [Int] { Array(repeating: fill, count: 3 - axes) + numbers }
    let input = three(Array(images.dimensions[1...axes]), 1)
    let size = three(Array(kernel.dimensions[..<axes]), 1)
    let output = three(Array(results.dimensions[1...axes]), 1)
    let (strides, dilation, before) = (three(strides, 1), three(dilation, 1), three(before, 0))
    let (channels, outputs, cellSize) = (images[-1], results[-1], kernel[-2] * kernel[-1])
    var result = 0
    for image in 0..<images[0] {
      for a in 0..<output[0] {
        for b in 0..<output[1] {
          for c in 0..<output[2] {
            var cell = 0
            for i in 0..<size[0] {
              let p = a * strides[0] + i * dilation[0] - before[0]
              for j in 0..<size[1] {
                let q = b * strides[1] + j * dilation[1] - before[1]
                for k in 0..<size[2] {
                  let r = c * strides[2] + k * dilation[2] - before[2]
                  if p >= 0, p < input[0], q >= 0, q < input[1], r >= 0, r < input[2] {
                    body((((image * input[0] + p) * input[1] + q) * input[2] + r) * channels, cell, result)
                  }
                  cell += cellSize
                }
              }
            }
            result += outputs
          }
        }
      }
    }
  }
}
