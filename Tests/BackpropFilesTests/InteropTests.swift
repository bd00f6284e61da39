import BackpropData
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

/// Writes files for `Tests/interop/check_files.py`, which opens them with h5py and Keras. Run by `scripts/test --interop`,
/// which says where to put them.
private let folder = ProcessInfo.processInfo.environment["BACKPROP_INTEROP"]

@Suite("Files for h5py and Keras", .enabled(if: folder != nil))
struct InteropTests {
  static func write(_ pieces: [FilePiece], to name: String) throws {
    try AtomicFile.write(to: "\(folder!)/\(name)") { file in
      for piece in pieces { try piece.withBytes { try file.write($0) } }
    }
  }

  @Test("HDF5: every dtype and shape, and a large group")
  func hdf5() throws {
    try Self.write(HDF5Writer.pieces(HDF5Tests.sample()), to: "sample.h5")
    var large = HDF5Group()
    for index in 0..<2500 {
      large[["vars"]].tensors["\(index)"] = Tensor(Int32(index))
      large[["g\(index)"]].attributes["name"] = "layer \(index)"
    }
    try Self.write(HDF5Writer.pieces(large), to: "large.h5")
  }
}
