import Backprop
import Foundation
import TestSupport
import Testing

/// Keras' numbers from `Tests/Fixtures`.
struct Golden: @unchecked Sendable {
  let facts: [String: Any]
  let cases: [GoldenCase]

  init(_ name: String) {
    let fixture = Fixture(name)
    facts = fixture.facts
    cases = fixture.cases.map { GoldenCase(values: $0) }
  }

  func tensor(_ name: String) -> Tensor { goldenTensor(facts[name]!) }
}

struct GoldenCase: @unchecked Sendable, CustomTestStringConvertible {
  let values: [String: Any]

  func text(_ name: String) -> String { values[name] as! String }
  func tensor(_ name: String) -> Tensor { goldenTensor(values[name]!) }
  func tensors(_ name: String) -> [Tensor] { (values[name] as! [Any]).map(goldenTensor) }
  func has(_ name: String) -> Bool { values[name] != nil && !(values[name] is NSNull) }
  func config(_ name: String) -> [String: ConfigValue] {
    guard case .object(let object) = configValue(values[name] ?? [String: Any]()) else { return [:] }
    return object
  }

  var testDescription: String {
    values.sorted { $0.key < $1.key }.compactMap { key, value in
      value is String ? "\(value)" : key == "config" || key == "arguments" ? "\(configValue(value))" : nil
    }.joined(separator: " ")
  }
}

func configValue(_ value: Any) -> ConfigValue {
  switch value {
  case is NSNull: return .null
  case let number as NSNumber:
    if CFBooleanLike(number) { return .bool(number.boolValue) }
    return number.doubleValue == number.doubleValue.rounded() && !"\(number)".contains(".")
      ? .integer(number.intValue) : .number(number.doubleValue)
  case let text as String: return .string(text)
  case let array as [Any]: return .array(array.map(configValue))
  case let object as [String: Any]: return .object(object.mapValues(configValue))
  default: return .null
  }
}

private func CFBooleanLike(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }

func goldenTensor(_ value: Any) -> Tensor { Tensor(fixture: value) }

/// Every element within atol + rtol · |expected|; NaN equals NaN.
func expectClose(
  _ actual: Tensor, _ expected: Tensor, atol: Double, rtol: Double = 0, _ what: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard actual.shape == expected.shape else {
    Issue.record("\(what): shape \(actual.shape), expected \(expected.shape)", sourceLocation: sourceLocation)
    return
  }
  for (position, (a, b)) in zip(actual.doubles, expected.doubles).enumerated() {
    let isSame = a == b || (a.isNaN && b.isNaN) || abs(a - b) <= atol + rtol * abs(b)
    if !isSame {
      Issue.record("\(what): element \(position) is \(a), expected \(b)", sourceLocation: sourceLocation)
      return
    }
  }
}

func message(_ body: () throws -> Void) -> String? {
  do {
    try body()
    return nil
  } catch { return "\(error)" }
}
