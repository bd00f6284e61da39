import CKernels

/// Our own kernel of forward convolutions, for images of a few channels (CKernels/convolution.h).
struct FewChannelsConvolution {
  private var arguments = ck_convolution()

  /// The most channels, and elements of the kernel for each result. One core of a Xeon, oneDNN 2.6's and ours, µs (least
  /// of 200): 128 × 28×28×1, 3×3 to 32: 979, 652; 128 × 32×32×3, 3×3 to 16: 1265, 1092; 64 × 28×28×1, 5×5 to 6:
  /// 786, 371; but 224×224×3, 7×7 to 64: 1472, 1677.
  private static let channels = 4
  private static let elements = 80

  /// nil for what it doesn't take or where oneDNN's is quicker.
  init?(_ options: ConvolutionOptions, images: TensorType, kernel: TensorType) {
    guard images.dtype == .float32, kernel.dtype == .float32, options.axes <= 2, options.groups == 1,
      images.shape[-1] <= Self.channels, images.shape.elementCount > 0, kernel.shape.elementCount > 0,
      options.dilation.allSatisfy({ $0 == 1 })
    else { return nil }
    let size = Array(kernel.shape.dimensions[..<options.axes])
    guard size.reduce(images.shape[-1], *) <= Self.elements else { return nil }
    let spatial = Array(images.shape.dimensions[1...options.axes])
    guard let results = try? options.results(of: spatial, size: size) else { return nil }
    /// As two axes, of which the first may be 1 (of padding: 0).
    func two(_ numbers: [Int], _ fill: Int = 1) -> (Int64, Int64) {
      (numbers.count == 2 ? Int64(numbers[0]) : Int64(fill), Int64(numbers.last!))
    }
    let before = two(options.before, 0)
    let after = two(options.after, 0)
    arguments.batch = Int64(images.shape[0])
    (arguments.height, arguments.width) = two(spatial)
    arguments.channels = Int64(images.shape[-1])
    arguments.padded_height = arguments.height + before.0 + after.0
    arguments.padded_width = arguments.width + before.1 + after.1
    (arguments.pad_top, arguments.pad_left) = before
    (arguments.kernel_height, arguments.kernel_width) = two(size)
    (arguments.stride_y, arguments.stride_x) = two(options.strides)
    (arguments.out_height, arguments.out_width) = two(results)
    // Rows are shared between threads, and those of one result are kept with their border on the stack: long signals
    // aren't for this.
    guard arguments.batch * arguments.out_height >= 8,
      arguments.kernel_height * arguments.padded_width * arguments.channels <= CK_CONVOLUTION_BORDER
    else { return nil }
    arguments.outputs = Int64(kernel.shape[-1])
    arguments.relu = options.relu
  }

  var scratchBytes: Int {
    Int(
      ck_convolution_scratch_bytes(arguments.kernel_height * arguments.kernel_width * arguments.channels))
  }

  func kernel(
    _ images: Buffer, _ kernel: Buffer, _ results: Buffer, bias: Buffer?, _ scratch: UnsafeMutableRawPointer?
  ) -> BoundKernel {
    var arguments = arguments
    arguments.src = images.floats
    arguments.weights = kernel.floats
    arguments.bias = bias?.floats
    arguments.dst = results.mutableFloats
    arguments.packed = scratch?.assumingMemoryBound(to: Float.self)
    return BoundKernel("few channels", arguments, run: ck_convolution_run)
  }
}
