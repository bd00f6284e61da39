import BackpropData
import BackpropNetworks
import BackpropTensors

/// Files of named tensors in the format of Hugging Face's safetensors.
///
/// ```swift
/// try Safetensors.save(["kernel": Tensor.ones([2, 3])], to: "a.safetensors")
/// let tensors = try Safetensors.load("a.safetensors")      // ["kernel": [2, 3] float32]
/// ```
///
/// Source: https://huggingface.co/docs/safetensors, "Format".
public enum Safetensors {
  /// What PyTorch's readers ask for.
  public static let standardMetadata = ["format": "pt"]

  /// Every tensor of a file by its name.
  ///
  /// - Parameter mapped: share the file's pages instead of reading it: at once, whatever its size, and no memory is taken
  ///   until elements are used. The file must not be cut short as long as one of the tensors is there. Tensors that don't
  ///   begin at a multiple of 64 bytes are copied all the same; files written here hold the larger ones so.
  /// - Throws: `DataError` naming the file and the tensor or the offset.
  public static func load(_ path: String, mapped: Bool = false) throws -> [String: Tensor] {
    let reader = try SafetensorsReader(mapped ? ByteRegion(mapping: path) : ByteRegion(path: path))
    return try reader.entries.mapValues { try reader.tensor($0) }
  }

  /// What a file says of itself: names and values.
  ///
  /// - Throws: `DataError`.
  public static func metadata(_ path: String) throws -> [String: String] {
    try SafetensorsReader(ByteRegion(path: path)).metadata
  }

  /// Writes a file, whole or not at all.
  ///
  /// - Throws: `DataError` with the path and the reason.
  public static func save(
    _ tensors: [String: Tensor], to path: String, metadata: [String: String] = standardMetadata
  ) throws {
    try FilePiece.write(pieces(tensors, metadata), to: path)
  }

  /// The header is padded so that the elements begin at a multiple of this; wider dtypes come first, so all are aligned.
  private static let alignment = 64

  static func pieces(_ tensors: [String: Tensor], _ metadata: [String: String]) -> [FilePiece] {
    // Larger tensors first within a dtype: multiples of 64 bytes, mostly, they leave the next ones aligned.
    let ordered = tensors.sorted { a, b in
      let (x, y) = (a.value, b.value)
      if x.dtype.byteCount != y.dtype.byteCount { return x.dtype.byteCount > y.dtype.byteCount }
      return x.count != y.count ? x.count > y.count : a.key < b.key
    }
    var header: [String: ConfigValue] = [:]
    if !metadata.isEmpty { header["__metadata__"] = .object(metadata.mapValues { .string($0) }) }
    var offset = 0
    for (name, tensor) in ordered {
      let end = offset + tensor.type.byteCount
      header[name] = .object([
        "dtype": .string(code(of: tensor.dtype)),
        "shape": .array(tensor.shape.dimensions.map { .integer($0) }),
        "data_offsets": .array([.integer(offset), .integer(end)]),
      ])
      offset = end
    }
    var text = JSONWriter.write(.object(header))
    let padding = (alignment - (8 + text.count) % alignment) % alignment
    text += [UInt8](repeating: UInt8(ascii: " "), count: padding)
    var head: [UInt8] = []
    head.append(little: UInt64(text.count))
    return [.bytes(head + text)] + ordered.map { .tensor($0.value) }
  }

  static func code(of dtype: DType) -> String {
    switch dtype {
    case .float32: "F32"
    case .float64: "F64"
    case .bfloat16: "BF16"
    case .float16: "F16"
    case .int8: "I8"
    case .int16: "I16"
    case .int32: "I32"
    case .int64: "I64"
    case .uint8: "U8"
    case .bool: "BOOL"
    }
  }
}

extension FilePiece {
  /// Writes them one behind the other into a file that appears whole or not at all.
  static func write(_ pieces: [FilePiece], to path: String) throws {
    try AtomicFile.write(to: path) { file in
      for piece in pieces { try piece.withBytes { try file.write($0) } }
    }
  }
}
