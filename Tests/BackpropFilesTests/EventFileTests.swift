import BackpropData
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

@Suite("Reading event files") struct EventFileTests {
  /// What `EventWriter` writes, without the version record's time.
  private func written() throws -> [UInt8] {
    let folder = try TemporaryFolder()
    let writer = try EventWriter(folder.path)
    try writer.scalar("loss", 0.5, step: 1)
    try writer.scalar("loss", 0.25, step: 300)
    try writer.scalar("accuracy", -1, step: -2)
    try writer.text("note", "words", step: 3)
    try writer.histogram("kernel", Tensor([1, 2, 3] as [Float]), step: 3, buckets: 2)
    return try bytes(of: writer.path)
  }

  @Test("series of numbers, and what else there is") func contents() throws {
    let file = try EventFile(ByteRegion(written(), name: "events"))
    #expect(file.scalars.keys.sorted() == ["accuracy", "loss"])
    #expect(file.scalars["loss"] == [.init(step: 1, value: 0.5), .init(step: 300, value: 0.25)])
    #expect(file.scalars["accuracy"] == [.init(step: -2, value: -1)])
    #expect(file.others == ["kernel": 1, "note": 1])
    #expect(file.eventCount == 6)
    #expect(!file.isCutShort)
  }

  @Test("TensorFlow's older events: simple_value") func simpleValue() throws {
    // step 3; a summary with a value of tag "a" and simple_value 0.5, among fields that aren't known.
    let event: [UInt8] = [0x10, 3, 0x2A, 10, 0x0A, 8, 0x0A, 1, 0x61, 0x15, 0, 0, 0, 0x3F, 0x78, 1]
    let file = try EventFile(ByteRegion(EventRecord.framed(event), name: "events"))
    #expect(file.scalars == ["a": [.init(step: 3, value: 0.5)]])
  }

  @Test("an event that isn't whole is left, as TensorBoard does") func cut() throws {
    let all = try written()
    for count in all.indices {
      let file = try EventFile(ByteRegion(Array(all[..<count]), name: "events"))
      #expect(file.eventCount < 6)
      #expect(file.isCutShort || [0].contains(count) || file.eventCount > 0)
    }
  }

  @Test("a changed byte is noticed, with the offset") func damage() throws {
    let all = try written()
    forEachDamaged(all) { copy in
      if copy.count < all.count || copy == all { return }
      let text = message {
        let file = try EventFile(ByteRegion(copy, name: "events"))
        if file.isCutShort { throw DataError(file: "events", place: .offset(0), expected: "", found: "") }
      }
      #expect(text.hasPrefix("events: offset "))
    }
  }

  static let refusals: [(event: [UInt8], message: String)] = [
    ([0x2A, 200, 1], "events: offset 15: expected 200 bytes of field 5, found 0"),
    ([0x80], "events: offset 13: expected the rest of a number, found the end of the message"),
    ([0x09, 1, 2], "events: offset 13: expected 8 bytes of a number, found 2"),
    ([0x0B], "events: offset 13: expected a field of a message, found wire type 3"),
    (
      [UInt8](repeating: 0xFF, count: 12),
      "events: offset 22: expected a number of at most ten bytes, found a longer one"
    ),
  ]

  @Test("events that can't be understood", arguments: refusals)
  func refusal(event: [UInt8], expected: String) {
    #expect(message { _ = try EventFile(ByteRegion(EventRecord.framed(event), name: "events")) } == expected)
  }

  @Test("inspect's view of it") func inspection() throws {
    let folder = try TemporaryFolder()
    let writer = try EventWriter(folder.path)
    for step in 0..<3 { try writer.scalar("loss", Double(step) / 4, step: step) }
    let file = try TensorFile(writer.path)
    #expect(file.kind == .events)
    #expect(file.names == ["loss"])
    #expect(try file.tensor("loss").doubles == [0, 0.25, 0.5])
    #expect(file.facts.first?.value == "4")
  }
}
