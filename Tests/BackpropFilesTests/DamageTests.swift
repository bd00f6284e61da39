import BackpropData
import BackpropImages
import BackpropNetworks
import BackpropTensors
import Foundation
import TestSupport
import Testing

@testable import BackpropFiles

/// Files of at most 4 kB of every format, damaged in every way of the table in `Damage`: nothing ends the process, and what
/// is refused names the file and the place in it.
@Suite("Damaged files") struct DamageTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let order: Damage.ByteOrder
    let bytes: @Sendable () throws -> [UInt8]
    /// Reads all that the file holds.
    let read: @Sendable ([UInt8]) throws -> Void
    var testDescription: String { name }
  }

  private static func region(_ bytes: [UInt8]) -> ByteRegion { ByteRegion(bytes, name: "damaged") }

  static let cases: [Case] = [
    Case(name: "zip", order: .little, bytes: { try bytesOf("deflated.zip") }) { bytes in
      let archive = try ZipArchive(region(bytes))
      for member in archive.members { _ = try archive.contents(of: member) }
    },
    Case(name: "npz", order: .little, bytes: { try bytesOf("deflated.npz") }) { bytes in
      _ = try NPZ.decode(ZipArchive(region(bytes)), name: "damaged")
    },
    Case(name: "npy", order: .little, bytes: { try bytesOf("version2.npy") }) { bytes in
      _ = try NPY.decode(region(bytes))
    },
    Case(name: "safetensors", order: .little, bytes: { try bytesOf("tensors.safetensors") }) { bytes in
      let reader = try SafetensorsReader(region(bytes))
      for entry in reader.entries.values { _ = try reader.tensor(entry) }
    },
    Case(
      name: "HDF5, as h5py writes it", order: .little, bytes: { try bytesOf("refused-unwritten.h5") },
      read: readHDF5),
    Case(name: "HDF5 of our own", order: .little, bytes: ownHDF5, read: readHDF5),
    Case(name: "checkpoint", order: .little, bytes: checkpoint) { bytes in
      _ = try TrainingState.read(region(bytes))
    },
    Case(name: "events", order: .little, bytes: events) { bytes in _ = try EventFile(region(bytes)) },
    Case(name: "JSON", order: .little, bytes: { Array(json.utf8) }) { bytes in
      _ = try JSONParser.parse(bytes, name: "damaged")
    },
    Case(name: "IDX", order: .big, bytes: { idx }) { bytes in _ = try IDX.decode(bytes, name: "damaged") },
    Case(name: "CSV", order: .little, bytes: { Array(csv.utf8) }) { bytes in
      _ = try CSV.decode(bytes, name: "damaged", label: .last)
    },
    Case(name: "PNG", order: .big, bytes: { try picture("birds/palette-transparent.png") }, read: readImage),
    Case(name: "interlaced PNG", order: .big, bytes: { try picture("cats/interlaced.png") }, read: readImage),
    Case(name: "JPEG", order: .big, bytes: { try picture("dogs/baseline.jpg") }, read: readImage),
    Case(
      name: "progressive JPEG", order: .big, bytes: { try picture("dogs/progressive.jpg") }, read: readImage),
  ]

  private static func bytesOf(_ name: String) throws -> [UInt8] { try bytes(of: fixture(name)) }
  private static func picture(_ name: String) throws -> [UInt8] {
    try bytes(of: Fixture.folder.appendingPathComponent("images/\(name)").path)
  }

  private static let json =
    #"{"class_name": "Dense", "config": {"units": 64, "x": [1, -2.5e3, null, true], "ü\u00fc\ud83d\ude00": "\n"}}"#
  private static let csv = "a,b,\"label\"\n1,2.5,0\n-3e4,\"4\",1\n0.125,7,2\n"
  private static let idx: [UInt8] = [0, 0, 0x0B, 2, 0, 0, 0, 2, 0, 0, 0, 3] + [UInt8](0..<12)

  @Sendable private static func ownHDF5() throws -> [UInt8] {
    var root = HDF5Group()
    root.attributes["name"] = "model"
    root[["vars"]].tensors = ["0": counting([2, 3], .float32)]
    return joined(HDF5Writer.pieces(root))
  }

  @Sendable private static func checkpoint() throws -> [UInt8] {
    let model = Sequential(seed: 1) { Dense(1) }
    try model.compile(optimizer: SGD(momentum: 0.9), loss: .meanSquaredError)
    let folder = try TemporaryFolder()
    let backup = BackupAndRestore(folder.path, deleteCheckpoint: false)
    try model.fit(Tensor.ones([4, 2]), Tensor.ones([4, 1]), verbose: .silent, callbacks: [backup])
    return try bytes(of: BackupAndRestore.path(in: folder.path))
  }

  @Sendable private static func events() throws -> [UInt8] {
    let folder = try TemporaryFolder()
    let writer = try EventWriter(folder.path)
    try writer.scalar("loss", 0.5, step: 300)
    try writer.text("note", "words", step: 3)
    return try bytes(of: writer.path)
  }

  @Sendable private static func readHDF5(_ bytes: [UInt8]) throws {
    let file = try HDF5Reader(region(bytes))
    for path in file.datasets.keys { _ = try file.tensor(at: path) }
    for (path, attributes) in file.groups {
      for name in attributes.keys { _ = try file.strings(name, at: path) }
    }
  }

  @Sendable private static func readImage(_ bytes: [UInt8]) throws {
    try ImageFile.withPixels(of: bytes, .rgb, name: "damaged", mostPixels: 1 << 20) { pixels in
      #expect(pixels.bytes.count <= 3 << 20)
    }
  }

  @Test("every truncation, every byte, every length field", arguments: cases) func table(entry: Case) throws {
    let bytes = try entry.bytes()
    // Ours are never smaller than the tables of HDF5's groups.
    #expect(bytes.count <= (entry.name == "HDF5 of our own" ? 8192 : 4096))
    var (readCount, refusedCount) = (0, 0)
    var complaints: Set<String> = []
    Damage(bytes, entry.order).forEach { copy in
      do {
        try entry.read(copy)
        readCount += 1
      } catch let error as DataError {
        refusedCount += 1
        if !error.file.hasPrefix("damaged") { complaints.insert("\(error)") }
        // A member of an archive is a place, and stands in the name. An empty file has none.
        if error.place == .wholeFile, error.file == "damaged", !copy.isEmpty {
          complaints.insert("no place: \(error)")
        }
      } catch {
        complaints.insert("not a DataError: \(error)")
      }
    }
    #expect(refusedCount > bytes.count / 2)
    #expect(complaints.isEmpty, "\(complaints.prefix(5).joined(separator: "\n"))")
  }
}
