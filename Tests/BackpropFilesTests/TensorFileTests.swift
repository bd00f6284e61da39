import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

@Suite("Tensor files")
struct TensorFileTests {
  static let shapes: [String: Tensor] = [
    "scalar": Tensor(7 as Float), "empty": Tensor([] as [Float], shape: [0, 3]),
    "rank5": counting([1, 2, 3, 2, 1], .int32),
  ]

  /// What the fixtures hold; NumPy has no bfloat16.
  static func expected(bfloat16: Bool) -> [String: Tensor] {
    var result = shapes
    for dtype in DType.allCases where bfloat16 || dtype != .bfloat16 {
      result["types.\(dtype)"] = counting([3, 5], dtype)
    }
    return result
  }

  static func expectSame(_ found: [String: Tensor], _ expected: [String: Tensor]) {
    #expect(found.keys.sorted() == expected.keys.sorted())
    for (name, tensor) in expected { #expect(areIdentical(found[name]!, tensor), "\(name)") }
  }

  @Test("what PyTorch wrote as safetensors", arguments: [true, false])
  func safetensors(mapped: Bool) throws {
    let path = fixture("tensors.safetensors")
    Self.expectSame(try Safetensors.load(path, mapped: mapped), Self.expected(bfloat16: true))
    #expect(try Safetensors.metadata(path) == ["format": "pt"])
  }

  @Test("what NumPy wrote", arguments: ["tensors.npz", "deflated.npz"])
  func npz(_ name: String) throws {
    Self.expectSame(try NPZ.load(fixture(name)), Self.expected(bfloat16: false))
  }

  @Test("one array: plain, of version 2, and with its first axis fastest")
  func npy() throws {
    #expect(areIdentical(try NPY.load(fixture("matrix.npy")), counting([3, 5], .float32)))
    #expect(areIdentical(try NPY.load(fixture("matrix.npy"), mapped: true), counting([3, 5], .float32)))
    #expect(areIdentical(try NPY.load(fixture("version2.npy")), counting([3, 5], .float64)))
    #expect(areIdentical(try NPY.load(fixture("fortran.npy")), counting([3, 5, 2], .int16)))
  }

  @Test("NumPy's own bytes are written")
  func bytesOfNumPy() throws {
    let folder = try TemporaryFolder()
    try NPY.save(counting([3, 5], .float32), to: folder.path + "/a.npy")
    #expect(try bytes(of: folder.path + "/a.npy") == bytes(of: fixture("matrix.npy")))
  }

  @Test("what is written reads back bit for bit, mapped or not")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    let all = Self.expected(bfloat16: true).merging(["ü \"quoted\"": counting([40, 16], .float32)]) { $1 }
    try Safetensors.save(all, to: folder.path + "/a.safetensors", metadata: ["note": "line\nbreak"])
    Self.expectSame(try Safetensors.load(folder.path + "/a.safetensors"), all)
    Self.expectSame(try Safetensors.load(folder.path + "/a.safetensors", mapped: true), all)
    #expect(try Safetensors.metadata(folder.path + "/a.safetensors") == ["note": "line\nbreak"])
    try NPZ.save(Self.expected(bfloat16: false), to: folder.path + "/a.npz")
    Self.expectSame(try NPZ.load(folder.path + "/a.npz"), Self.expected(bfloat16: false))
    for (name, tensor) in Self.expected(bfloat16: false) {
      try NPY.save(tensor, to: folder.path + "/a.npy")
      #expect(areIdentical(try NPY.load(folder.path + "/a.npy"), tensor), "\(name)")
    }
  }

  @Test("a mapped tensor outlives the call that made it, and lies where the file does")
  func mapping() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/a.safetensors"
    let tensor = counting([64, 64], .float32)
    try Safetensors.save(["x": tensor], to: path)
    let mapped = try #require(try Safetensors.load(path, mapped: true)["x"])
    // The bytes of the file itself: what is written to it appears in the tensor.
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try file.seek(toOffset: UInt64(file.seekToEndOfFile()) - 4)
    try file.write(contentsOf: Data([0, 0, 0x28, 0x42]))
    #expect(mapped.floats.last == 42)
    #expect(Array(mapped.floats.dropLast()) == Array(tensor.floats.dropLast()))
  }

  @Test(
    "what can't be read is refused by name",
    arguments: [
      (
        "refused-dtype.safetensors",
        "x: expected a dtype among F32, F64, BF16, F16, I8, I16, I32, I64, U8, BOOL, found 'U16'"
      ),
      (
        "refused-objects.npy",
        "found '|O', pickled objects, which would run code; save it from NumPy as float32"
      ),
      ("refused-order.npy", "found '>f4', in another byte order"),
      ("refused-structure.npy", "expected one dtype for 'descr', found a structure of several"),
      (
        "refused-half.npy",
        "offset 10: expected a dtype among <f4, <f8, <f2, |i1, <i2, <i4, <i8, |u1, |b1, found '<V2'"
      ),
      ("deflated.zip", "expected members whose names end in .npy, found this one"),
      ("types.h5", "expected "),
    ])
  func refused(_ name: String, _ words: String) {
    let path = fixture(name)
    let text = message {
      switch name.split(separator: ".").last! {
      case "npy": _ = try NPY.load(path)
      case "zip": _ = try NPZ.load(path)
      default: _ = try Safetensors.load(path)
      }
    }
    #expect(text.hasPrefix(path) && text.contains(words), "\(text)")
  }

  static func header(_ json: String, elements: Int = 0) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(little: UInt64(json.utf8.count))
    return bytes + Array(json.utf8) + [UInt8](repeating: 0, count: elements)
  }

  @Test(
    "a safetensors header that can't be is refused with the tensor and both values",
    arguments: [
      (
        #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4,
        "a: expected as many bytes as shape [2] of float32 takes, found 4"
      ),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8,
        "expected the end behind the last tensor, found 4 bytes more"
      ),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8,
        "a: expected elements at 0, behind those before, found 4"
      ),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        4,
        "expected elements at 4, behind those before, found 0"
      ),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}"#, 4,
        "a: expected data_offsets from 0 to 4"
      ),
      (
        #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#, 4,
        "as many bytes as shape"
      ),
      (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "a: expected a shape"),
      (#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, 4, "a: expected a dtype, found none"),
      (#"{"a":7}"#, 0, "a: expected an object, found a number"),
      (#"{"__metadata__":{"a":1}}"#, 0, "__metadata__: expected texts, found a number"),
      ("[]", 0, "offset 8: expected an object, found a list"),
    ])
  func headers(_ json: String, _ elements: Int, _ words: String) {
    let text = message {
      _ = try SafetensorsReader(ByteRegion(Self.header(json, elements: elements), name: "x"))
    }
    #expect(text.hasPrefix("x: ") && text.contains(words), "\(text)")
  }

  @Test("sizes that lead out of the file are refused with their offset")
  func sizes() {
    for size in [3, 100, 1 << 31, 1 << 62, -1] {
      var bytes: [UInt8] = []
      bytes.append(little: Int64(size))
      let text = message { _ = try SafetensorsReader(ByteRegion(bytes + Array("{}".utf8), name: "x")) }
      #expect(text.hasPrefix("x: offset 0: "), "\(text)")
    }
    #expect(message { _ = try SafetensorsReader(ByteRegion([1, 2], name: "x")) }.hasPrefix("x: offset "))
  }

  static func readSafetensors(_ bytes: [UInt8]) {
    guard let reader = try? SafetensorsReader(ByteRegion(bytes, name: "x")) else { return }
    for entry in reader.entries.values { _ = try? reader.tensor(entry) }
  }

  static func readNPZ(_ bytes: [UInt8]) {
    guard let archive = try? ZipArchive(ByteRegion(bytes, name: "x")) else { return }
    _ = try? NPZ.decode(archive, name: "x")
  }

  @Test("no damage makes a reader trap")
  func damage() throws {
    forEachDamaged(try bytes(of: fixture("tensors.safetensors")), Self.readSafetensors)
    forEachDamaged(try bytes(of: fixture("fortran.npy"))) { _ = try? NPY.decode(ByteRegion($0, name: "x")) }
    forEachDamaged(try bytes(of: fixture("version2.npy"))) { _ = try? NPY.decode(ByteRegion($0, name: "x")) }
    let folder = try TemporaryFolder()
    try NPZ.save(["a": counting([2, 3], .int16), "b": Tensor(true)], to: folder.path + "/a.npz")
    forEachDamaged(try bytes(of: folder.path + "/a.npz"), Self.readNPZ)
  }
}
