import BackpropData
import BackpropTensors

/// One array in a file, as `numpy.save` writes it.
///
/// ```swift
/// try NPY.save(Tensor.ones([2, 3]), to: "ones.npy")
/// let ones = try NPY.load("ones.npy")      // [2, 3] float32
/// ```
public enum NPY {
  /// - Parameter mapped: share the file's pages instead of reading it; the file must not be cut short meanwhile. See
  ///   ``Safetensors/load(_:mapped:)``.
  /// - Throws: `DataError` naming the file and the place; arrays of objects, which would run code, are refused.
  public static func load(_ path: String, mapped: Bool = false) throws -> Tensor {
    try decode(mapped ? ByteRegion(mapping: path) : ByteRegion(path: path))
  }

  /// Writes a file, whole or not at all.
  ///
  /// - Throws: `DataError` with the path and the reason; NumPy has no bfloat16.
  public static func save(_ tensor: Tensor, to path: String) throws {
    try FilePiece.write(pieces(tensor, name: path), to: path)
  }

  static func decode(_ region: ByteRegion) throws -> Tensor {
    let header = try NPYHeader(region)
    guard let count = product(header.shape, times: header.dtype.byteCount),
      count == region.count - header.end
    else {
      throw region.failure(
        at: header.end, expected: "as many bytes as shape \(header.shape) of \(header.dtype) takes",
        found: "\(region.count - header.end)")
    }
    let shape = header.isColumnMajor ? header.shape.reversed() : header.shape
    let tensor = try region.tensor(at: header.end, TensorType(Shape(shape), header.dtype))
    return header.isColumnMajor ? tensor.transposed() : tensor
  }

  static func pieces(_ tensor: Tensor, name: String) throws -> [FilePiece] {
    [.bytes(try NPYHeader.encoded(tensor.type, name: name)), .tensor(tensor)]
  }
}

/// Named arrays in one file, as `numpy.savez` and `numpy.savez_compressed` write them.
public enum NPZ {
  /// Every array by its name, without `.npy`.
  ///
  /// - Throws: `DataError` naming the file and the member.
  public static func load(_ path: String) throws -> [String: Tensor] {
    try decode(ZipArchive(ByteRegion(path: path)), name: path)
  }

  static func decode(_ archive: ZipArchive, name: String) throws -> [String: Tensor] {
    var result: [String: Tensor] = [:]
    for member in archive.members {
      guard member.name.hasSuffix(".npy") else {
        throw DataError(
          file: name, place: .part(member.name), expected: "members whose names end in .npy",
          found: "this one")
      }
      result[String(member.name.dropLast(4))] = try NPY.decode(archive.contents(of: member))
    }
    return result
  }

  /// Writes a file, whole or not at all; the arrays aren't compressed.
  ///
  /// - Throws: `DataError` with the path and the reason.
  public static func save(_ tensors: [String: Tensor], to path: String) throws {
    var archive = ZipWriter()
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      archive.add("\(name).npy", try NPY.pieces(tensor, name: "\(path): \(name)"))
    }
    try FilePiece.write(archive.pieces(), to: path)
  }
}
