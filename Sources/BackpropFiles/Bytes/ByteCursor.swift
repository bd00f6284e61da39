/// Reads little-endian fields one after the other out of a block of a file; an error names the place in the file.
struct ByteCursor {
  let region: ByteRegion
  /// Where in the region the block begins.
  let base: Int
  let bytes: [UInt8]
  private(set) var position = 0

  init(_ region: ByteRegion, at offset: Int, count: Int) throws {
    self.region = region
    base = offset
    bytes = try region.bytes(at: offset, count: count)
  }

  /// The place in the file of the next byte.
  var offset: Int { base + position }
  var remaining: Int { bytes.count - position }

  mutating func take(_ count: Int, _ what: @autoclosure () -> String) throws -> ArraySlice<UInt8> {
    guard count >= 0, count <= remaining else {
      throw failure(expected: "\(count) bytes of \(what())", found: "\(remaining)")
    }
    defer { position += count }
    return bytes[position..<position + count]
  }

  mutating func skip(_ count: Int) throws { _ = try take(count, "padding") }

  /// Goes to the next multiple of `alignment` from the block's start, or to its end.
  mutating func align(to alignment: Int) {
    position = min((position + alignment - 1) / alignment * alignment, bytes.count)
  }

  mutating func integer<Value: FixedWidthInteger>(
    _ type: Value.Type = Value.self, _ what: @autoclosure () -> String
  ) throws -> Value {
    var value: Value = 0
    for (index, byte) in try take(MemoryLayout<Value>.size, what()).enumerated() {
      value |= Value(truncatingIfNeeded: byte) << (8 * index)
    }
    return value
  }

  mutating func byte(_ what: @autoclosure () -> String) throws -> Int { Int(try integer(UInt8.self, what())) }

  mutating func short(_ what: @autoclosure () -> String) throws -> Int {
    Int(try integer(UInt16.self, what()))
  }

  /// A size or an address of 4 or 8 bytes; no larger than a file can be.
  mutating func size(bytes: Int = 8, _ what: @autoclosure () -> String) throws -> Int {
    let start = offset
    let value = bytes == 4 ? UInt64(try integer(UInt32.self, what())) : try integer(UInt64.self, what())
    guard let size = Int(exactly: value) else {
      throw region.failure(at: start, expected: what(), found: "\(value)")
    }
    return size
  }

  /// Checks that the next bytes are `expected`.
  mutating func expect(_ expected: [UInt8], _ what: @autoclosure () -> String) throws {
    let start = offset
    let found = try take(expected.count, what())
    guard found.elementsEqual(expected) else {
      throw region.failure(at: start, expected: what(), found: hexadecimal(found))
    }
  }

  func failure(expected: String, found: String, advice: String? = nil) -> any Error {
    region.failure(at: offset, expected: expected, found: found, advice: advice)
  }
}

/// Bytes as a message shows them: `89 48 44 46`.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
}

/// The product of sizes, or nil when it is larger than any file. An axis of 0 makes it 0, but the others must fit all
/// the same: a shape's strides are products of them.
func product(_ sizes: [Int], times factor: Int = 1) -> Int? {
  var result = factor
  for size in sizes where size != 0 {
    let (next, overflow) = result.multipliedReportingOverflow(by: size)
    if overflow { return nil }
    result = next
  }
  return sizes.contains(0) ? 0 : result
}
