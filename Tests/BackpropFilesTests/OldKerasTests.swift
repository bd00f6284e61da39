import BackpropData
import Foundation
import Testing

@testable import BackpropFiles

/// Models that Keras 3.0.5 wrote, one for each class of layers that it has.
@Suite("Files of Keras 3.0.5") struct OldKerasTests {
  @Test("weights and state to the bit, predictions and one more step of Adam within 1e-5")
  func read() throws {
    let archive = try ZipArchive(try ByteRegion(path: fixture("keras-3.0.5.zip")))
    let folder = try TemporaryFolder()
    var classes: [String] = []
    for member in archive.members {
      let region = try archive.contents(of: member)
      let bytes = try region.bytes(at: 0, count: region.count)
      try Data(bytes).write(to: URL(fileURLWithPath: "\(folder.path)/\(member.name)"))
      if member.name.hasSuffix(".keras") { classes.append(String(member.name.dropLast(6))) }
    }
    #expect(classes.count > 80, "\(classes)")
    for name in classes {
      let path = "\(folder.path)/\(name)"
      _ = try SavedModel(path: "\(path).keras", facts: "\(path).json").differences()
    }
  }
}
