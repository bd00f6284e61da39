import BackpropTensors

/// Reading and writing of IDX files, the format of MNIST: one array of numbers of any rank.
///
/// ```swift
/// let images = try IDX.load("train-images-idx3-ubyte.gz")    // uint8 [60000, 28, 28]
/// ```
///
/// Source: the format's description by LeCun, Cortes and Burges, on the page of MNIST.
public enum IDX {
  /// Reads a file, plain or gzip: its first bytes tell, not its name. The dtype is the file's: uint8, int8, int16,
  /// int32, float32 or float64.
  ///
  /// - Throws: ``DataError`` with the offset when the file isn't IDX, is cut short or goes on after its elements. No
  ///   more memory is taken than the bytes in the file can fill.
  public static func load(_ path: String) throws -> Tensor {
    let file = try FileSource(path)
    return try decode(file, begin: { try FileSource(path) })
  }

  /// Reads an IDX file, plain or gzip, that is in memory; messages call it `name`.
  ///
  /// - Throws: ``DataError``, as ``load(_:)``.
  public static func decode(_ bytes: [UInt8], name: String = "IDX data") throws -> Tensor {
    try decode(MemorySource(bytes, name: name), begin: { MemorySource(bytes, name: name) })
  }

  /// `begin` starts the same source anew, after a look at its first bytes.
  private static func decode(_ peeked: any ByteSource, begin: () throws -> any ByteSource) throws -> Tensor {
    var magic: [UInt8] = [0, 0]
    let count = try magic.withUnsafeMutableBytes { try peeked.readFully(into: $0) }
    let source = try begin()
    guard count == 2, magic == GzipSource.magic else { return try decode(source) }
    return try decode(GzipSource(source))
  }

  private static func decode(_ source: any ByteSource) throws -> Tensor {
    let header = try IDXHeader(reading: source)
    let storage = Storage(byteCount: header.payloadSize)
    let bytes = UnsafeMutableRawBufferPointer(start: storage.bytes, count: header.payloadSize)
    let count = try source.readFully(into: bytes)
    guard count == header.payloadSize else { throw header.shortage(in: source, found: "\(count)") }

    var extra: UInt8 = 0
    let isOver = try withUnsafeMutableBytes(of: &extra) { try source.read(into: $0) } == 0
    guard isOver else {
      throw DataError(
        file: source.name, place: .offset(header.size + header.payloadSize),
        expected: "the end of the file after \(header.dimensions) \(header.element)", found: "more bytes")
    }
    swapBigEndian(bytes, width: header.element.size)
    return Tensor(storage, shape: Shape(header.dimensions), dtype: header.element.dtype)
  }

  /// Writes a tensor as a plain IDX file. The file appears whole or not at all.
  ///
  /// - Throws: ``DataError`` when the dtype has no place in the format (bool, int64, bfloat16 and float16), an axis
  ///   is longer than 2³² − 1 or there are more than 255, and when the file can't be written.
  public static func save(_ tensor: Tensor, to path: String) throws {
    guard let element = IDXHeader.Element.allCases.first(where: { $0.dtype == tensor.dtype }) else {
      let known = IDXHeader.Element.allCases.map { "\($0)" }.joined(separator: ", ")
      throw DataError(
        file: path, place: .wholeFile, expected: "a tensor of \(known)", found: "\(tensor.dtype)",
        advice: "cast it first")
    }
    let dimensions = tensor.shape.dimensions
    guard dimensions.count <= 255, dimensions.allSatisfy({ $0 <= UInt32.max }) else {
      throw DataError(
        file: path, place: .wholeFile, expected: "at most 255 axes of up to 2³² − 1", found: "\(tensor.shape)"
      )
    }
    var payload = tensor.withUnsafeBytes { Array($0) }
    payload.withUnsafeMutableBytes { swapBigEndian($0, width: element.size) }
    let header = IDXHeader(element: element, dimensions: dimensions, payloadSize: payload.count)
    try AtomicFile.write(to: path) { file in
      try file.write(header.encoded)
      try file.write(payload)
    }
  }
}

extension IDXHeader.Element {
  var dtype: DType {
    switch self {
    case .uint8: .uint8
    case .int8: .int8
    case .int16: .int16
    case .int32: .int32
    case .float32: .float32
    case .float64: .float64
    }
  }
}
