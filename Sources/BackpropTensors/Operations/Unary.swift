import CKernels

/// Functions of one number.
package enum UnaryOperation: Int, CaseIterable, SampledFamily {
  case negate, absolute, sign, square, squareRoot, reciprocalSquareRoot, reciprocal
  case exp, expm1, log, log1p
  case sin, cos, tan, asin, acos, atan, sinh, cosh, tanh
  case sigmoid, softplus, relu, erf
  case gelu, geluSlope
  case floor, ceil, round
  case isFinite, isNaN

  package var operation: Operation { .unary(self) }

  /// The value: the generic reference for float32 and float64, and the oracle for the vector code.
  func value<T: Real>(_ x: T) -> T {
    switch self {
    case .negate: -x
    case .absolute: Swift.abs(x)
    case .sign: x > 0 ? 1 : x < 0 ? -1 : x
    case .square: x * x
    case .squareRoot: x.squareRoot()
    case .reciprocalSquareRoot: 1 / x.squareRoot()
    case .reciprocal: 1 / x
    case .exp: T.exp(x)
    case .expm1: T.expm1(x)
    case .log: T.log(x)
    case .log1p: T.log1p(x)
    case .sin: T.sin(x)
    case .cos: T.cos(x)
    case .tan: T.tan(x)
    case .asin: T.asin(x)
    case .acos: T.acos(x)
    case .atan: T.atan(x)
    case .sinh: T.sinh(x)
    case .cosh: T.cosh(x)
    case .tanh: T.tanh(x)
    case .sigmoid: x >= 0 ? 1 / (1 + T.exp(-x)) : T.exp(x) / (1 + T.exp(x))
    case .softplus: x > 0 ? x + T.log1p(T.exp(-x)) : T.log1p(T.exp(x))
    case .relu: x > 0 ? x : x.isNaN ? x : 0
    case .erf: T.erf(x)
    case .gelu: x * Self.normal(x)
    case .geluSlope: Self.normal(x) + x * Self.normalDensity(x)
    case .floor: x.rounded(.down)
    case .ceil: x.rounded(.up)
    case .round: x.rounded(.toNearestOrEven)
    case .isFinite: x.isFinite ? 1 : 0
    case .isNaN: x.isNaN ? 1 : 0
    }
  }

  /// The normal distribution's function.
  private static func normal<T: Real>(_ x: T) -> T { (1 + T.erf(x * (0.5 as T).squareRoot())) / 2 }

  private static func normalDensity<T: Real>(_ x: T) -> T { T.exp(x * x / -2) * 0.398_942_280_401_432_7 }

  /// The value for whole numbers, wrapping as the hardware does; nil for functions of real numbers.
  private func wholeValue<T: FixedWidthInteger>(_ x: T) -> T? {
    switch self {
    case .negate: 0 &- x
    case .absolute: x < 0 ? 0 &- x : x
    case .sign: x.signum()
    case .square: x &* x
    case .relu: Swift.max(x, 0)
    case .floor, .ceil, .round: x
    default: nil
    }
  }

  /// Whether integers stay integers; for the other functions they become float32 first.
  var keepsIntegers: Bool { wholeValue(1) != nil }

  private var facts: Facts {
    switch self {
    case .negate: Facts("negate", .constant { -$0 }, CK_NEG, onnx: "Neg")
    case .absolute: Facts("abs", .ofInput { g, x in g * x.sign() }, CK_ABS, onnx: "Abs", in: 0.1...3)
    case .sign: Facts("sign", .zero, CK_SIGN, onnx: "Sign", in: 0.1...3)
    case .square: Facts("square", .ofInput { g, x in g * (x * 2) }, CK_SQUARE)
    case .squareRoot: Facts("sqrt", .ofOutput { g, y in g * 0.5 / y }, CK_SQRT, onnx: "Sqrt", in: 0.1...3)
    case .reciprocalSquareRoot:
      Facts("rsqrt", .ofOutput { g, y in g * -0.5 * y * y.squared() }, CK_RSQRT, in: 0.1...3)
    case .reciprocal:
      Facts(
        "reciprocal", .ofOutput { g, y in -g * y.squared() }, CK_RECIPROCAL, onnx: "Reciprocal", in: 0.2...3)
    case .exp: Facts("exp", .ofOutput { g, y in g * y }, CK_EXP, onnx: "Exp")
    case .expm1: Facts("expm1", .ofOutput { g, y in g * (y + 1) }, CK_EXPM1)
    case .log: Facts("log", .ofInput { g, x in g / x }, CK_LOG, onnx: "Log", in: 0.1...3)
    case .log1p: Facts("log1p", .ofInput { g, x in g / (x + 1) }, CK_LOG1P, in: -0.8...3)
    case .sin: Facts("sin", .ofInput { g, x in g * x.cos() }, CK_SIN, onnx: "Sin")
    case .cos: Facts("cos", .ofInput { g, x in -g * x.sin() }, CK_COS, onnx: "Cos")
    case .tan: Facts("tan", .ofOutput { g, y in g * (y.squared() + 1) }, onnx: "Tan", in: -1...1)
    case .asin:
      Facts("asin", .ofInput { g, x in g * (1 - x.squared()).rsqrt() }, onnx: "Asin", in: -0.9...0.9)
    case .acos:
      Facts("acos", .ofInput { g, x in -g * (1 - x.squared()).rsqrt() }, onnx: "Acos", in: -0.9...0.9)
    case .atan: Facts("atan", .ofInput { g, x in g / (x.squared() + 1) }, onnx: "Atan")
    case .sinh: Facts("sinh", .ofInput { g, x in g * x.cosh() }, onnx: "Sinh")
    case .cosh: Facts("cosh", .ofInput { g, x in g * x.sinh() }, onnx: "Cosh")
    case .tanh: Facts("tanh", .ofOutput { g, y in g * (1 - y.squared()) }, CK_TANH, onnx: "Tanh")
    case .sigmoid: Facts("sigmoid", .ofOutput { g, y in g * (y * (1 - y)) }, CK_SIGMOID, onnx: "Sigmoid")
    case .softplus: Facts("softplus", .ofInput { g, x in g * x.sigmoid() }, CK_SOFTPLUS, onnx: "Softplus")
    case .relu:
      Facts("relu", .ofOutput { g, y in g.masked(wherePositive: y) }, CK_RELU, onnx: "Relu", in: 0.1...3)
    case .erf:
      // 2/√π
      Facts(
        "erf", .ofInput { g, x in g * ((-x.squared()).exp() * 1.128_379_167_095_512_6) }, CK_ERF, onnx: "Erf")
    case .gelu:
      Facts("gelu", .ofInput { g, x in g * Tensor.unary(.geluSlope, x) }, CK_GELU, onnx: "Gelu")
    case .geluSlope:
      // 1/√(2π)
      Facts(
        "geluSlope",
        .ofInput { g, x in
          let square = x.squared()
          return g * ((square * -0.5).exp() * (2 - square) * 0.398_942_280_401_432_7)
        }, CK_GELU_SLOPE)
    case .floor: Facts("floor", .zero, CK_FLOOR, onnx: "Floor", in: 0.1...0.9)
    case .ceil: Facts("ceil", .zero, CK_CEIL, onnx: "Ceil", in: 0.1...0.9)
    case .round: Facts("round", .zero, CK_ROUND, onnx: "Round", in: 0.6...0.9)
    case .isFinite: Facts("isFinite", .none, CK_ISFINITE, givesBool: true)
    case .isNaN: Facts("isNaN", .none, CK_ISNAN, onnx: "IsNaN", givesBool: true)
    }
  }

  package static var samples: [Sample] {
    allCases.flatMap { kind in
      [[3, 4], [], [0], [1], [2, 1, 3, 2, 2]].map { (shape: Shape) in
        Sample(.unary(kind), [Sample.Input(shape, in: kind.facts.domain)])
      }
    }
  }
}

extension UnaryOperation {
  /// What the backward pass needs.
  private enum Derivative {
    case none
    /// Flat almost everywhere.
    case zero
    case constant(@Sendable (Tensor) -> Tensor)
    case ofInput(@Sendable (Tensor, Tensor) -> Tensor)
    case ofOutput(@Sendable (Tensor, Tensor) -> Tensor)

    var gradient: Gradient {
      switch self {
      case .none: .none
      case .zero: .constant { [Tensor.zeros(like: $0.gradient)] }
      case .constant(let function): .constant { [function($0.gradient)] }
      case .ofInput(let function): .ofInputs(keeping: [0]) { [function($0.gradient, $0.input(0))] }
      case .ofOutput(let function): .ofOutputs(keeping: [0]) { [function($0.gradient, $0.output(0))] }
      }
    }
  }

  private struct Facts {
    var name: String
    var derivative: Derivative
    var opcode: ck_opcode?
    var onnx: String?
    /// Where to test: away from kinks, inside the function's domain.
    var domain: ClosedRange<Double>
    var givesBool: Bool

    init(
      _ name: String, _ derivative: Derivative, _ opcode: ck_opcode? = nil, onnx: String? = nil,
      in domain: ClosedRange<Double> = -3...3, givesBool: Bool = false
    ) {
      self.name = name
      self.derivative = derivative
      self.opcode = opcode
      self.onnx = onnx
      self.domain = domain
      self.givesBool = givesBool
    }
  }

  package var rule: Rule { Self.rules[rawValue] }

  /// Made once: eager code asks for a rule at every step.
  private static let rules: [Rule] = allCases.map(\.newRule)

  private var newRule: Rule {
    let facts = facts
    let opcode = facts.opcode.map { ElementCode.opcode($0) }
    return Rule(
      facts.name,
      infer: { types throws(OperationError) in
        let type = types[0]
        guard type.dtype.isFloatingPoint || (type.dtype.isInteger && keepsIntegers) else {
          throw OperationError(
            "\(facts.name): expected floating-point elements, got \(type); cast(to: .float32) first")
        }
        return [TensorType(type.shape, facts.givesBool ? .bool : type.dtype)]
      },
      value: .reference(reference),
      kernel: BlockProgram.binder(for: operation),
      gradient: facts.derivative.gradient,
      element: opcode ?? .function { x, _ in value(x) },
      onnx: facts.onnx)
  }

  private func reference(_ inputs: [Buffer], _ outputs: [Buffer]) {
    let toBool = outputs[0].dtype == .bool
    switch inputs[0].dtype {
    case .float32:
      if toBool {
        mapElements(inputs, outputs) { (x: Float) in value(x) != 0 }
      } else {
        mapElements(inputs, outputs) { (x: Float) in value(x) }
      }
    case .float64:
      if toBool {
        mapElements(inputs, outputs) { (x: Double) in value(x) != 0 }
      } else {
        mapElements(inputs, outputs) { (x: Double) in value(x) }
      }
    case .int8: mapElements(inputs, outputs) { (x: Int8) in wholeValue(x)! }
    case .int16: mapElements(inputs, outputs) { (x: Int16) in wholeValue(x)! }
    case .int32: mapElements(inputs, outputs) { (x: Int32) in wholeValue(x)! }
    case .int64: mapElements(inputs, outputs) { (x: Int64) in wholeValue(x)! }
    case .uint8: mapElements(inputs, outputs) { (x: UInt8) in wholeValue(x)! }
    case .bool, .bfloat16, .float16: break
    }
  }
}

// MARK: Methods

extension Tensor {
  /// Integers become float32 for functions of real numbers; `bool` becomes float32 always.
  private func applying(_ kind: UnaryOperation, file: StaticString, line: UInt) -> Tensor {
    let keeps = dtype.isFloatingPoint || (dtype.isInteger && kind.keepsIntegers)
    return apply(.unary(kind), keeps ? self : cast(to: .float32), file: file, line: line)
  }

  public static prefix func - (x: Tensor) -> Tensor { x.applying(.negate, file: #fileID, line: #line) }
  public func abs(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.absolute, file: file, line: line)
  }
  /// −1, 0 or 1; NaN for NaN.
  public func sign(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.sign, file: file, line: line)
  }
  public func squared(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.square, file: file, line: line)
  }
  public func sqrt(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.squareRoot, file: file, line: line)
  }
  /// 1 / √x
  public func rsqrt(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.reciprocalSquareRoot, file: file, line: line)
  }
  /// 1 / x
  public func reciprocal(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.reciprocal, file: file, line: line)
  }
  public func exp(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.exp, file: file, line: line)
  }
  /// eˣ − 1, exact near 0.
  public func expm1(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.expm1, file: file, line: line)
  }
  /// The natural logarithm.
  public func log(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.log, file: file, line: line)
  }
  /// log(1 + x), exact near 0.
  public func log1p(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.log1p, file: file, line: line)
  }
  public func sin(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.sin, file: file, line: line)
  }
  public func cos(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.cos, file: file, line: line)
  }
  public func tan(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.tan, file: file, line: line)
  }
  public func asin(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.asin, file: file, line: line)
  }
  public func acos(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.acos, file: file, line: line)
  }
  public func atan(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.atan, file: file, line: line)
  }
  public func sinh(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.sinh, file: file, line: line)
  }
  public func cosh(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.cosh, file: file, line: line)
  }
  public func tanh(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.tanh, file: file, line: line)
  }
  /// 1 / (1 + e⁻ˣ)
  public func sigmoid(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.sigmoid, file: file, line: line).remembering(self, as: .sigmoid)
  }
  /// log(1 + eˣ)
  public func softplus(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.softplus, file: file, line: line)
  }
  /// max(x, 0); its gradient at 0 is 0.
  public func relu(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let result = applying(.relu, file: file, line: line)
    // Outside of a graph the memory of self would live as long as the result.
    return result.isTraced ? result.remembering(self, as: .relu) : result
  }
  /// The error function.
  public func erf(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.erf, file: file, line: line)
  }
  /// x · Φ(x), Φ being the normal distribution's function (Hendrycks and Gimpel, 2016).
  public func gelu(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.gelu, file: file, line: line)
  }

  fileprivate static func unary(_ kind: UnaryOperation, _ x: Tensor) -> Tensor { apply(.unary(kind), x) }

  public func floor(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.floor, file: file, line: line)
  }
  public func ceil(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.ceil, file: file, line: line)
  }
  /// To the nearest whole number, halves to the even one.
  public func rounded(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.round, file: file, line: line)
  }
  public func isFinite(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.isFinite, file: file, line: line)
  }
  public func isNaN(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    applying(.isNaN, file: file, line: line)
  }
}
