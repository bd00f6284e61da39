import BackpropTensors
import Synchronization

/// What a layer keeps its weights in, and what it computes in.
///
/// ```swift
/// Dense(64, dtype: .float64)
/// DTypePolicy.default = .float64        // every layer, loss, metric and optimizer made from here on
/// ```
///
/// Inputs of a floating-point dtype are cast to ``computeDType`` when a layer is called; whole numbers stay as they are.
/// Keras' `DTypePolicy`, and its `floatx` and global policy in one.
public struct DTypePolicy: Hashable, Sendable, CustomStringConvertible {
  /// Keras' name: `float64`, `mixed_bfloat16`.
  public let name: String
  public let computeDType: DType
  public let variableDType: DType
  /// What matrix products and convolutions read of their operands.
  public private(set) var products = ProductPrecision.full

  /// One dtype for both.
  public init(_ dtype: DType) {
    name = dtype.rawValue
    computeDType = dtype
    variableDType = dtype
  }

  /// Weights in float32, products of numbers of half the size.
  private init(mixed dtype: DType) {
    name = "mixed_\(dtype.rawValue)"
    computeDType = .float32
    variableDType = .float32
    if dtype == .bfloat16 { products = .bfloat16 }
  }

  private static let mixed = [DTypePolicy(mixed: .bfloat16), DTypePolicy(mixed: .float16)]

  /// By Keras' name.
  ///
  /// - Throws: ``ModelError`` with the nearest name when there is none.
  public init(named name: String) throws {
    let known = DType.allCases.map { DTypePolicy($0) } + Self.mixed
    guard let found = known.first(where: { $0.name == name }) else {
      throw ModelError.unknown("dtype policy", name, among: known.map(\.name))
    }
    self = found
  }

  public static let float32 = DTypePolicy(.float32)
  public static let float64 = DTypePolicy(.float64)
  public static let bfloat16 = DTypePolicy(.bfloat16)
  public static let float16 = DTypePolicy(.float16)
  public static let int64 = DTypePolicy(.int64)
  /// float32 weights, matrix products and convolutions of numbers rounded to bfloat16, about twice as fast; what lies
  /// between them is float32 (Keras computes that in bfloat16 too), so losses need no scaling. On processors without
  /// instructions for bfloat16 the same as ``float32``.
  public static let mixedBFloat16 = mixed[0]
  /// For files that name it: computed in float32, since processors don't multiply float16 faster.
  public static let mixedFloat16 = mixed[1]

  public var description: String { name }
}

// MARK: - The default

extension DTypePolicy {
  private static let chosen = Mutex<DTypePolicy>(.float32)
  @TaskLocal private static var scoped: DTypePolicy?

  /// The policy of layers that aren't given one; float32 unless it is set. Keras' `set_dtype_policy` and `set_floatx`.
  public static var `default`: DTypePolicy {
    get { scoped ?? chosen.withLock { $0 } }
    set { chosen.withLock { $0 = newValue } }
  }

  /// The same for what `body` makes, in this task alone.
  public static func withDefault<Result>(_ policy: DTypePolicy, _ body: () throws -> Result) rethrows
    -> Result
  {
    try $scoped.withValue(policy, operation: body)
  }

  /// What inputs, losses, metrics and optimizers hold under the default policy: float64 under `float64`, float32 otherwise.
  static var floatx: DType { DTypePolicy.default.variableDType == .float64 ? .float64 : .float32 }
}

// MARK: - Inputs

extension DTypePolicy {
  /// An input as the layer computes with it; its mask stays.
  func cast(_ input: Tensor) -> Tensor {
    guard input.dtype != computeDType, input.dtype.isFloatingPoint, computeDType.isFloatingPoint else {
      return input
    }
    var result = input.cast(to: computeDType)
    result.mask = input.mask
    return result
  }
}

// MARK: - Files

extension DTypePolicy: Codable {
  /// From the value of Keras' key `dtype`: a name, the object that Keras writes since 3.4, or nothing; nil for anything
  /// else.
  ///
  /// - Throws: ``ModelError`` for a name that there isn't.
  package init?(_ value: ConfigValue?) throws {
    var name = value ?? .null
    if case .object(let policy) = name, case .object(let inner)? = policy["config"] {
      name = inner["name"] ?? .null
    }
    if name == .null {
      self = .default
      return
    }
    guard let text = name.text else { return nil }
    try self.init(named: text)
  }

  public init(from decoder: Decoder) throws {
    let value = try ConfigValue(from: decoder)
    guard let policy = try DTypePolicy(value) else {
      throw ModelError(.argument, "expected a dtype policy such as float32, found \(value.kindName)")
    }
    self = policy
  }

  /// As a plain name, which every release of Keras 3 reads.
  public func encode(to encoder: Encoder) throws { try name.encode(to: encoder) }
}
