import OneDNN

/// What matrix products and convolutions read of their float32 operands.
public enum ProductPrecision: Hashable, Sendable {
  /// Everything.
  case full
  /// Each number rounded to bfloat16 (8 bits of precision, float32's range); sums are made in float32, and so are the
  /// results. With instructions for it (AVX512_BF16, AMX) products run twice as fast; on other processors this is
  /// ``full``.
  case bfloat16

  /// Whether this processor multiplies bfloat16 faster than float32.
  public static let hasFastBFloat16 = OneDNN.Engine.multipliesBFloat16

  /// What holds for products made now, on this task.
  @TaskLocal package static var current = ProductPrecision.full
}

/// Products and convolutions of float32 tensors in `body`, and those of their gradients, read their operands in
/// `precision`. Everything else stays as it is.
///
/// ```swift
/// let y = withProducts(in: .bfloat16) { x.matmul(w) }      // float32
/// ```
public func withProducts<Result>(
  in precision: ProductPrecision, _ body: () throws -> Result
) rethrows -> Result {
  if precision == ProductPrecision.current { return try body() }
  return try ProductPrecision.$current.withValue(precision, operation: body)
}

extension Tensor {
  /// Both operands of a product as it is to read them. `isMixed`: they are bfloat16, and their product is float32.
  static func factors(_ a: Tensor, _ b: Tensor) -> (a: Tensor, b: Tensor, isMixed: Bool) {
    let (a, b) = promoted(a, b)
    guard ProductPrecision.current == .bfloat16, ProductPrecision.hasFastBFloat16, a.dtype == .float32 else {
      return (a, b, false)
    }
    return (a.cast(to: .bfloat16), b.cast(to: .bfloat16), true)
  }
}

/// The dtype of a product of operands of `dtype`.
///
/// - Parameter isMixed: the operands are bfloat16, the product is float32.
func productDType(_ dtype: DType, isMixed: Bool, in name: String) throws(OperationError) -> DType {
  guard isMixed else { return dtype }
  guard dtype == .bfloat16 else { throw OperationError("\(name): expected bfloat16 operands, got \(dtype)") }
  return .float32
}

/// `body` with the elements of bfloat16 buffers as float32.
func withWidened(_ buffers: [Buffer], _ body: ([Buffer]) -> Void) {
  let wide = buffers.map { Tensor.widened($0) }
  withExtendedLifetime(wide) {
    body(zip(wide, buffers).map { Buffer($0.bytes, TensorType($1.shape, .float32)) })
  }
}

extension Tensor {
  fileprivate static func widened(_ buffer: Buffer) -> Storage {
    let type = TensorType(buffer.shape, .float32)
    let storage = Storage(byteCount: type.byteCount)
    ConversionOperation.copy(buffer, Buffer(storage.bytes, type))
    return storage
  }
}
