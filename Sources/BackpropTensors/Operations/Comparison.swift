import CKernels

/// Questions about two numbers or two truths; the answer is `bool` and has no gradient.
package enum ComparisonOperation: Int, CaseIterable, SampledFamily {
  case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
  case and, or

  package var operation: Operation { .comparison(self) }

  private func value<T: Comparable>(_ a: T, _ b: T) -> Bool {
    switch self {
    case .equal: a == b
    case .notEqual: a != b
    case .less: a < b
    case .lessOrEqual: a <= b
    case .greater: a > b
    case .greaterOrEqual: a >= b
    case .and, .or: false  // of truths only, see `truth`
    }
  }

  /// For bool operands, stored as bytes of 0 and 1.
  private func truth(_ a: UInt8, _ b: UInt8) -> Bool {
    switch self {
    case .and: a != 0 && b != 0
    case .or: a != 0 || b != 0
    default: value(a, b)
    }
  }

  private var facts: (name: String, opcode: ck_opcode, onnx: String) {
    switch self {
    case .equal: ("equal", CK_EQ, "Equal")
    case .notEqual: ("notEqual", CK_NE, "")
    case .less: ("less", CK_LT, "Less")
    case .lessOrEqual: ("lessOrEqual", CK_LE, "LessOrEqual")
    case .greater: ("greater", CK_GT, "Greater")
    case .greaterOrEqual: ("greaterOrEqual", CK_GE, "GreaterOrEqual")
    case .and: ("and", CK_AND, "And")
    case .or: ("or", CK_OR, "Or")
    }
  }

  package static var samples: [Sample] {
    let shapes: [(Shape, Shape)] = [
      ([3, 4], [3, 4]), ([3, 4], [4]), ([], []), ([0], [1]), ([2, 1, 1, 2, 3], [3, 1, 1]),
    ]
    return allCases.flatMap { kind in
      shapes.map { left, right in
        let dtype: DType = kind == .and || kind == .or ? .bool : .float64
        return Sample(.comparison(kind), [.init(left, dtype, in: 0...3), .init(right, dtype, in: 0...3)])
      }
    }
  }

  package var rule: Rule { Self.rules[rawValue] }

  /// Made once: eager code asks for a rule at every step.
  private static let rules: [Rule] = allCases.map(\.newRule)

  private var newRule: Rule {
    let facts = facts
    let onTruths = self == .and || self == .or
    return Rule(
      facts.name,
      infer: { types throws(OperationError) in
        let dtype = try broadcastDType(types, in: facts.name)
        guard !onTruths || dtype == .bool else {
          throw OperationError("\(facts.name): expected bool, got \(dtype)")
        }
        return [TensorType(try broadcastShape(types, in: facts.name), .bool)]
      },
      value: .reference(reference),
      kernel: BlockProgram.binder(for: operation),
      element: .opcode(facts.opcode),
      onnx: facts.onnx.isEmpty ? nil : facts.onnx)
  }

  private func reference(_ inputs: [Buffer], _ outputs: [Buffer]) {
    switch inputs[0].dtype {
    case .float32: mapElements(inputs, outputs) { (a: Float, b: Float) in value(a, b) }
    case .float64: mapElements(inputs, outputs) { (a: Double, b: Double) in value(a, b) }
    case .int8: mapElements(inputs, outputs) { (a: Int8, b: Int8) in value(a, b) }
    case .int16: mapElements(inputs, outputs) { (a: Int16, b: Int16) in value(a, b) }
    case .int32: mapElements(inputs, outputs) { (a: Int32, b: Int32) in value(a, b) }
    case .int64: mapElements(inputs, outputs) { (a: Int64, b: Int64) in value(a, b) }
    case .uint8, .bool: mapElements(inputs, outputs) { (a: UInt8, b: UInt8) in truth(a, b) }
    case .bfloat16, .float16: break
    }
  }
}

// MARK: Methods

infix operator .== : ComparisonPrecedence
infix operator .!= : ComparisonPrecedence
infix operator .< : ComparisonPrecedence
infix operator .<= : ComparisonPrecedence
infix operator .> : ComparisonPrecedence
infix operator .>= : ComparisonPrecedence

extension Tensor {
  private static func comparing(_ kind: ComparisonOperation, _ a: Tensor, _ b: Tensor) -> Tensor {
    let dtype = DType.promoted(a.dtype, b.dtype)
    return apply(.comparison(kind), a.cast(to: dtype), b.cast(to: dtype))
  }

  /// Element by element, as the other operators with a dot: `bool`, with NumPy's broadcasting.
  public static func .== (a: Tensor, b: Tensor) -> Tensor { comparing(.equal, a, b) }
  public static func .!= (a: Tensor, b: Tensor) -> Tensor { comparing(.notEqual, a, b) }
  public static func .< (a: Tensor, b: Tensor) -> Tensor { comparing(.less, a, b) }
  public static func .<= (a: Tensor, b: Tensor) -> Tensor { comparing(.lessOrEqual, a, b) }
  public static func .> (a: Tensor, b: Tensor) -> Tensor { comparing(.greater, a, b) }
  public static func .>= (a: Tensor, b: Tensor) -> Tensor { comparing(.greaterOrEqual, a, b) }
  public static func .== (a: Tensor, b: Double) -> Tensor { comparing(.equal, a, a.scalarOperand(b)) }
  public static func .!= (a: Tensor, b: Double) -> Tensor { comparing(.notEqual, a, a.scalarOperand(b)) }
  public static func .< (a: Tensor, b: Double) -> Tensor { comparing(.less, a, a.scalarOperand(b)) }
  public static func .<= (a: Tensor, b: Double) -> Tensor { comparing(.lessOrEqual, a, a.scalarOperand(b)) }
  public static func .> (a: Tensor, b: Double) -> Tensor { comparing(.greater, a, a.scalarOperand(b)) }
  public static func .>= (a: Tensor, b: Double) -> Tensor {
    comparing(.greaterOrEqual, a, a.scalarOperand(b))
  }

  public func and(_ other: Tensor) -> Tensor {
    apply(.comparison(.and), cast(to: .bool), other.cast(to: .bool))
  }
  public func or(_ other: Tensor) -> Tensor {
    apply(.comparison(.or), cast(to: .bool), other.cast(to: .bool))
  }
  public func not() -> Tensor { cast(to: .bool) .== Tensor(false) }
}
