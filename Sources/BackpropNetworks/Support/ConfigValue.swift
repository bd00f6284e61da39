/// A value in a Keras configuration: what JSON can say.
public enum ConfigValue: Hashable, Sendable, Codable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([ConfigValue])
  case object([String: ConfigValue])

  public init(from decoder: Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int.self) {
      self = .integer(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([ConfigValue].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: ConfigValue].self))
    }
  }

  public func encode(to encoder: Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }

  /// A whole number or a fraction.
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  public var int: Int? {
    switch self {
    case .integer(let value): value
    case .number(let value): Int(exactly: value)
    default: nil
    }
  }

  public var bool: Bool? {
    if case .bool(let value) = self { return value }
    return nil
  }

  public var text: String? {
    if case .string(let value) = self { return value }
    return nil
  }

  public var elements: [ConfigValue]? {
    if case .array(let value) = self { return value }
    return nil
  }
}

extension ConfigValue: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByStringLiteral, ExpressibleByNilLiteral
{
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(integerLiteral value: Int) { self = .integer(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(stringLiteral value: String) { self = .string(value) }
  public init(nilLiteral: ()) { self = .null }
}

extension Optional where Wrapped == Int {
  var config: ConfigValue { map { .integer($0) } ?? .null }
}

extension Optional where Wrapped == Double {
  var config: ConfigValue { map { .number($0) } ?? .null }
}

extension Optional where Wrapped == [Int] {
  var config: ConfigValue { map { .array($0.map { .integer($0) }) } ?? .null }
}

extension Optional where Wrapped == [Double] {
  var config: ConfigValue { map { .array($0.map { .number($0) }) } ?? .null }
}

/// An object as Keras' files write it: a class and its configuration. Also read where Keras allows a bare name.
package struct KerasObject: Hashable, Sendable, Codable {
  package var module: String?
  package var className: String
  package var config: [String: ConfigValue]

  package init(module: String?, className: String, config: [String: ConfigValue]) {
    self.module = module
    self.className = className
    self.config = config
  }

  private struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  package init(from decoder: Decoder) throws {
    if let name = try? decoder.singleValueContainer().decode(String.self) {
      (module, className, config) = (nil, name, [:])
      return
    }
    let container = try decoder.container(keyedBy: Key.self)
    // The keys as they stand and as a decoder that converts keys hands them out.
    func key(_ name: String) -> Key {
      container.contains(Key(name)) ? Key(name) : Key(KerasNaming.camel(name))
    }
    module = try container.decodeIfPresent(String.self, forKey: key("module"))
    className = try container.decode(String.self, forKey: key("class_name"))
    config = try container.decodeIfPresent([String: ConfigValue].self, forKey: key("config")) ?? [:]
  }

  package func encode(to encoder: Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(module, forKey: Key("module"))
    try container.encode(className, forKey: Key("class_name"))
    try container.encode(config, forKey: Key("config"))
    try container.encodeNil(forKey: Key("registered_name"))
  }
}
