package import BackpropTensors
import Foundation

/// A file of `Tests/Fixtures`: numbers from elsewhere, made by the script that stands in its `script` field.
package struct Fixture: @unchecked Sendable {
  /// What the file says beside its cases.
  package let facts: [String: Any]
  package let cases: [[String: Any]]

  /// `Tests/Fixtures`
  package static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fixtures")

  /// The fixture `Tests/Fixtures/<name>.json`.
  package init(_ name: String) {
    let data = try! Data(contentsOf: Self.folder.appendingPathComponent("\(name).json"))
    facts = try! JSONSerialization.jsonObject(with: data) as! [String: Any]
    cases = facts["cases"] as! [[String: Any]]
  }

  package func tensor(_ name: String) -> Tensor { Tensor(fixture: facts[name]!) }
}

extension Tensor {
  /// A tensor as the fixtures store it: `{"shape", "dtype", "data"}`, or, when it is large, `"base64"` of little-endian
  /// bytes instead of `"data"`.
  package init(fixture value: Any) {
    let object = value as! [String: Any]
    let shape = Shape((object["shape"] as! [NSNumber]).map(\.intValue))
    let dtype = DType(rawValue: object["dtype"] as! String)!
    if let text = object["base64"] as? String {
      self = Tensor(littleEndian: Data(base64Encoded: text)!, shape: shape, dtype: dtype)
    } else if dtype.isFloatingPoint {
      let numbers = (object["data"] as! [Any]).map {
        ($0 as? NSNumber)?.doubleValue ?? Double($0 as! String)!
      }
      self = Tensor(numbers, shape: shape).cast(to: dtype)
    } else {
      let numbers = (object["data"] as! [NSNumber]).map(\.int64Value)
      self = Tensor(numbers, shape: shape).cast(to: dtype)
    }
  }

  private init(littleEndian data: Data, shape: Shape, dtype: DType) {
    func read<Element: TensorElement>(_: Element.Type) -> Tensor {
      let elements = data.withUnsafeBytes { bytes in
        (0..<shape.elementCount).map {
          bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.size, as: Element.self)
        }
      }
      return Tensor(elements, shape: shape)
    }
    switch dtype {
    case .float32: self = read(Float.self)
    case .float64: self = read(Double.self)
    case .int32: self = read(Int32.self)
    case .int64: self = read(Int64.self)
    case .uint8: self = read(UInt8.self)
    default: fatalError("no fixture holds a large tensor of \(dtype)")
    }
  }
}
