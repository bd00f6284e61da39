/// What stands at the front of an IDX file: two zero bytes, an element type, a rank, and the dimensions as big-endian
/// 32-bit numbers. The elements follow, row-major and big-endian.
struct IDXHeader: Equatable {
  enum Element: UInt8, CaseIterable {
    case uint8 = 0x08, int8 = 0x09, int16 = 0x0B, int32 = 0x0C, float32 = 0x0D, float64 = 0x0E

    var size: Int {
      switch self {
      case .uint8, .int8: 1
      case .int16: 2
      case .int32, .float32: 4
      case .float64: 8
      }
    }
  }

  let element: Element
  let dimensions: [Int]
  /// The size of the elements in bytes.
  let payloadSize: Int

  /// The size of the header itself in bytes.
  var size: Int { 4 + 4 * dimensions.count }

  init(element: Element, dimensions: [Int], payloadSize: Int) {
    self.element = element
    self.dimensions = dimensions
    self.payloadSize = payloadSize
  }

  /// Reads the header and checks that the source can hold the elements it declares.
  init(reading source: any ByteSource) throws {
    func fail(at offset: Int, expected: String, found: String) -> DataError {
      DataError(file: source.name, place: .offset(offset), expected: expected, found: found)
    }
    func next(_ count: Int, at offset: Int) throws -> [UInt8] {
      let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        filled = try source.readFully(into: UnsafeMutableRawBufferPointer(buffer))
      }
      guard bytes.count == count else {
        throw fail(
          at: offset + bytes.count, expected: "an IDX header of at least \(offset + count) bytes",
          found: "the end of the file")
      }
      return bytes
    }

    let magic = try next(4, at: 0)
    guard magic[0] == 0, magic[1] == 0 else {
      throw fail(
        at: 0, expected: "an IDX file (00 00, element type, rank)", found: "the bytes \(hexadecimal(magic))")
    }
    guard let element = Element(rawValue: magic[2]) else {
      let known = Element.allCases.map { hexadecimal([$0.rawValue]) }.joined(separator: ", ")
      throw fail(at: 2, expected: "an element type out of \(known)", found: hexadecimal([magic[2]]))
    }
    let words = try next(4 * Int(magic[3]), at: 4)
    let dimensions = stride(from: 0, to: words.count, by: 4).map { start in
      words[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
    }
    self.element = element
    self.dimensions = dimensions

    // A dimension of 0 makes the array empty, but the others must still have a product, and room for the header before.
    var nonzero = element.size
    var overflow = false
    for dimension in dimensions where !overflow && dimension != 0 {
      (nonzero, overflow) = nonzero.multipliedReportingOverflow(by: dimension)
    }
    guard !overflow, nonzero <= Int.max - 4 - words.count else {
      throw fail(at: 4, expected: "dimensions that fit in memory", found: "\(dimensions) \(element)")
    }
    payloadSize = dimensions.contains(0) ? 0 : nonzero
    guard payloadSize <= source.mostRemaining else {
      throw shortage(in: source, found: "at most \(source.mostRemaining)")
    }
  }

  /// The elements end before the header says.
  func shortage(in source: any ByteSource, found: String) -> DataError {
    DataError(
      file: source.name, place: .offset(size),
      expected: "\(payloadSize) bytes for \(dimensions) \(element) (\(size + payloadSize) in all)",
      found: found)
  }

  var encoded: [UInt8] {
    [0, 0, element.rawValue, UInt8(dimensions.count)]
      + dimensions.flatMap { dimension in
        (0..<4).map { UInt8(truncatingIfNeeded: dimension >> (24 - 8 * $0)) }
      }
  }
}

/// "89 50 4E 47"
private func hexadecimal(_ bytes: [UInt8]) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined(separator: " ")
}

/// Turns elements of `width` bytes around in place where the machine's order isn't the file's (big-endian).
func swapBigEndian(_ bytes: UnsafeMutableRawBufferPointer, width: Int) {
  func swap<Word: FixedWidthInteger>(_: Word.Type) {
    for offset in stride(from: 0, to: bytes.count - bytes.count % width, by: width) {
      let word = bytes.loadUnaligned(fromByteOffset: offset, as: Word.self)
      bytes.storeBytes(of: Word(bigEndian: word), toByteOffset: offset, as: Word.self)
    }
  }
  switch width {
  case 2: swap(UInt16.self)
  case 4: swap(UInt32.self)
  case 8: swap(UInt64.self)
  default: break
  }
}
