import BackpropNetworks
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

/// A case of `Tests/Fixtures/keras_files.json` or `optimizer_files.json`: a file that Keras wrote, and what its model answers.
struct KerasCase: CustomTestStringConvertible, Sendable {
  let name: String
  private let fields: [String: ConfigValue]

  var testDescription: String { name }
  var path: String { fixture(name.hasSuffix(".h5") ? name : "\(name).keras") }

  /// A whole model in a `.keras` file.
  static let all =
    read("keras_files") + read("optimizer_files") + read("functional_files") + read("attention_files")
    + read("recurrent_files") + open
  /// A model over samples of which some sizes are open.
  static let open = read("open_files")
  /// A model with several inputs and outputs.
  static let several = read("several_files")
  /// Weights alone, and a model of the older format; names are those of the files.
  static let weights = read("weight_files")

  private static func read(_ json: String) -> [KerasCase] {
    let path = fixture("../\(json).json")
    guard let bytes = try? bytes(of: path), let value = try? JSONParser.parse(bytes, name: path),
      case .object(let fields) = value
    else { fatalError("can't read \(path)") }
    return (fields["cases"]?.elements ?? []).map { element in
      guard case .object(let fields) = element else { fatalError("a case that isn't an object") }
      return KerasCase(name: fields["name"]!.text!, fields: fields)
    }
  }

  func has(_ key: String) -> Bool { fields[key] != nil }
  func number(_ key: String) -> Double { fields[key]!.double! }
  func tensor(_ key: String) -> Tensor { Self.tensor(fields[key]!) }
  func numbers(_ key: String) -> [String: Double] {
    guard case .object(let fields)? = fields[key] else { return [:] }
    return fields.compactMapValues(\.double)
  }
  func tensors(_ key: String) -> [Tensor] { fields[key]!.elements!.map(Self.tensor) }

  static func tensor(_ value: ConfigValue) -> Tensor {
    guard case .object(let fields) = value else { fatalError("a tensor that isn't an object") }
    let shape = Shape(fields["shape"]!.elements!.map { $0.int! })
    let dtype = DType(rawValue: fields["dtype"]!.text!)!
    let storage = Storage(byteCount: shape.elementCount * dtype.byteCount)
    if let base64 = fields["base64"]?.text {
      let data = Data(base64Encoded: base64)!
      data.copyBytes(to: storage.bytes.assumingMemoryBound(to: UInt8.self), count: storage.byteCount)
    } else {
      for (index, element) in fields["data"]!.elements!.enumerated() {
        storeElement(
          element.double ?? element.bool.map { $0 ? 1 : 0 } ?? Double(element.text!)!, at: index,
          in: storage.bytes, dtype: dtype)
      }
    }
    return Tensor(storage, shape: shape, dtype: dtype)
  }
}

/// Element by element within `tolerance` of the larger of 1 and the value.
func expectClose(
  _ found: Tensor, _ expected: Tensor, _ tolerance: Double = 1e-5, _ what: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(found.shape == expected.shape, "\(what)", sourceLocation: sourceLocation)
  let differences = zip(found.doubles, expected.doubles).map { abs($0 - $1) / max(1, abs($1)) }
  let worst = differences.max() ?? 0
  #expect(worst <= tolerance && !worst.isNaN, "\(what): differs by \(worst)", sourceLocation: sourceLocation)
}
