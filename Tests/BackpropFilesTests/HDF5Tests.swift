import BackpropTensors
import Testing

@testable import BackpropFiles

@Suite("HDF5 files")
struct HDF5Tests {
  static func read(_ name: String) throws -> HDF5Reader { try HDF5Reader(ByteRegion(path: fixture(name))) }

  @Test("every dtype that h5py writes reads as its numbers", arguments: DType.allCases)
  func types(_ dtype: DType) throws {
    let tensor = try Self.read("types.h5").tensor(at: "types/\(dtype)")
    #expect(areIdentical(tensor, counting([3, 5], dtype)))
  }

  @Test("scalars, empty arrays, rank 5, empty groups, attributes of every kind")
  func shapes() throws {
    let file = try Self.read("types.h5")
    #expect(areIdentical(try file.tensor(at: "shapes/scalar"), Tensor(7 as Float)))
    #expect(try file.tensor(at: "shapes/empty").shape == [0, 3])
    #expect(areIdentical(try file.tensor(at: "shapes/rank5"), counting([1, 2, 3, 2, 1], .int32)))
    #expect(file.groups.keys.sorted() == ["", "nothing", "shapes", "types"])
    #expect(try file.string("name", at: "") == "a name with ümlauts")
    #expect(try file.string("fixed", at: "types") == "fixed")
    #expect(try file.strings("names", at: "types") == ["a", "", "long enough to be anywhere"])
    for index in 0..<12 {
      #expect(try file.string("attribute\(index)", at: "shapes") == "value \(index)")
    }
    #expect(try file.string("missing", at: "shapes") == nil)
  }

  @Test(
    "chunks, with and without filters",
    arguments: ["plain", "deflate", "shuffled", "checked", "all"])
  func chunks(_ name: String) throws {
    #expect(areIdentical(try Self.read("chunks.h5").tensor(at: name), counting([23, 17], .float32)))
  }

  @Test("compact datasets and chunks of rank 3")
  func compact() throws {
    let file = try Self.read("chunks.h5")
    #expect(areIdentical(try file.tensor(at: "compact"), counting([2, 3], .float32)))
    #expect(areIdentical(try file.tensor(at: "rank3"), counting([5, 4, 7], .int16)))
  }

  @Test("a group of 300 has two levels of B-tree")
  func many() throws {
    let file = try Self.read("many.h5")
    #expect(file.datasets.count == 300)
    for index in 0..<300 { #expect(try file.tensor(at: "vars/\(index)").item() == Double(index % 100)) }
  }

  @Test("the newest format, and a file behind a user's block", arguments: ["newest.h5", "userblock.h5"])
  func newest(_ name: String) throws {
    let file = try Self.read(name)
    #expect(areIdentical(try file.tensor(at: "group/matrix"), counting([3, 5], .float32)))
    #expect(try file.string("name", at: "group") == "newest")
  }

  @Test(
    "what could lead out of the file, or never end, is refused by name",
    arguments: [
      ("soft-link", "there: expected an object, found a soft link"),
      ("external-link", "expected an object, found an external link, 'there'"),
      ("hard-link", "found a second way to it (a hard link or a cycle)"),
      ("external-data", "x: expected elements in this file, found an external dataset"),
      ("virtual", "found a virtual dataset"), ("big-endian", "found floats in another byte order"),
      ("unwritten", "expected the elements' place, found none: they were never written"),
    ])
  func refused(_ name: String, _ words: String) throws {
    let text = message { _ = try Self.read("refused-\(name).h5") }
    #expect(text.contains(words), "\(text)")
    #expect(text.contains("refused-\(name).h5: "))
  }

  /// A file with something of everything that the writer writes.
  static func sample() -> HDF5Group {
    var root = HDF5Group()
    root.attributes = ["name": "sample ü", "empty": ""]
    for dtype in DType.allCases { root[["types", dtype.rawValue]].tensors["0"] = counting([3, 5], dtype) }
    root[["shapes"]].tensors = [
      "scalar": Tensor(7 as Float), "empty": Tensor([] as [Float], shape: [0, 3]),
      "rank5": counting([1, 2, 3, 2, 1], .int32),
    ]
    root[["nothing", "vars"]].attributes["name"] = "nothing"
    return root
  }

  @Test("what is written reads back bit for bit")
  func roundTrip() throws {
    let file = try HDF5Reader(ByteRegion(joined(HDF5Writer.pieces(Self.sample())), name: "memory"))
    for dtype in DType.allCases {
      #expect(areIdentical(try file.tensor(at: "types/\(dtype)/0"), counting([3, 5], dtype)))
    }
    #expect(areIdentical(try file.tensor(at: "shapes/rank5"), counting([1, 2, 3, 2, 1], .int32)))
    #expect(try file.tensor(at: "shapes/scalar").item() == 7)
    #expect(try file.tensor(at: "shapes/empty").shape == [0, 3])
    #expect(try file.string("name", at: "") == "sample ü")
    #expect(try file.string("empty", at: "") == "")
    #expect(try file.string("name", at: "nothing/vars") == "nothing")
    #expect(file.datasets.count == DType.allCases.count + 3)
  }

  @Test("groups of any size", arguments: [0, 1, 8, 9, 256, 257, 2000, 9000])
  func groupSizes(_ count: Int) throws {
    var root = HDF5Group()
    for index in 0..<count { root.tensors["\(index)"] = Tensor(Int32(index)) }
    let file = try HDF5Reader(ByteRegion(joined(HDF5Writer.pieces(root)), name: "memory"))
    #expect(file.datasets.count == count)
    for index in stride(from: 0, to: count, by: 7) {
      #expect(try file.tensor(at: "\(index)").item() == Double(index))
    }
  }

  @Test("more than a collection's worth of attributes")
  func manyAttributes() throws {
    var root = HDF5Group()
    for index in 0..<2500 { root[["g\(index)"]].attributes["name"] = "layer \(index)" }
    let file = try HDF5Reader(ByteRegion(joined(HDF5Writer.pieces(root)), name: "memory"))
    for index in 0..<2500 { #expect(try file.string("name", at: "g\(index)") == "layer \(index)") }
  }

  /// Reads everything there is.
  static func readAll(_ bytes: [UInt8]) {
    guard let file = try? HDF5Reader(ByteRegion(bytes, name: "damaged")) else { return }
    for path in file.datasets.keys {
      _ = try? file.tensor(at: path)
      _ = try? file.string("dtype", at: path)
    }
    for path in file.groups.keys {
      for name in file.groups[path]!.keys { _ = try? file.strings(name, at: path) }
    }
  }

  @Test("no damage to a file of our own makes the reader trap")
  func ownDamage() {
    var root = HDF5Group()
    root.attributes["name"] = "model"
    root[["layers", "dense", "vars"]].tensors = [
      "0": counting([2, 3], .float32), "1": counting([3], .bfloat16),
    ]
    forEachDamaged(joined(HDF5Writer.pieces(root)), Self.readAll)
  }
}
