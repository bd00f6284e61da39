/// A Keras argument that is one value or a list of them: an axis or axes, a factor or one for each channel.
///
/// ```swift
/// Softmax(axis: [1, 2])
/// Rescaling([0.5, 1, 2])
/// ```
public struct OneOrMany<Value: Codable & Hashable & Sendable>: Hashable, Sendable {
  public var values: [Value]
  /// Whether it was given, and is written, as one value without a list.
  public var isSingle: Bool

  public init(_ value: Value) {
    values = [value]
    isSingle = true
  }

  public init(_ values: [Value]) {
    self.values = values
    isSingle = false
  }
}

extension OneOrMany: Codable {
  public init(from decoder: Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Value.self) {
      self.init(value)
    } else {
      self.init(try container.decode([Value].self))
    }
  }

  public func encode(to encoder: Encoder) throws {
    var container = encoder.singleValueContainer()
    if isSingle { try container.encode(values[0]) } else { try container.encode(values) }
  }
}

extension OneOrMany: ExpressibleByArrayLiteral {
  public init(arrayLiteral elements: Value...) { self.init(elements) }
}

extension OneOrMany: ExpressibleByIntegerLiteral where Value: ExpressibleByIntegerLiteral {
  public init(integerLiteral value: Value.IntegerLiteralType) { self.init(Value(integerLiteral: value)) }
}

extension OneOrMany: ExpressibleByFloatLiteral where Value: ExpressibleByFloatLiteral {
  public init(floatLiteral value: Value.FloatLiteralType) { self.init(Value(floatLiteral: value)) }
}
