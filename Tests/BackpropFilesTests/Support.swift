import BackpropData
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

/// A folder that is gone when the test is over.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("backprop-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}

/// The path of a committed file in Tests/Fixtures/files.
func fixture(_ name: String) -> String {
  URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/files/\(name)").path
}

func bytes(of path: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(fileURLWithPath: path))) }

func joined(_ pieces: [FilePiece]) -> [UInt8] { pieces.flatMap { $0.withBytes { Array($0) } } }

/// The message of the `DataError` that `body` throws.
func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return "no error"
  } catch let error as DataError {
    return "\(error)"
  } catch {
    return "not a DataError: \(error)"
  }
}

/// Damaged copies: every truncation, and each byte set to 0 and 255 and made one more and one less.
func forEachDamaged(_ bytes: [UInt8], _ body: ([UInt8]) -> Void) {
  for count in bytes.indices { body(Array(bytes[..<count])) }
  var copy = bytes
  for index in bytes.indices {
    for value in [0, 255, bytes[index] &+ 1, bytes[index] &- 1] {
      copy[index] = value
      body(copy)
    }
    copy[index] = bytes[index]
  }
}

/// Element i is i modulo 100, or modulo 2 for bool, as in the fixtures of hdf5_files.py.
func counting(_ shape: Shape, _ dtype: DType) -> Tensor {
  let period = dtype == .bool ? 2 : 100
  let storage = Storage(byteCount: shape.elementCount * dtype.byteCount)
  for index in 0..<shape.elementCount {
    storeElement(Double(index % period), at: index, in: storage.bytes, dtype: dtype)
  }
  return Tensor(storage, shape: shape, dtype: dtype)
}

/// Same type and same bits.
func areIdentical(_ a: Tensor, _ b: Tensor) -> Bool {
  a.type == b.type && a.withUnsafeBytes { Array($0) } == b.withUnsafeBytes { Array($0) }
}
