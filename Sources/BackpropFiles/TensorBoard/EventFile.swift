import BackpropData
import BackpropTensors

/// What an event file holds: series of numbers, and the tags of what else there is.
struct EventFile {
  struct Point: Equatable {
    let step: Int
    let value: Double
  }

  /// By tag, in the file's order.
  private(set) var scalars: [String: [Point]] = [:]
  /// How many events of another kind (histograms, images, texts) each tag has.
  private(set) var others: [String: Int] = [:]
  private(set) var eventCount = 0
  /// Whether the last event isn't whole, as a killed process leaves it.
  private(set) var isCutShort = false

  /// Bytes around an event's data: length, its checksum, and the data's.
  private static let framing = 16

  /// Whether the bytes begin with a whole frame's head: eight bytes of length and their checksum.
  static func fits(_ region: ByteRegion) -> Bool {
    guard region.count >= framing, let head = try? region.bytes(at: 0, count: 12) else { return false }
    return checksum(head[8..<12]) == EventRecord.masked(EventRecord.crc(Array(head[..<8])))
  }

  /// - Throws: `DataError` with the offset where a checksum differs or an event can't be understood.
  init(_ region: ByteRegion) throws {
    var offset = 0
    while offset < region.count {
      guard region.count - offset >= Self.framing else {
        isCutShort = true
        return
      }
      var head = try ByteCursor(region, at: offset, count: 12)
      let length = try head.size("the length of an event")
      let crc = try head.integer(UInt32.self, "a checksum")
      guard crc == EventRecord.masked(EventRecord.crc(Array(head.bytes[..<8]))) else {
        throw region.failure(
          at: offset, expected: "the length of an event, with its checksum", found: "another")
      }
      guard length <= region.count - offset - Self.framing else {
        isCutShort = true
        return
      }
      let data = try region.bytes(at: offset + 12, count: length)
      let tail = try region.bytes(at: offset + 12 + length, count: 4)
      guard Self.checksum(tail[...]) == EventRecord.masked(EventRecord.crc(data)) else {
        throw region.failure(at: offset + 12, expected: "an event of that checksum", found: "another")
      }
      try add(ProtocolFields(region, at: offset + 12, data[...]))
      eventCount += 1
      offset += Self.framing + length
    }
  }

  private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// tensorflow.Event: step is field 2, summary field 5, of which each value is field 1.
  private mutating func add(_ event: ProtocolFields) throws {
    var step = 0
    var values: [ProtocolFields] = []
    var event = event
    while let field = try event.next() {
      switch (field.number, field.content) {
      case (2, .varint(let value)): step = Int(truncatingIfNeeded: value)
      case (5, .bytes(var summary)):
        while let item = try summary.next() {
          if item.number == 1, case .bytes(let value) = item.content { values.append(value) }
        }
      default: break
      }
    }
    for value in values { try add(value, step: step) }
  }

  /// tensorflow.Summary.Value: tag is field 1, simple_value field 2, tensor field 8.
  private mutating func add(_ value: ProtocolFields, step: Int) throws {
    var (tag, number): (String, Double?) = ("", nil)
    var value = value
    while let field = try value.next() {
      switch (field.number, field.content) {
      case (1, .bytes(let text)): tag = String(decoding: text.rest, as: UTF8.self)
      case (2, .fixed32(let bits)): number = Double(Float(bitPattern: bits))
      case (8, .bytes(let tensor)): number = try Self.scalar(tensor)
      default: break
      }
    }
    if let number {
      scalars[tag, default: []].append(Point(step: step, value: number))
    } else {
      others[tag, default: 0] += 1
    }
  }

  /// The number in a tensor of one float32: dtype is field 1 (1 for float32), shape field 2, content field 4 or 5.
  private static func scalar(_ tensor: ProtocolFields) throws -> Double? {
    var (dtype, axes, bits): (UInt64, Int, UInt32?) = (0, 0, nil)
    var tensor = tensor
    while let field = try tensor.next() {
      switch (field.number, field.content) {
      case (1, .varint(let value)): dtype = value
      case (2, .bytes(var shape)): while let axis = try shape.next() { axes += axis.number == 2 ? 1 : 0 }
      case (4, .bytes(let content)), (5, .bytes(let content)):
        if content.rest.count == 4 { bits = checksum(content.rest) }
      case (5, .fixed32(let value)): bits = value
      default: break
      }
    }
    guard dtype == 1, axes == 0, let bits else { return nil }
    return Double(Float(bitPattern: bits))
  }
}

/// The fields of a message in the wire format of Protocol Buffers, one after the other.
struct ProtocolFields {
  enum Content {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case bytes(ProtocolFields)
  }

  /// What hasn't been read.
  private(set) var rest: ArraySlice<UInt8>
  private let region: ByteRegion
  /// Where the slice's index 0 lies in the region.
  private let base: Int

  init(_ region: ByteRegion, at offset: Int, _ bytes: ArraySlice<UInt8>) {
    self.region = region
    base = offset - bytes.startIndex
    rest = bytes
  }

  /// nil at the end.
  ///
  /// - Throws: `DataError` with the offset.
  mutating func next() throws -> (number: Int, content: Content)? {
    if rest.isEmpty { return nil }
    let tag = try varint()
    let number = Int(tag >> 3)
    switch tag & 7 {
    case 0: return (number, .varint(try varint()))
    case 1: return (number, .fixed64(try fixed(8)))
    case 2:
      let length = try varint()
      guard length <= UInt64(rest.count) else {
        throw failure("\(length) bytes of field \(number)", "\(rest.count)")
      }
      let bytes = rest.prefix(Int(length))
      rest = rest.dropFirst(Int(length))
      return (number, .bytes(ProtocolFields(region, at: base + bytes.startIndex, bytes)))
    case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
    default: throw failure("a field of a message", "wire type \(tag & 7)")
    }
  }

  private mutating func varint() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = rest.popFirst() else {
        throw failure("the rest of a number", "the end of the message")
      }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw failure("a number of at most ten bytes", "a longer one")
  }

  private mutating func fixed(_ count: Int) throws -> UInt64 {
    guard rest.count >= count else { throw failure("\(count) bytes of a number", "\(rest.count)") }
    let bytes = rest.prefix(count)
    rest = rest.dropFirst(count)
    return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private func failure(_ expected: String, _ found: String) -> DataError {
    region.failure(at: base + rest.startIndex, expected: expected, found: found)
  }
}
