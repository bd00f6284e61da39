import CKernels

/// The type of a tensor's elements.
public enum DType: String, Sendable, Hashable, Codable, CaseIterable, CustomStringConvertible {
  case float32, float64, bfloat16, float16
  case int8, int16, int32, int64, uint8
  case bool

  public var description: String { rawValue }

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .int8, .uint8, .bool: 1
    case .bfloat16, .float16, .int16: 2
    case .float32, .int32: 4
    case .float64, .int64: 8
    }
  }

  public var isFloatingPoint: Bool {
    switch self {
    case .float32, .float64, .bfloat16, .float16: true
    default: false
    }
  }

  /// Whole numbers; `bool` is not one.
  public var isInteger: Bool { !isFloatingPoint && self != .bool }

  /// Stored in two bytes and computed in float32.
  public var isHalf: Bool { self == .bfloat16 || self == .float16 }

  /// The dtype that holds both operands of `a + b`: bool < integers < floats, the wider of two alike, and a float of
  /// any width before every integer (JAX's and Keras' rule: int32 and bfloat16 give bfloat16).
  public static func promoted(_ a: DType, _ b: DType) -> DType {
    if a == b { return a }
    let (low, high) = a.rank < b.rank ? (a, b) : (b, a)
    if low.isHalf, high.isHalf { return .float32 }
    if low == .int8, high == .uint8 { return .int16 }
    return high
  }

  private var rank: Int {
    switch self {
    case .bool: 0
    case .int8: 1
    case .uint8: 2
    case .int16: 3
    case .int32: 4
    case .int64: 5
    case .float16: 6
    case .bfloat16: 7
    case .float32: 8
    case .float64: 9
    }
  }

  /// What the C kernels call it.
  package var kernelCode: Int32 {
    let code: ck_dtype =
      switch self {
      case .float32: CK_F32
      case .float64: CK_F64
      case .bfloat16: CK_BF16
      case .float16: CK_F16
      case .int8: CK_I8
      case .int16: CK_I16
      case .int32: CK_I32
      case .int64: CK_I64
      case .uint8: CK_U8
      case .bool: CK_BOOL
      }
    return Int32(code.rawValue)
  }
}

/// A Swift type whose values are elements of tensors of one dtype.
public protocol TensorElement: Sendable {
  static var dtype: DType { get }
}

extension Float: TensorElement { public static var dtype: DType { .float32 } }
extension Double: TensorElement { public static var dtype: DType { .float64 } }
extension Int8: TensorElement { public static var dtype: DType { .int8 } }
extension Int16: TensorElement { public static var dtype: DType { .int16 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension Int64: TensorElement { public static var dtype: DType { .int64 } }
extension Int: TensorElement { public static var dtype: DType { .int64 } }
extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }
extension Bool: TensorElement { public static var dtype: DType { .bool } }
