import CKernels
import OneDNN

/// Our own kernel of 3 × 3 convolutions with a stride of 1, forward and back to the images (CKernels/winograd.h). It takes
/// fewer multiplications than the convolution has; its results' rounding differs from a plain sum's by as little.
struct WinogradConvolution {
  private var arguments = ck_winograd()

  /// One core of a Xeon, oneDNN 2.6's and ours, µs (least of 40), 64 images: 32×32, 16 channels to 16: 2005, 1862; 16 to 32:
  /// 3800, 3104; 16×16, 32 to 32: 1730, 1365; 8×8, 64 to 64: 1568, 1084; 7×7, 128 to 128: 4733, 3812. One image of 13×13,
  /// 32 to 64: 27, 19.
  ///
  /// nil for what it doesn't take or where oneDNN's is as quick.
  init?(
    _ kind: ConvolutionOperation.Kind, _ options: ConvolutionOptions, images: TensorType, kernel: TensorType
  ) {
    guard kind != .kernel, images.dtype == .float32, kernel.dtype == .float32, !options.isMixed,
      options.axes == 2, options.groups == 1, kernel.shape.dimensions[..<2] == [3, 3],
      options.strides == [1, 1], options.dilation == [1, 1],
      let results = try? options.results(of: Array(images.shape.dimensions[1...2]), size: [3, 3])
    else { return nil }
    let isForward = kind == .forward
    let (from, to) =
      isForward ? (kernel.shape[2], kernel.shape[3]) : (kernel.shape[3], kernel.shape[2])
    let inner = isForward ? Array(images.shape.dimensions[1...2]) : results
    let outer = isForward ? results : Array(images.shape.dimensions[1...2])
    let multiple = Int(CK_WINOGRAD_MULTIPLE)
    guard from > 0, to > 0, from % multiple == 0, to % multiple == 0, from <= Int(CK_WINOGRAD_CHANNELS)
    else { return nil }
    // Windows of two by two results, some of which may lie outside; few don't repay bringing the kernel into form.
    let windows = (outer[0] + 1) / 2 * ((outer[1] + 1) / 2)
    guard windows * images.shape[0] >= 16, windows * 20 <= outer[0] * outer[1] * 9 else { return nil }
    arguments.batch = Int64(images.shape[0])
    (arguments.height, arguments.width) = (Int64(inner[0]), Int64(inner[1]))
    (arguments.out_height, arguments.out_width) = (Int64(outer[0]), Int64(outer[1]))
    (arguments.channels, arguments.outputs) = (Int64(from), Int64(to))
    // Back to the images the kernel is turned by half a circle, and reaches as far out as it reached in.
    let before = isForward ? options.before : options.before.map { 2 - $0 }
    (arguments.pad_top, arguments.pad_left) = (Int64(before[0]), Int64(before[1]))
    arguments.turned = !isForward
    arguments.relu = options.relu
  }

  /// The kernel as it is multiplied.
  var scratchBytes: Int { 16 * Int(arguments.channels * arguments.outputs) * MemoryLayout<Float>.size }

  func kernel(
    from source: Buffer, _ weights: Buffer, to results: Buffer, bias: Buffer?,
    _ scratch: UnsafeMutableRawPointer?
  ) -> BoundKernel {
    var arguments = arguments
    arguments.src = source.floats
    arguments.weights = weights.floats
    arguments.bias = bias?.floats
    arguments.dst = results.mutableFloats
    let lasting = weights.isLasting ? LastingMemory(scratchBytes) : nil
    arguments.transformed = (lasting?.bytes ?? scratch!).assumingMemoryBound(to: Float.self)
    arguments.prepared = lasting != nil
    var bound = BoundKernel("winograd", arguments, keeping: lasting, run: ck_winograd_run)
    if lasting != nil {
      bound.preparation = ck_call(run: ck_winograd_prepare, context: bound.call.context)
    }
    return bound
  }
}
