import BackpropTensors
import Foundation

/// A small thing that Keras writes as a class name and arguments: an initialiser, a regulariser, a constraint, a schedule.
///
/// One `Kind` lists the classes, named as Keras names them; a value is a kind and the arguments that differ from its
/// defaults or not. Names as strings are Keras' class names or their snake-case form.
public protocol KerasForm: Hashable, Sendable, Codable, ExpressibleByStringLiteral, CustomStringConvertible {
  associatedtype Kind: RawRepresentable, CaseIterable, Sendable where Kind.RawValue == String

  /// Keras' class name. May name no class after a string literal: ``resolved()`` tells.
  var className: String { get }
  /// Keras' arguments.
  var config: [String: ConfigValue] { get }

  init(className: String, config: [String: ConfigValue])

  /// Keras' module, as in its files.
  static var module: String { get }
  /// What a message calls it: "initializer".
  static var noun: String { get }
  /// Short names besides the class name and its snake-case form.
  static var aliases: [String: String] { get }
  /// Where files have another name than the class has here: one that every release reads.
  static var writtenNames: [String: String] { get }
  static func defaults(of kind: Kind) -> [String: ConfigValue]
}

extension KerasForm {
  public static var aliases: [String: String] { [:] }
  public static var writtenNames: [String: String] { [:] }

  /// From a name such as `"he_normal"`; an unknown one is reported when the value is first used (by `build`, `compile`
  /// or `fit`, which throw).
  public init(stringLiteral name: String) {
    self.init(className: Self.kind(named: name)?.rawValue ?? name, config: [:])
  }

  /// From a name such as `"he_normal"`.
  ///
  /// - Throws: ``ModelError`` with the nearest name when there is none.
  public init(named name: String) throws {
    self.init(stringLiteral: name)
    _ = try resolved()
  }

  init(_ kind: Kind, _ config: [String: ConfigValue] = [:]) {
    self.init(className: kind.rawValue, config: Self.defaults(of: kind).merging(config) { $1 })
  }

  static func kind(named name: String) -> Kind? {
    if let kind = Kind(rawValue: name) { return kind }
    if let full = aliases[name.lowercased()] { return Kind(rawValue: full) }
    return Kind.allCases.first { KerasNaming.snake($0.rawValue) == name }
  }

  /// The kind, or what is wrong with the name.
  func resolved() throws -> Kind {
    if let kind = Self.kind(named: className) { return kind }
    let names = Kind.allCases.map { KerasNaming.snake($0.rawValue) } + Self.aliases.keys
    throw ModelError.unknown(Self.noun, className, among: names)
  }

  /// The kind where the name was checked before.
  var kind: Kind {
    guard let kind = Self.kind(named: className) else {
      programmerError("unknown \(Self.noun) '\(className)'")
    }
    return kind
  }

  func value(_ name: String) -> ConfigValue { config[name] ?? Self.defaults(of: kind)[name] ?? .null }

  func number(_ name: String) -> Double {
    guard let number = value(name).double else { programmerError("\(className): \(name) isn't a number") }
    return number
  }

  func integer(_ name: String) -> Int {
    guard let number = value(name).int else { programmerError("\(className): \(name) isn't a whole number") }
    return number
  }

  public init(from decoder: Decoder) throws {
    let object = try KerasObject(from: decoder)
    self.init(stringLiteral: object.className)
    _ = try resolved()
    let defaults = Self.defaults(of: kind)
    // Arguments of a newer Keras that say nothing: written again, they would keep an older one from reading the file.
    let given = object.config.filter { $0.value != .null || defaults[$0.key] != nil }
    self.init(className: className, config: defaults.merging(given) { $1 })
    try checkArguments()
  }

  public func encode(to encoder: Encoder) throws {
    let all = Self.kind(named: className).map { Self.defaults(of: $0).merging(config) { $1 } } ?? config
    let name = Self.writtenNames[className] ?? className
    try KerasObject(module: Self.module, className: name, config: all).encode(to: encoder)
  }

  public var description: String {
    let arguments = config.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
    return "\(className)(\(arguments.joined(separator: ", ")))"
  }
}

/// Configurations as Keras writes them: a Swift property `kernelInitializer` is the key `kernel_initializer`.
package enum KerasJSON {
  private struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  package static func encode(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .custom { Key(KerasNaming.key($0.last!.stringValue)) }
    return try encoder.encode(value)
  }

  package static func decode<Value: Decodable>(_ type: Value.Type = Value.self, from data: Data) throws
    -> Value
  {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .custom { Key(KerasNaming.camel($0.last!.stringValue)) }
    return try decoder.decode(type, from: data)
  }
}
