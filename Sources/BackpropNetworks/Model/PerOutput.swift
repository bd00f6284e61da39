/// An argument of `compile` for each of a model's outputs: one after the other, or by the outputs' names.
///
/// ```swift
/// try model.compile(optimizer: Adam(), losses: [.mse, .sparseCategoricalCrossentropy])
/// try model.compile(optimizer: Adam(), losses: ["age": .mse, "class": .sparseCategoricalCrossentropy])
/// ```
public struct PerOutput<Value: Sendable>: Sendable {
  enum Form: Sendable {
    /// The same for every output; nil: none has one.
    case shared(Value?)
    case ordered([Value?])
    case named([String: Value])
  }

  let form: Form

  /// One after the other; nil for an output that has none.
  public init(_ values: [Value?]) { form = .ordered(values) }
  /// By the names of outputs; those that aren't named have none.
  public init(_ values: [String: Value]) { form = .named(values) }

  init(shared value: Value?) { form = .shared(value) }

  var all: [Value] {
    switch form {
    case .shared(let value): value.map { [$0] } ?? []
    case .ordered(let values): values.compactMap { $0 }
    case .named(let values): values.sorted { $0.key < $1.key }.map(\.value)
    }
  }

  /// One for each output.
  ///
  /// - Throws: ``ModelError`` for another number of them, or a name that no output has.
  func values(outputs names: [String], what: String) throws -> [Value?] {
    switch form {
    case .shared(let value): return names.map { _ in value }
    case .ordered(let values):
      guard values.isEmpty || values.count == names.count else {
        throw ModelError(
          .argument,
          "expected \(names.count) \(what), one for each output (\(names.joined(separator: ", "))), got \(values.count)"
        )
      }
      return values.isEmpty ? names.map { _ in nil } : values
    case .named(let values):
      for name in values.keys.sorted() where !names.contains(name) {
        throw ModelError.unknown("output", name, among: names)
      }
      return names.map { values[$0] }
    }
  }
}

extension PerOutput: ExpressibleByArrayLiteral {
  public init(arrayLiteral elements: Value?...) { self.init(elements) }
}

extension PerOutput: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (String, Value)...) {
    self.init(Dictionary(elements) { $1 })
  }
}
