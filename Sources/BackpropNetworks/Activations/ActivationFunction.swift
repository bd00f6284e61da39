import BackpropTensors

/// A function between layers: one of Keras' 32 by name, or a closure of the user's.
///
/// ```swift
/// Dense(64, activation: .relu)
/// Dense(64, activation: "gelu")
/// Dense(64, activation: .elu(alpha: 0.5))
/// Dense(64, activation: ActivationFunction("cube") { x in x * x * x })
/// ```
public struct ActivationFunction: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// Keras' name. May name no function after a string literal: building a layer with it throws then.
  public let name: String
  /// Keras' arguments that differ from its defaults, such as `["alpha": 0.5]`.
  public let arguments: [String: Double]
  private let custom: (@Sendable (Tensor) -> Tensor)?

  /// Whether it is this one of Keras' without arguments, and not a user's of the same name.
  func isExactly(_ kind: ActivationKind) -> Bool {
    custom == nil && arguments.isEmpty && name == kind.rawValue
  }

  init(_ kind: ActivationKind, _ arguments: [String: Double] = [:]) {
    name = kind.rawValue
    self.arguments = arguments
    custom = nil
  }

  /// A function of the user's, told apart from others by its name.
  public init(_ name: String, _ function: @escaping @Sendable (Tensor) -> Tensor) {
    self.name = name
    arguments = [:]
    custom = function
  }

  public init(stringLiteral name: String) {
    self.name = name
    arguments = [:]
    custom = nil
  }

  /// The activation of this name, with Keras' arguments.
  ///
  /// - Throws: ``ModelError`` with the nearest name when there is none.
  public init(named name: String, arguments: [String: Double] = [:]) throws {
    self.name = name
    self.arguments = arguments
    custom = nil
    try check()
  }

  /// All names, in Keras' spelling.
  public static var names: [String] { ActivationKind.allCases.map(\.rawValue) }

  /// - Throws: ``ModelError`` when there is no activation of this name.
  func check(at path: String? = nil) throws {
    guard custom == nil, ActivationKind(rawValue: name) == nil else { return }
    let error = ModelError.unknown("activation", name, among: Self.names)
    throw ModelError(.unknownName, at: path, error.message)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    if let custom { return custom(x) }
    guard let kind = ActivationKind(rawValue: name) else {
      programmerError("\(ModelError.unknown("activation", name, among: Self.names))")
    }
    return kind.value(x.dtype.isFloatingPoint ? x : x.cast(to: .float32), arguments)
  }

  public static func == (a: ActivationFunction, b: ActivationFunction) -> Bool {
    a.name == b.name && a.arguments == b.arguments
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(arguments)
  }

  public var description: String { name }
}

extension ActivationFunction: Codable {
  /// Keras writes an activation as its bare name; files have no place for arguments or closures.
  public init(from decoder: Decoder) throws {
    if let container = try? decoder.singleValueContainer(), container.decodeNil() {
      self = .linear
      return
    }
    let object = try KerasObject(from: decoder)
    // A function in Keras' files: {"class_name": "function", "config": "relu"} has its name in `config`, older ones in
    // the class name.
    try self.init(named: object.className)
  }

  public func encode(to encoder: Encoder) throws {
    guard custom == nil, arguments.isEmpty else {
      let what = custom == nil ? "arguments of activation '\(name)'" : "activation '\(name)', a closure,"
      throw EncodingError.invalidValue(
        self, .init(codingPath: encoder.codingPath, debugDescription: "\(what) can't be written to a file"))
    }
    var container = encoder.singleValueContainer()
    try container.encode(name)
  }
}

extension ActivationFunction {
  public static let linear = ActivationFunction(.linear)
  /// max(x, 0)
  public static let relu = ActivationFunction(.relu)
  public static let relu6 = ActivationFunction(.relu6)
  public static let leakyRelu = ActivationFunction(.leakyRelu)
  public static let elu = ActivationFunction(.elu)
  public static let celu = ActivationFunction(.celu)
  public static let selu = ActivationFunction(.selu)
  public static let gelu = ActivationFunction(.gelu)
  public static let glu = ActivationFunction(.glu)
  public static let silu = ActivationFunction(.silu)
  public static let swish = ActivationFunction(.swish)
  public static let mish = ActivationFunction(.mish)
  public static let sigmoid = ActivationFunction(.sigmoid)
  public static let logSigmoid = ActivationFunction(.logSigmoid)
  public static let hardSigmoid = ActivationFunction(.hardSigmoid)
  public static let hardSilu = ActivationFunction(.hardSilu)
  public static let hardSwish = ActivationFunction(.hardSwish)
  public static let hardTanh = ActivationFunction(.hardTanh)
  public static let hardShrink = ActivationFunction(.hardShrink)
  public static let softShrink = ActivationFunction(.softShrink)
  public static let tanhShrink = ActivationFunction(.tanhShrink)
  public static let sparsePlus = ActivationFunction(.sparsePlus)
  public static let sparseSigmoid = ActivationFunction(.sparseSigmoid)
  public static let sparsemax = ActivationFunction(.sparsemax)
  public static let squareplus = ActivationFunction(.squareplus)
  public static let softplus = ActivationFunction(.softplus)
  public static let softsign = ActivationFunction(.softsign)
  public static let tanh = ActivationFunction(.tanh)
  public static let exponential = ActivationFunction(.exponential)
  public static let softmax = ActivationFunction(.softmax)
  public static let logSoftmax = ActivationFunction(.logSoftmax)

  /// x where x ≥ `threshold` (at most `maxValue`), else `negativeSlope` · (x − `threshold`).
  public static func relu(negativeSlope: Double = 0, maxValue: Double? = nil, threshold: Double = 0)
    -> ActivationFunction
  {
    var arguments = ["negative_slope": negativeSlope, "threshold": threshold]
    arguments["max_value"] = maxValue
    return ActivationFunction(.relu, arguments)
  }

  public static func leakyRelu(negativeSlope: Double) -> ActivationFunction {
    ActivationFunction(.leakyRelu, ["negative_slope": negativeSlope])
  }

  public static func elu(alpha: Double) -> ActivationFunction { ActivationFunction(.elu, ["alpha": alpha]) }
  public static func celu(alpha: Double) -> ActivationFunction { ActivationFunction(.celu, ["alpha": alpha]) }
  public static func squareplus(b: Double) -> ActivationFunction { ActivationFunction(.squareplus, ["b": b]) }
  public static func gelu(approximate: Bool) -> ActivationFunction {
    ActivationFunction(.gelu, ["approximate": approximate ? 1 : 0])
  }
  public static func hardShrink(threshold: Double) -> ActivationFunction {
    ActivationFunction(.hardShrink, ["threshold": threshold])
  }
  public static func softShrink(threshold: Double) -> ActivationFunction {
    ActivationFunction(.softShrink, ["threshold": threshold])
  }
  public static func glu(axis: Int) -> ActivationFunction { ActivationFunction(.glu, ["axis": Double(axis)]) }
  public static func softmax(axis: Int) -> ActivationFunction {
    ActivationFunction(.softmax, ["axis": Double(axis)])
  }
  public static func logSoftmax(axis: Int) -> ActivationFunction {
    ActivationFunction(.logSoftmax, ["axis": Double(axis)])
  }
  public static func sparsemax(axis: Int) -> ActivationFunction {
    ActivationFunction(.sparsemax, ["axis": Double(axis)])
  }
  /// x where x > `threshold`, else `defaultValue`.
  public static func threshold(_ threshold: Double, defaultValue: Double) -> ActivationFunction {
    ActivationFunction(.threshold, ["threshold": threshold, "default_value": defaultValue])
  }
}
