/// Two configurations whose keys stand beside each other in files: what a cell has, and what the layer around it adds.
///
/// Fields of both are read as its own: `LSTM(32).configuration.units`.
@dynamicMemberLookup
public struct Joined<First: Codable & Hashable & Sendable, Second: Codable & Hashable & Sendable>: Codable,
  Hashable, Sendable
{
  public var first: First
  public var second: Second

  public init(_ first: First, _ second: Second) {
    self.first = first
    self.second = second
  }

  public init(from decoder: Decoder) throws {
    first = try First(from: decoder)
    second = try Second(from: decoder)
  }

  public func encode(to encoder: Encoder) throws {
    try first.encode(to: encoder)
    try second.encode(to: encoder)
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<First, Value>) -> Value {
    get { first[keyPath: path] }
    set { first[keyPath: path] = newValue }
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<Second, Value>) -> Value {
    get { second[keyPath: path] }
    set { second[keyPath: path] = newValue }
  }
}

/// Whose parts' fields count as its own where a configuration is looked at field by field.
protocol FlatConfiguration {}

extension Joined: FlatConfiguration {}

/// The fields of a layer's configuration by their names.
func configurationFields(_ configuration: Any) -> [(label: String, value: Any)] {
  Mirror(reflecting: configuration).children.flatMap { child -> [(label: String, value: Any)] in
    guard configuration is any FlatConfiguration else { return child.label.map { [($0, child.value)] } ?? [] }
    return configurationFields(child.value)
  }
}
