/// A message in the wire format of Protocol Buffers, written field by field.
///
/// Source: https://protobuf.dev/programming-guides/encoding/.
struct ProtocolBuffer {
  private(set) var bytes: [UInt8] = []

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func tag(_ field: Int, _ kind: UInt64) { varint(UInt64(field) << 3 | kind) }

  /// Zero is left out, as in proto3.
  mutating func add(_ field: Int, _ value: Int) {
    if value == 0 { return }
    tag(field, 0)
    varint(UInt64(bitPattern: Int64(value)))
  }

  /// Written even where it is zero: the case of a `oneof`, where zero says which.
  mutating func add(_ field: Int, always value: Double) {
    tag(field, 1)
    bytes.append(little: value.bitPattern)
  }

  mutating func add(_ field: Int, always value: Bool) {
    tag(field, 0)
    bytes.append(value ? 1 : 0)
  }

  mutating func add(_ field: Int, _ value: [UInt8]) {
    tag(field, 2)
    varint(UInt64(value.count))
    bytes += value
  }

  mutating func add(_ field: Int, _ text: String) { add(field, Array(text.utf8)) }

  mutating func add(_ field: Int, _ fill: (inout ProtocolBuffer) -> Void) {
    var inner = ProtocolBuffer()
    fill(&inner)
    add(field, inner.bytes)
  }
}
