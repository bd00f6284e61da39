import CZlib
import Testing

@testable import BackpropFiles

@Suite("Zip files")
struct ZipTests {
  static func sample() -> [UInt8] {
    var writer = ZipWriter()
    writer.add("a.json", Array("{}".utf8))
    writer.add("empty", [UInt8]())
    writer.add("ü/b.h5", [.bytes([1, 2, 3]), .tensor(counting([2], .float32)), .bytes([9])])
    return joined(writer.pieces())
  }

  @Test("what is written reads back, in order")
  func roundTrip() throws {
    let archive = try ZipArchive(ByteRegion(Self.sample(), name: "memory"))
    #expect(archive.members.map(\.name) == ["a.json", "empty", "ü/b.h5"])
    let contents = try archive.members.map { member in
      let region = try archive.contents(of: member)
      return try region.bytes(at: 0, count: region.count)
    }
    #expect(contents == [Array("{}".utf8), [], [1, 2, 3, 0, 0, 0, 0, 0, 0, 0x80, 0x3F, 9]])
  }

  /// The sizes of `streamed` stand behind it, as they do in a pipe.
  @Test("deflated members, as Python writes them")
  func deflated() throws {
    let archive = try ZipArchive(ByteRegion(path: fixture("deflated.zip")))
    let text = Array(String(repeating: "abc", count: 1000).utf8)
    for name in ["text", "streamed"] {
      let member = try #require(archive.member(name))
      let region = try archive.contents(of: member)
      #expect(region.count == 3000)
      #expect(try region.bytes(at: 0, count: 3000) == text)
    }
  }

  @Test("a changed byte of a member is noticed by its checksum")
  func checksum() throws {
    var bytes = Self.sample()
    bytes[36] ^= 1
    let text = message {
      let archive = try ZipArchive(ByteRegion(bytes, name: "x.keras"))
      _ = try archive.contents(of: archive.members[0])
    }
    #expect(text.hasPrefix("x.keras: a.json: expected the checksum "), "\(text)")
    #expect(text.hasSuffix(": the file is damaged"))
  }

  /// By the definition: bit by bit.
  private static func plainCRC(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    ~bytes.reduce(UInt32.max) { value, byte in
      (0..<8).reduce(value ^ UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
  }

  @Test("the checksum of any number of bytes, in any pieces and at any place in memory")
  func crc() {
    #expect(Self.plainCRC(Array("123456789".utf8)[...]) == 0xCBF4_3926)
    var state: UInt32 = 1
    let bytes = (0..<2000).map { _ -> UInt8 in
      state = state &* 1_664_525 &+ 1_013_904_223
      return UInt8(state >> 24)
    }
    for (start, first, second) in [
      (0, 0, 0), (0, 1, 0), (1, 63, 64), (0, 64, 0), (3, 64, 1), (5, 127, 129), (7, 128, 320),
      (0, 1000, 1000),
    ] {
      var checksum = CRC32()
      bytes.withUnsafeBytes { memory in
        checksum.add(UnsafeRawBufferPointer(rebasing: memory[start..<start + first]))
        checksum.add(UnsafeRawBufferPointer(rebasing: memory[start + first..<start + first + second]))
      }
      #expect(
        checksum.value == Self.plainCRC(bytes[start..<start + first + second]), "\(start) \(first) \(second)")
    }
  }

  @Test(
    "other files are refused in words",
    arguments: [
      ([], "directory at the end, found no directory: the file is cut short or of another kind"),
      (
        Array("PK\u{3}\u{4} and nothing more".utf8),
        "found no directory: the file is cut short or of another kind"
      ),
    ] as [([UInt8], String)])
  func refused(_ bytes: [UInt8], _ words: String) {
    let text = message { _ = try ZipArchive(ByteRegion(bytes, name: "x.zip")) }
    #expect(text.hasPrefix("x.zip: ") && text.hasSuffix(words), "\(text)")
  }

  @Test("members that lie over one another are refused: few bytes could be a thousand large ones")
  func overlapping() {
    var writer = ZipWriter()
    writer.add("a", [UInt8](repeating: 7, count: 200))
    let bytes = joined(writer.pieces())
    let directory = 30 + 1 + 200
    let entry = bytes[directory..<directory + 46]
    var end = Array(bytes.suffix(22))
    (end[8], end[10], end[12]) = (2, 2, 94)
    let doubled = Array(bytes[..<directory] + entry + Array("a".utf8) + entry + Array("b".utf8) + end)
    let text = message { _ = try ZipArchive(ByteRegion(doubled, name: "x.zip")) }
    #expect(
      text
        == "x.zip: offset 278: expected members that lie one behind the other, found more bytes of them than the "
        + "file has, with 'b'", "\(text)")
  }

  static func readAll(_ bytes: [UInt8]) {
    guard let archive = try? ZipArchive(ByteRegion(bytes, name: "damaged")) else { return }
    for member in archive.members { _ = try? archive.contents(of: member) }
  }

  @Test("no damage makes the reader trap")
  func damage() throws {
    forEachDamaged(Self.sample(), Self.readAll)
    forEachDamaged(try bytes(of: fixture("deflated.zip")), Self.readAll)
  }
}
