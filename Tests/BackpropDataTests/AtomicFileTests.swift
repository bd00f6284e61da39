import Foundation
import Testing

@testable import BackpropData

@Suite("Files that appear whole or not at all")
struct AtomicFileTests {
  private struct Stop: Error {}

  private func contents(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

  @Test("a new file, then another in its place, and nothing else in the folder")
  func writes() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/a"
    for text in ["first", "second, longer", ""] {
      try AtomicFile.write(to: path) { try $0.write(Array(text.utf8)) }
      #expect(contents(path) == text)
      #expect(folder.names == ["a"])
    }
  }

  @Test("when writing fails half-way the old file stays and the new one goes")
  func failure() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/a"
    try AtomicFile.write(to: path) { try $0.write(Array("old".utf8)) }
    #expect(throws: Stop.self) {
      try AtomicFile.write(to: path) { file in
        try file.write(Array("half of the n".utf8))
        throw Stop()
      }
    }
    #expect(contents(path) == "old")
    #expect(folder.names == ["a"])
  }

  @Test("a link stays a link, and permissions stay as they were")
  func linksAndPermissions() throws {
    let folder = try TemporaryFolder()
    let (path, link) = (folder.path + "/a", folder.path + "/link")
    try AtomicFile.write(to: path) { try $0.write(Array("old".utf8)) }
    try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
    try AtomicFile.write(to: link) { try $0.write(Array("new".utf8)) }
    #expect(contents(path) == "new")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == path)
    #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o640)
  }

  @Test("paths that can't be written are known before any work, with the system's reason")
  func unwritable() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/no/a"
    #expect(
      message { try AtomicFile.checkWritable(path) }
        == "\(path): expected to open the folder \(folder.path)/no, found No such file or directory")
    #expect(
      message { try AtomicFile.checkWritable(folder.path) }
        == "\(folder.path): expected the path of a file to write, found a folder")
    #expect(
      message { try AtomicFile.checkWritable("/dev/null") }
        == "/dev/null: expected the path of a file to write, found something that isn't a regular file")
    #expect(
      message { try AtomicFile.checkWritable("") }
        == ": expected the path of a file to write, found an empty path")
    try AtomicFile.checkWritable(folder.path + "/a")
    #expect(folder.names == [])
  }
}
