import BackpropData
import BackpropImages
import BackpropNetworks
import BackpropTensors
import Foundation
import TestSupport
import Testing

@testable import BackpropFiles

/// Files of at most 4 kB of every format, damaged in every way of the table in `Damage`, and, of formats that have none so
/// small, larger ones at one of so many places: nothing ends the process, and what is refused names the file and the place
/// in it.
@Suite("Damaged files") struct DamageTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let order: Damage.ByteOrder
    /// The largest that it may be.
    var limit = 4096
    /// Only one of so many places is damaged.
    var step = 1
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
    // No group of either is smaller than its tables.
    Case(
      name: "HDF5, as h5py writes it", order: .little, limit: 8192,
      bytes: { try bytesOf("small.h5") },
      read: readHDF5),
    Case(
      name: "HDF5, as h5py writes it with libver='latest'", order: .little, limit: 8192,
      bytes: { try bytesOf("newest.h5") }, read: readHDF5),
    Case(name: "HDF5 of our own", order: .little, limit: 8192, bytes: ownHDF5, read: readHDF5),
    Case(name: "checkpoint", order: .little, bytes: checkpoint) { bytes in
      _ = try TrainingState.read(region(bytes))
    },
    Case(name: "events", order: .little, bytes: events) { bytes in _ = try EventFile(region(bytes)) },
    Case(name: "JSON", order: .little, bytes: { Array(json.utf8) }) { bytes in
      _ = try JSONParser.parse(bytes, name: "damaged")
    },
    Case(name: "Keras model", order: .little, limit: 12288, bytes: kerasModel) { bytes in
      let archive = try ZipArchive(region(bytes))
      let members = try [KerasPaths.config, KerasPaths.weights].compactMap(archive.member).map(
        archive.contents)
      var reader = KerasModelReader(file: "damaged")
      guard members.count == 2 else {
        throw DataError(file: "damaged", place: .part("members"), expected: "2", found: "less")
      }
      _ = try reader.model(
        config: members[0].bytes(at: 0, count: members[0].count), weights: members[1], seed: 0)
    },
    // What zip's checksums keep from the readers behind them, they see here.
    Case(
      name: "Keras model in HDF5", order: .little, limit: 1 << 16, step: 97,
      bytes: { try bytesOf("legacy.h5") }
    ) { bytes in _ = try LegacyKerasFile(region(bytes)).model(seed: 0) },
    Case(name: "IDX", order: .big, bytes: { idx }) { bytes in _ = try IDX.decode(bytes, name: "damaged") },
    Case(name: "compressed IDX", order: .little, bytes: { compressedIDX }) { bytes in
      _ = try IDX.decode(bytes, name: "damaged")
    },
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

  private static let compressedIDX: [UInt8] = [
    0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x63, 0x60, 0xE0, 0x66, 0x62, 0x60,
    0x60, 0x00, 0x61, 0x66, 0x06, 0x46, 0x26, 0x66, 0x16, 0x56, 0x36, 0x76, 0x0E, 0x4E, 0x2E, 0x6E,
    0x00, 0x1E, 0xB3, 0x6D, 0x47, 0x18, 0x00, 0x00, 0x00,
  ]

  @Sendable private static func kerasModel() throws -> [UInt8] {
    let model = Sequential(seed: 1) { Dense(1) }
    try model.build(sampleShape: [2])
    let folder = try TemporaryFolder()
    let path = folder.path + "/model.keras"
    try model.save(path)
    return try bytes(of: path)
  }

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
    try entry.read(bytes)
    #expect(bytes.count <= entry.limit)
    var (readCount, refusedCount) = (0, 0)
    var complaints: Set<String> = []
    Damage(bytes, entry.order, step: entry.step).forEach { copy in
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
    #expect(refusedCount > bytes.count / 2 / entry.step)
    #expect(complaints.isEmpty, "\(complaints.prefix(5).joined(separator: "\n"))")
  }
}
