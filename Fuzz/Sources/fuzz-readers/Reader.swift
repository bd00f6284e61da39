@testable import BackpropData
@testable import BackpropFiles
@testable import BackpropImages
import BackpropNetworks

/// Every reader of files, each made to read all that its bytes hold. The one list of them: `scripts/fuzz` asks for it.
enum Reader: String, CaseIterable {
  case zip, hdf5, json, safetensors, npy, npz, idx, csv, events, checkpoint, keras, legacy, png, jpeg

  func read(_ bytes: [UInt8]) throws {
    let region = ByteRegion(bytes, name: "input")
    switch self {
    case .zip:
      let archive = try ZipArchive(region)
      for member in archive.members { _ = try? archive.contents(of: member) }
    case .hdf5:
      let file = try HDF5Reader(region)
      for path in file.datasets.keys {
        _ = try? file.tensor(at: path)
        _ = try? file.string("dtype", at: path)
      }
      for (path, attributes) in file.groups {
        for name in attributes.keys { _ = try? file.strings(name, at: path) }
      }
    case .json:
      // What was read is written and read again to the same.
      let written = JSONWriter.write(try JSONParser.parse(bytes, name: "input"))
      let again = JSONWriter.write(try! JSONParser.parse(written, name: "written"))
      guard again == written else { fatalError("\(excerpt(written)) became \(excerpt(again))") }
    case .safetensors:
      let reader = try SafetensorsReader(region)
      for entry in reader.entries.values { _ = try? reader.tensor(entry) }
    case .npy: _ = try NPY.decode(region)
    case .npz: _ = try NPZ.decode(ZipArchive(region), name: "input")
    case .idx: _ = try IDX.decode(bytes)
    case .csv:
      _ = try? CSV.decode(bytes, label: .last)
      _ = try CSV.decode(bytes, options: CSV.Options(delimiter: ";"))
    case .events: _ = try EventFile(ByteRegion(Checksums.ofEvents(bytes), name: "input"))
    case .checkpoint: _ = try TrainingState.read(region)
    case .keras:
      // Without the archive around them, whose checksums would keep every changed byte from the readers behind it.
      let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { return }
      var reader = KerasModelReader(file: "input")
      _ = try reader.model(
        config: Array(parts[0]), weights: ByteRegion(Array(parts[1]), name: "weights"), seed: 0)
    case .legacy: _ = try LegacyKerasFile(region).model(seed: 0)
    case .png, .jpeg:
      // The first byte says what is asked for, so that every transformation is tried. A smaller limit than users have:
      // what must hold is that it is kept.
      let mode = ColorMode.allCases[Int(bytes.first ?? 0) % ColorMode.allCases.count]
      let file = Array(bytes.dropFirst())
      let image = self == .png ? Checksums.ofPNG(file) : file
      try ImageFile.withPixels(of: image, mode, name: "input", mostPixels: 1 << 21) {
        pixels in
        guard pixels.bytes.count <= mode.channels << 21 else { fatalError("\(pixels.bytes.count) bytes") }
      }
    }
  }
}
