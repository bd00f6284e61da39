import CKernels

/// Functions of two numbers, with NumPy's broadcasting.
package enum BinaryOperation: Int, CaseIterable, SampledFamily {
  case add, subtract, multiply, divide
  case maximum, minimum
  case power, arcTangent2
  case floorDivide, remainder
  /// The first where the second is positive, else 0: the gradient of relu.
  case maskWherePositive

  package var operation: Operation { .binary(self) }

  func value<T: Real>(_ a: T, _ b: T) -> T {
    switch self {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: a / b
    case .maximum: a > b || a.isNaN ? a : b
    case .minimum: a < b || a.isNaN ? a : b
    case .power: T.pow(a, b)
    case .arcTangent2: T.atan2(a, b)
    case .floorDivide: (a / b).rounded(.down)
    case .remainder: flooredRemainder(a, b)
    case .maskWherePositive: b > 0 ? a : 0
    }
  }

  /// Whole numbers wrap; dividing by 0 gives 0 (as NumPy does, without its warning).
  private func wholeValue<T: FixedWidthInteger>(_ a: T, _ b: T) -> T {
    switch self {
    case .add: a &+ b
    case .subtract: a &- b
    case .multiply: a &* b
    case .maximum: Swift.max(a, b)
    case .minimum: Swift.min(a, b)
    case .power: wholePower(a, b)
    case .floorDivide: flooredQuotient(a, b)
    case .remainder: a &- flooredQuotient(a, b) &* b
    case .maskWherePositive: b > 0 ? a : 0
    case .divide, .arcTangent2: 0  // their check asks for floats
    }
  }

  private var needsFloats: Bool { self == .divide || self == .arcTangent2 }

  private var facts: Facts {
    switch self {
    case .add: Facts("add", .constant { [$0.gradient, $0.gradient] }, CK_ADD, onnx: "Add")
    case .subtract:
      Facts("subtract", .constant { [$0.gradient, $0.wanted[1] ? -$0.gradient : nil] }, CK_SUB, onnx: "Sub")
    case .multiply:
      Facts(
        "multiply",
        .ofInputs(keeping: [0, 1]) {
          [$0.wanted[0] ? $0.gradient * $0.input(1) : nil, $0.wanted[1] ? $0.gradient * $0.input(0) : nil]
        }, CK_MUL, onnx: "Mul")
    case .divide:
      Facts(
        "divide",
        .ofOutputs(keeping: [0], inputs: [1]) {
          let quotient = $0.gradient / $0.input(1)
          return [quotient, $0.wanted[1] ? -quotient * $0.output(0) : nil]
        }, CK_DIV, onnx: "Div", right: 0.3...3)
    case .maximum:
      Facts("maximum", Self.gradientOfExtreme { $0 .>= $1 }, CK_MAX, onnx: "Max", left: 0...1, right: 1.2...2)
    case .minimum:
      Facts("minimum", Self.gradientOfExtreme { $0 .<= $1 }, CK_MIN, onnx: "Min", left: 0...1, right: 1.2...2)
    case .power: Facts("power", Self.gradientOfPower, CK_POW, onnx: "Pow", left: 0.3...2, right: -2...2)
    case .arcTangent2:
      Facts(
        "atan2",
        .ofInputs(keeping: [0, 1]) {
          let scaled = $0.gradient / ($0.input(0).squared() + $0.input(1).squared())
          return [$0.wanted[0] ? scaled * $0.input(1) : nil, $0.wanted[1] ? -scaled * $0.input(0) : nil]
        }, left: 0.3...2, right: 0.3...2)
    case .floorDivide: Facts("floorDivide", Self.noGradient, left: 1.1...1.9, right: 1...1)
    case .remainder:
      Facts(
        "remainder",
        .ofInputs(keeping: [0, 1]) {
          [$0.gradient, $0.wanted[1] ? -$0.gradient * $0.input(0).floorDivided(by: $0.input(1)) : nil]
        }, onnx: "Mod", left: 2.1...2.9, right: 1...1)
    case .maskWherePositive:
      Facts(
        "maskWherePositive",
        .ofInputs(keeping: [1]) {
          [
            $0.wanted[0] ? $0.gradient.masked(wherePositive: $0.input(1)) : nil,
            $0.wanted[1] ? Tensor.zeros(like: $0.gradient) : nil,
          ]
        }, CK_RELU_GRADIENT, right: 0.1...3)
    }
  }

  private static let noGradient = Gradient.constant {
    [Tensor.zeros(like: $0.gradient), Tensor.zeros(like: $0.gradient)]
  }

  /// The whole gradient to the operand that is chosen; to the first where they are equal, as in TensorFlow.
  private static func gradientOfExtreme(_ chosen: @escaping @Sendable (Tensor, Tensor) -> Tensor) -> Gradient
  {
    .ofInputs(keeping: [0, 1]) {
      let isFirst = chosen($0.input(0), $0.input(1))
      let zero = Tensor.zeros(like: $0.gradient)
      return [
        $0.wanted[0] ? Tensor.select(isFirst, $0.gradient, zero) : nil,
        $0.wanted[1] ? Tensor.select(isFirst, zero, $0.gradient) : nil,
      ]
    }
  }

  /// b·a^(b−1), and log(a)·aᵇ where a is positive, else 0.
  private static let gradientOfPower = Gradient.ofOutputs(keeping: [0], inputs: [0, 1]) {
    let (a, b) = ($0.input(0), $0.input(1))
    var gradients: [Tensor?] = [nil, nil]
    if $0.wanted[0] { gradients[0] = $0.gradient * b * a.power(b - 1) }
    if $0.wanted[1] {
      let safe = Tensor.select(a .> Tensor.zeros(like: a), a, Tensor.ones(like: a))
      gradients[1] = $0.gradient * $0.output(0) * safe.log()
    }
    return gradients
  }

  package static var samples: [Sample] {
    let shapes: [(Shape, Shape)] = [
      ([3, 4], [3, 4]), ([3, 4], [4]), ([], [2, 3]), ([3, 1], [1, 4]), ([0, 3], [3]), ([], []),
      ([2, 1, 3, 1, 2], [3, 2, 1]),
    ]
    return allCases.flatMap { kind in
      shapes.map { left, right in
        Sample(.binary(kind), [.init(left, in: kind.facts.left), .init(right, in: kind.facts.right)])
      }
    }
  }
}

extension BinaryOperation {
  private struct Facts {
    var name: String
    /// For operands already stretched to the result's shape; ``rule`` sums the gradients back.
    var gradient: Gradient
    var opcode: ck_opcode?
    var onnx: String?
    var left: ClosedRange<Double>
    var right: ClosedRange<Double>

    init(
      _ name: String, _ gradient: Gradient, _ opcode: ck_opcode? = nil, onnx: String? = nil,
      left: ClosedRange<Double> = -3...3, right: ClosedRange<Double> = -3...3
    ) {
      self.name = name
      self.gradient = gradient
      self.opcode = opcode
      self.onnx = onnx
      self.left = left
      self.right = right
    }
  }

  package var rule: Rule { Self.rules[rawValue] }

  /// Made once: eager code asks for a rule at every step.
  private static let rules: [Rule] = allCases.map(\.newRule)

  private var newRule: Rule {
    let facts = facts
    let code = facts.opcode.map { ElementCode.opcode($0) }
    return Rule(
      facts.name,
      infer: { types throws(OperationError) in
        let dtype = try broadcastDType(types, in: facts.name)
        guard dtype.isFloatingPoint || (dtype.isInteger && !needsFloats) else {
          throw OperationError(
            "\(facts.name): expected \(needsFloats ? "floating-point " : "")numbers, got \(dtype)")
        }
        return [TensorType(try broadcastShape(types, in: facts.name), dtype)]
      },
      value: .reference(reference),
      kernel: BlockProgram.binder(for: operation),
      gradient: facts.gradient.summingBroadcasts,
      element: code ?? .function { value($0, $1) },
      onnx: facts.onnx)
  }

  private func reference(_ inputs: [Buffer], _ outputs: [Buffer]) {
    switch inputs[0].dtype {
    case .float32: mapElements(inputs, outputs) { (a: Float, b: Float) in value(a, b) }
    case .float64: mapElements(inputs, outputs) { (a: Double, b: Double) in value(a, b) }
    case .int8: mapElements(inputs, outputs) { (a: Int8, b: Int8) in wholeValue(a, b) }
    case .int16: mapElements(inputs, outputs) { (a: Int16, b: Int16) in wholeValue(a, b) }
    case .int32: mapElements(inputs, outputs) { (a: Int32, b: Int32) in wholeValue(a, b) }
    case .int64: mapElements(inputs, outputs) { (a: Int64, b: Int64) in wholeValue(a, b) }
    case .uint8: mapElements(inputs, outputs) { (a: UInt8, b: UInt8) in wholeValue(a, b) }
    case .bool, .bfloat16, .float16: break
    }
  }
}

extension Gradient {
  /// Sums each input's gradient down to the shape that was stretched.
  var summingBroadcasts: Gradient {
    func summing(_ function: @escaping @Sendable (Backward) -> [Tensor?]) -> @Sendable (Backward) -> [Tensor?]
    {
      { context in
        zip(function(context), zip(context.inputTypes, context.wanted)).map { gradient, input in
          input.1 ? gradient?.summed(to: input.0.shape) : nil
        }
      }
    }
    switch self {
    case .none, .composed: return self
    case .constant(let function): return .constant(summing(function))
    case .ofInputs(let kept, let function): return .ofInputs(keeping: kept, summing(function))
    case .ofOutputs(let kept, let inputs, let function):
      return .ofOutputs(keeping: kept, inputs: inputs, summing(function))
    case .everything(let function): return .everything(summing(function))
    }
  }
}

/// The common dtype of all operands; methods promote before they apply.
package func broadcastDType(_ types: [TensorType], in name: String) throws(OperationError) -> DType {
  for type in types.dropFirst() where type.dtype != types[0].dtype {
    throw OperationError("\(name): dtypes differ: \(types[0]) and \(type); cast(to:) one of them")
  }
  return types[0].dtype
}

package func broadcastShape(_ types: [TensorType], in name: String) throws(OperationError) -> Shape {
  var shape = types[0].shape
  for type in types.dropFirst() {
    guard let wider = Shape.broadcast(shape, type.shape) else {
      throw OperationError(
        "\(name): shapes \(shape) and \(type.shape) don't broadcast: aligned at the end, sizes must be equal or 1"
      )
    }
    shape = wider
  }
  return shape
}

private func flooredRemainder<T: Real>(_ a: T, _ b: T) -> T {
  let remainder = a.truncatingRemainder(dividingBy: b)
  // as NumPy: a zero has the divisor's sign too
  if remainder == 0 { return .init(signOf: b, magnitudeOf: remainder) }
  return (remainder < 0) != (b < 0) ? remainder + b : remainder
}

private func flooredQuotient<T: FixedWidthInteger>(_ a: T, _ b: T) -> T {
  if b == 0 { return 0 }
  let (quotient, overflow) = a.dividedReportingOverflow(by: b)
  if overflow { return a }
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient
}

private func wholePower<T: FixedWidthInteger>(_ base: T, _ exponent: T) -> T {
  if exponent < 0 { return base == 1 ? 1 : 0 }
  var (result, factor, left): (T, T, T) = (1, base, exponent)
  while left > 0 {
    if left & 1 == 1 { result = result &* factor }
    factor = factor &* factor
    left >>= 1
  }
  return result
}

// MARK: Methods

extension Tensor {
  /// Both operands in their common dtype; `bool` counts as int32.
  static func promoted(_ a: Tensor, _ b: Tensor, toFloat: Bool = false) -> (Tensor, Tensor) {
    var dtype = DType.promoted(a.dtype, b.dtype)
    if dtype == .bool { dtype = .int32 }
    if toFloat && !dtype.isFloatingPoint { dtype = .float32 }
    return (a.cast(to: dtype), b.cast(to: dtype))
  }

  private static func applying(
    _ kind: BinaryOperation, _ a: Tensor, _ b: Tensor, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let (a, b) = promoted(a, b, toFloat: kind == .divide || kind == .arcTangent2)
    return apply(.binary(kind), a, b, file: file, line: line)
  }

  /// A number beside a tensor takes the tensor's dtype; beside integers a number with a fraction makes both float32.
  package func scalarOperand(_ value: Double) -> Tensor {
    let fits = dtype.isFloatingPoint || (dtype != .bool && value == value.rounded())
    return Tensor.scalar(value, dtype: fits ? dtype : .float32)
  }

  /// NumPy's broadcasting and the wider of both dtypes; also for the other operators.
  public static func + (a: Tensor, b: Tensor) -> Tensor { applying(.add, a, b) }
  public static func - (a: Tensor, b: Tensor) -> Tensor { applying(.subtract, a, b) }
  public static func * (a: Tensor, b: Tensor) -> Tensor { applying(.multiply, a, b) }
  /// Integers are divided as float32.
  public static func / (a: Tensor, b: Tensor) -> Tensor { applying(.divide, a, b) }

  public static func + (a: Tensor, b: Double) -> Tensor { applying(.add, a, a.scalarOperand(b)) }
  public static func - (a: Tensor, b: Double) -> Tensor { applying(.subtract, a, a.scalarOperand(b)) }
  public static func * (a: Tensor, b: Double) -> Tensor { applying(.multiply, a, a.scalarOperand(b)) }
  public static func / (a: Tensor, b: Double) -> Tensor { applying(.divide, a, a.scalarOperand(b)) }
  public static func + (a: Double, b: Tensor) -> Tensor { applying(.add, b.scalarOperand(a), b) }
  public static func - (a: Double, b: Tensor) -> Tensor { applying(.subtract, b.scalarOperand(a), b) }
  public static func * (a: Double, b: Tensor) -> Tensor { applying(.multiply, b.scalarOperand(a), b) }
  public static func / (a: Double, b: Tensor) -> Tensor { applying(.divide, b.scalarOperand(a), b) }

  public static func += (a: inout Tensor, b: Tensor) { a = a + b }
  public static func -= (a: inout Tensor, b: Tensor) { a = a - b }
  public static func *= (a: inout Tensor, b: Tensor) { a = a * b }
  public static func /= (a: inout Tensor, b: Tensor) { a = a / b }

  /// The larger of each pair; NaN where either is NaN. Of equal ones the first has the gradient.
  public func maximum(_ other: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    Tensor.applying(.maximum, self, other, file: file, line: line)
  }
  public func maximum(_ other: Double) -> Tensor { Tensor.applying(.maximum, self, scalarOperand(other)) }
  /// The smaller of each pair; NaN where either is NaN. Of equal ones the first has the gradient.
  public func minimum(_ other: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    Tensor.applying(.minimum, self, other, file: file, line: line)
  }
  public func minimum(_ other: Double) -> Tensor { Tensor.applying(.minimum, self, scalarOperand(other)) }
  /// Every element inside `low...high`.
  public func clipped(to range: ClosedRange<Double>) -> Tensor {
    maximum(range.lowerBound).minimum(range.upperBound)
  }
  /// selfᵉ
  public func power(_ exponent: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    Tensor.applying(.power, self, exponent, file: file, line: line)
  }
  public func power(_ exponent: Double) -> Tensor { Tensor.applying(.power, self, scalarOperand(exponent)) }
  /// The angle of the point (x, self) in −π…π.
  public func atan2(_ x: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    Tensor.applying(.arcTangent2, self, x, file: file, line: line)
  }
  /// ⌊self / divisor⌋, as Python's `//`; whole numbers divided by 0 give 0.
  public func floorDivided(by divisor: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    Tensor.applying(.floorDivide, self, divisor, file: file, line: line)
  }
  /// self − ⌊self / divisor⌋ · divisor, with the divisor's sign, as Python's `%`.
  public func remainder(dividingBy divisor: Tensor, file: StaticString = #fileID, line: UInt = #line)
    -> Tensor
  {
    Tensor.applying(.remainder, self, divisor, file: file, line: line)
  }
  /// self where `other` is positive, else 0.
  package func masked(wherePositive other: Tensor) -> Tensor {
    apply(.binary(.maskWherePositive), self, other)
  }
}
