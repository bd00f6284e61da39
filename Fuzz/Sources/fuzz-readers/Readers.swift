@testable import BackpropData
@testable import BackpropFiles
import Foundation

/// The readers of files, each made to read everything that its bytes hold.
enum Reader: String, CaseIterable {
  case zip, hdf5, json, safetensors, npy, npz, idx, csv, keras, legacy

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
    case .json: _ = try JSONParser.parse(bytes, name: "input")
    case .safetensors:
      let reader = try SafetensorsReader(region)
      for entry in reader.entries.values { _ = try? reader.tensor(entry) }
    case .npy: _ = try NPY.decode(region)
    case .npz: _ = try NPZ.decode(ZipArchive(region), name: "input")
    case .idx: _ = try IDX.decode(bytes)
    case .csv:
      _ = try? CSV.decode(bytes, label: .last)
      _ = try CSV.decode(bytes, options: CSV.Options(delimiter: ";"))
    case .keras:
      let archive = try ZipArchive(region)
      guard let config = archive.member(KerasPaths.config), let weights = archive.member(KerasPaths.weights)
      else { return }
      let contents = try archive.contents(of: config)
      var reader = KerasModelReader(file: "input")
      _ = try reader.model(
        config: contents.bytes(at: 0, count: contents.count), weights: archive.contents(of: weights), seed: 0)
    case .legacy: _ = try LegacyKerasFile(region).model(seed: 0)
    }
  }
}

/// Which one: `FUZZ_READER`.
private let reader: Reader = {
  let name = ProcessInfo.processInfo.environment["FUZZ_READER"] ?? ""
  guard let reader = Reader(rawValue: name) else {
    FileHandle.standardError.write(
      Data("FUZZ_READER: expected one of \(Reader.allCases.map(\.rawValue)), got '\(name)'\n".utf8))
    exit(2)
  }
  return reader
}()

/// What libFuzzer calls with each input. What a reader throws is its right; what stops the program is found.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  _ = try? reader.read(bytes)
  return 0
}
