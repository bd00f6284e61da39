import BackpropTensors
import Testing

@testable import BackpropData

@Suite("IDX files")
struct IDXTests {
  /// 2×3 bytes, as the format's description has it.
  static let bytes: [UInt8] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 250, 251, 252]

  @Test("a hand-made uint8 file reads as its shape, dtype and values")
  func reads() throws {
    let tensor = try IDX.decode(Self.bytes)
    #expect(tensor.shape == [2, 3])
    #expect(tensor.dtype == .uint8)
    #expect(tensor.integers == [1, 2, 3, 250, 251, 252])
  }

  @Test("big-endian elements of every type read as the numbers they are")
  func everyType() throws {
    func decode(_ type: UInt8, _ elements: [UInt8]) throws -> Tensor {
      try IDX.decode([0, 0, type, 1, 0, 0, 0, 2] + elements)
    }
    #expect(try decode(0x08, [1, 255]).scalars(of: UInt8.self) == [1, 255])
    #expect(try decode(0x09, [1, 255]).scalars(of: Int8.self) == [1, -1])
    #expect(try decode(0x0B, [1, 2, 0xFF, 0xFE]).scalars(of: Int16.self) == [258, -2])
    #expect(try decode(0x0C, [0, 1, 0, 0, 0xFF, 0xFF, 0xFF, 0xFE]).scalars(of: Int32.self) == [65536, -2])
    #expect(try decode(0x0D, [0x3F, 0x80, 0, 0, 0xC0, 0x20, 0, 0]).scalars(of: Float.self) == [1, -2.5])
    let doubles = try decode(0x0E, [0x3F, 0xF0, 0, 0, 0, 0, 0, 0, 0xC0, 0x04, 0, 0, 0, 0, 0, 0])
    #expect(doubles.dtype == .float64)
    #expect(doubles.scalars(of: Double.self) == [1, -2.5])
  }

  @Test("rank 0 is one number, an axis of 0 is an empty tensor")
  func edges() throws {
    #expect(try IDX.decode([0, 0, 8, 0, 7]).shape == [])
    #expect(try IDX.decode([0, 0, 8, 0, 7]).integers == [7])
    let empty = try IDX.decode([0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 0])
    #expect(empty.shape == [3, 0])
  }

  @Test("gzip is known by its first bytes; members and padding follow each other")
  func readsGzip() throws {
    let parts = gzip(Array(Self.bytes[..<7])) + gzip(Array(Self.bytes[7...])) + [0, 0, 0]
    #expect(try IDX.decode(gzip(Self.bytes)).integers == [1, 2, 3, 250, 251, 252])
    #expect(try IDX.decode(parts).integers == [1, 2, 3, 250, 251, 252])
  }

  @Test("what is saved loads again, and leaves nothing else in the folder")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/a.idx"
    let tensors = [
      Tensor([1, 2, 3, 4, 5, 255] as [UInt8], shape: [3, 2]), Tensor([-1, 300] as [Int16]),
      Tensor([1.5, -.infinity, .pi] as [Float], shape: [1, 3, 1]), Tensor([1e-300] as [Double], shape: []),
      Tensor([] as [Int32], shape: [0, 4]), Tensor([-128] as [Int8]),
    ]
    for tensor in tensors {
      try IDX.save(tensor, to: path)
      let loaded = try IDX.load(path)
      #expect(loaded.type == tensor.type)
      #expect(loaded.doubles == tensor.doubles)
    }
    #expect(folder.names == ["a.idx"])
  }

  @Test("what can't be saved is refused, and what stood there stays")
  func refusesToSave() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/a.idx"
    try IDX.save(Tensor([1] as [UInt8]), to: path)
    #expect(
      message { try IDX.save(Tensor([1] as [Int64]), to: path) }
        == "\(path): expected a tensor of uint8, int8, int16, int32, float32, float64, found int64; cast it first"
    )
    #expect(
      message { try IDX.save(Tensor([1] as [UInt8]), to: folder.path + "/no/a.idx") }
        == "\(folder.path)/no/a.idx: expected to open the folder \(folder.path)/no, found No such file or directory"
    )
    #expect(try IDX.load(path).integers == [1])
  }

  static let refused: [(bytes: [UInt8], message: String)] = [
    ([], "x: offset 0: expected an IDX header of at least 4 bytes, found the end of the file"),
    ([0, 0, 8], "x: offset 3: expected an IDX header of at least 4 bytes, found the end of the file"),
    (
      [0x89, 0x50, 0x4E, 0x47],
      "x: offset 0: expected an IDX file (00 00, element type, rank), found the bytes 89 50 4E 47"
    ),
    ([0, 0, 7, 1], "x: offset 2: expected an element type out of 08, 09, 0B, 0C, 0D, 0E, found 07"),
    (
      [0, 0, 8, 2, 0, 0],
      "x: offset 6: expected an IDX header of at least 12 bytes, found the end of the file"
    ),
    (
      Array(bytes.dropLast()),
      "x: offset 12: expected 6 bytes for [2, 3] uint8 (18 in all), found at most 5"
    ),
    (
      bytes + [0], "x: offset 18: expected the end of the file after [2, 3] uint8, found more bytes"
    ),
    (
      [0, 0, 14, 3] + [UInt8](repeating: 255, count: 12),
      "x: offset 4: expected dimensions that fit in memory, found [4294967295, 4294967295, 4294967295] float64"
    ),
    // Together with the header alone more than can be counted.
    (
      [0, 0, 11, 2, 0x80, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff],
      "x: offset 4: expected dimensions that fit in memory, found [2147483649, 2147483647] int16"
    ),
    (
      [0, 0, 8, 4] + [UInt8](repeating: 255, count: 12) + [0, 0, 0, 0],
      "x: offset 4: expected dimensions that fit in memory, found [4294967295, 4294967295, 4294967295, 0] uint8"
    ),
  ]

  @Test("a refusal names the file, the offset, what was expected and what came", arguments: refused)
  func messages(bytes: [UInt8], expected: String) {
    #expect(message { _ = try IDX.decode(bytes, name: "x") } == expected)
  }

  @Test("a gzip stream that is cut, damaged or followed by something else is refused")
  func gzipMessages() {
    let whole = gzip(Self.bytes)
    #expect(
      message { _ = try IDX.decode(Array(whole.dropLast(9)), name: "x") }.hasPrefix(
        "x: offset 18: expected the rest of the gzip stream, found the end of the file"))
    var damaged = whole
    damaged[damaged.count - 5] ^= 1
    #expect(
      message { _ = try IDX.decode(damaged, name: "x") }
        == "x: offset 18: expected a sound gzip stream, found incorrect data check")
    #expect(
      message { _ = try IDX.decode(whole + [1, 2, 3], name: "x") }
        == "x: offset 18: expected a sound gzip stream, found incorrect header check")
  }

  @Test("a gzip bomb is inflated no further than the size it declares")
  func bomb() {
    // 64 MB of zeros behind a header that declares 16 bytes.
    let bomb = gzip([0, 0, 8, 1, 0, 0, 0, 16] + [UInt8](repeating: 0, count: 64 << 20))
    #expect(
      message { _ = try IDX.decode(bomb, name: "x") }
        == "x: offset 24: expected the end of the file after [16] uint8, found more bytes")
    // And a small file that declares 4 GB is refused before any memory is taken.
    let liar = gzip([0, 0, 8, 1, 255, 255, 255, 255, 1, 2, 3])
    #expect(
      message { _ = try IDX.decode(liar, name: "x") }.hasPrefix(
        "x: offset 8: expected 4294967295 bytes for [4294967295] uint8 (4294967303 in all), found at most "))
  }

  @Test("files that can't be read are named")
  func unreadable() throws {
    let folder = try TemporaryFolder()
    #expect(
      message { _ = try IDX.load(folder.path + "/none") }
        == "\(folder.path)/none: expected a readable file, found No such file or directory")
    #expect(
      message { _ = try IDX.load(folder.path) } == "\(folder.path): expected a regular file, found a folder")
  }

  @Test("every damaged copy loads or is refused with a DataError", arguments: [false, true])
  func damagedCopies(compressed: Bool) throws {
    let originals = IDXHeader.Element.allCases.map { element in
      [0, 0, element.rawValue, 2, 0, 0, 0, 2, 0, 0, 0, 3] + [UInt8](repeating: 1, count: 6 * element.size)
    }
    var refused = 0
    for original in originals {
      for copy in damaged(compressed ? gzip(original) : original) {
        do {
          let tensor = try IDX.decode(copy)
          #expect(tensor.count <= original.count)
        } catch {
          #expect(error is DataError)
          refused += 1
        }
      }
    }
    #expect(refused > 100)
  }
}
