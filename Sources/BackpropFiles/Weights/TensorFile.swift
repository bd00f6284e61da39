import BackpropData
import BackpropNetworks
import BackpropTensors

/// The tensors of any file that is read here, by name, and what else it says: for looking into it.
package struct TensorFile {
  package enum Kind: String {
    case keras = "Keras model"
    case legacyKeras = "Keras model in HDF5"
    case hdf5 = "HDF5"
    case safetensors, npy, npz
    case idx = "IDX"
    case events = "TensorBoard events"
  }

  package let path: String
  package let kind: Kind
  package let byteCount: Int
  /// What the file says of itself.
  package private(set) var facts: [(name: String, value: String)] = []
  package private(set) var names: [String] = []
  private let read: (String) throws -> Tensor

  package func tensor(_ name: String) throws -> Tensor { try read(name) }

  /// - Throws: `DataError` for a file that can't be read, or of a kind that isn't.
  package init(_ path: String) throws {
    let region = try ByteRegion(path: path)
    self.path = path
    byteCount = region.count
    let first = try region.bytes(at: 0, count: min(region.count, 8))
    if ZipArchive.isZip(region) {
      let archive = try ZipArchive(region)
      if let member = archive.member(KerasPaths.weights) {
        kind = .keras
        let reader = try HDF5Reader(archive.contents(of: member))
        names = Self.sorted(reader.datasets.keys)
        read = reader.tensor
        if let metadata = archive.member(KerasPaths.metadata) {
          let contents = try archive.contents(of: metadata)
          let value = try JSONParser.parse(
            contents.bytes(at: 0, count: contents.count), name: "\(path): \(KerasPaths.metadata)")
          if case .object(let fields) = value {
            facts = fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value.text ?? $0.value.kindName) }
          }
        }
      } else {
        kind = .npz
        let tensors = try NPZ.decode(archive, name: path)
        names = Self.sorted(tensors.keys)
        read = { tensors[$0]! }
      }
    } else if first == HDF5Superblock.signature || (try? HDF5Superblock(region)) != nil {
      let reader = try HDF5Reader(region)
      let config = try? reader.string(LegacyKerasFile.config, at: "")
      kind = config == nil ? .hdf5 : .legacyKeras
      for name in ["keras_version", "backend"] {
        if let value = try? reader.string(name, at: "") { facts.append((name, value)) }
      }
      names = Self.sorted(reader.datasets.keys)
      read = reader.tensor
    } else if first.starts(with: NPYHeader.magic) {
      kind = .npy
      names = ["array"]
      read = { _ in try NPY.decode(region) }
    } else if SafetensorsReader.fits(region) {
      kind = .safetensors
      let reader = try SafetensorsReader(region)
      names = Self.sorted(reader.entries.keys)
      facts = reader.metadata.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
      read = { try reader.tensor(reader.entries[$0]!) }
    } else if first.starts(with: [0, 0]) || first.starts(with: [0x1F, 0x8B]) {
      kind = .idx
      let tensor = try IDX.load(path)
      names = ["array"]
      read = { _ in tensor }
    } else if EventFile.fits(region) {
      kind = .events
      let events = try EventFile(region)
      names = Self.sorted(events.scalars.keys)
      facts = [
        ("events", events.isCutShort ? "\(events.eventCount) and a part of one" : "\(events.eventCount)")
      ]
      facts += events.others.sorted { $0.key < $1.key }.map { ($0.key, "×\($0.value)") }
      read = { Tensor(events.scalars[$0]!.map(\.value)) }
    } else {
      throw DataError(
        file: path, place: .offset(0),
        expected: "a Keras model, HDF5, safetensors, npy, npz, IDX or event file",
        found: first.isEmpty ? "an empty file" : hexadecimal(first))
    }
  }

  /// Every tensor. Takes memory for all of them.
  package func tensors() throws -> [String: Tensor] {
    try Dictionary(uniqueKeysWithValues: names.map { ($0, try read($0)) })
  }

  /// Numbers inside names by their value: `vars/2` before `vars/10`.
  private static func sorted(_ names: some Collection<String>) -> [String] {
    names.map { name in (name, parts(name)) }.sorted { $0.1.lexicographicallyPrecedes($1.1) }.map(\.0)
  }

  private struct Part: Comparable {
    let number: Int
    let text: Substring
    static func < (a: Part, b: Part) -> Bool {
      a.number != b.number ? a.number < b.number : a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }
  }

  private static func parts(_ name: String) -> [Part] {
    name.split(whereSeparator: { "/._#".contains($0) }).map { Part(number: Int($0) ?? -1, text: $0) }
  }
}
