import BackpropData
import BackpropNetworks
import BackpropTensors

/// The tensors of a safetensors file: their header is read at once, elements on demand.
struct SafetensorsReader {
  struct Entry {
    let name: String
    let type: TensorType
    /// From the beginning of the file.
    let offset: Int
  }

  private let region: ByteRegion
  let entries: [String: Entry]
  let metadata: [String: String]

  /// The format's own limit.
  private static let largestHeader = 100_000_000

  /// Whether the bytes begin as such a file does.
  static func fits(_ region: ByteRegion) -> Bool {
    guard var cursor = try? ByteCursor(region, at: 0, count: 9),
      let size = try? cursor.size("a header's size"), size <= min(largestHeader, region.count - 8)
    else { return false }
    return (try? cursor.byte("a brace")) == Int(UInt8(ascii: "{"))
  }

  /// - Throws: `DataError` when the header isn't one, or tensors don't lie one behind the other to the end of the file.
  init(_ region: ByteRegion) throws {
    self.region = region
    var cursor = try ByteCursor(region, at: 0, count: min(8, region.count))
    let size = try cursor.size("the header's size")
    guard size <= min(Self.largestHeader, region.count - 8) else {
      throw region.failure(
        at: 0, expected: "a header of at most \(min(Self.largestHeader, region.count - 8)) bytes",
        found: "one of \(size)")
    }
    let start = 8 + size
    let header = try JSONParser.parse(region.bytes(at: 8, count: size), name: "\(region.name): header")
    guard case .object(let fields) = header else {
      throw region.failure(at: 8, expected: "an object", found: header.kindName)
    }
    var metadata: [String: String] = [:]
    var entries: [String: Entry] = [:]
    for (name, value) in fields {
      if name == "__metadata__" {
        metadata = try Self.metadata(value, region)
      } else {
        entries[name] = try Self.entry(name, value, start, region)
      }
    }
    (self.metadata, self.entries) = (metadata, entries)

    var end = start
    for entry in entries.values.sorted(by: { ($0.offset, $0.type.byteCount) < ($1.offset, $1.type.byteCount) }
    ) {
      guard entry.offset == end else {
        throw DataError(
          file: region.name, place: .part(entry.name),
          expected: "elements at \(end - start), behind those before",
          found: "\(entry.offset - start)")
      }
      end += entry.type.byteCount
    }
    guard end == region.count else {
      throw region.failure(
        at: end, expected: "the end behind the last tensor", found: "\(region.count - end) bytes more")
    }
  }

  func tensor(_ entry: Entry) throws -> Tensor { try region.tensor(at: entry.offset, entry.type) }

  private static func metadata(_ value: ConfigValue, _ region: ByteRegion) throws -> [String: String] {
    guard case .object(let fields) = value else {
      throw DataError(
        file: region.name, place: .part("__metadata__"), expected: "an object", found: value.kindName)
    }
    return try fields.mapValues { field in
      if let text = field.text { return text }
      throw DataError(
        file: region.name, place: .part("__metadata__"), expected: "texts", found: field.kindName)
    }
  }

  private static func entry(_ name: String, _ value: ConfigValue, _ start: Int, _ region: ByteRegion) throws
    -> Entry
  {
    func failure(_ expected: String, _ found: String, _ advice: String? = nil) -> DataError {
      DataError(file: region.name, place: .part(name), expected: expected, found: found, advice: advice)
    }
    func written(_ value: ConfigValue?) -> String { value.map { excerpt(JSONWriter.write($0)) } ?? "none" }
    guard case .object(let fields) = value else { throw failure("an object", value.kindName) }
    guard let code = fields["dtype"]?.text else {
      throw failure("a dtype", fields["dtype"]?.kindName ?? "none")
    }
    guard let dtype = DType.allCases.first(where: { Safetensors.code(of: $0) == code }) else {
      let known = DType.allCases.map { Safetensors.code(of: $0) }.joined(separator: ", ")
      throw failure("a dtype among \(known)", "'\(code)'")
    }
    guard let sizes = fields["shape"]?.elements?.map({ $0.int ?? -1 }), sizes.allSatisfy({ $0 >= 0 }),
      sizes.count <= 32
    else { throw failure("a shape", written(fields["shape"])) }
    guard let offsets = fields["data_offsets"]?.elements?.map({ $0.int ?? -1 }), offsets.count == 2,
      0 <= offsets[0], offsets[0] <= offsets[1], offsets[1] <= region.count - start
    else {
      throw failure(
        "data_offsets from 0 to \(region.count - start)", written(fields["data_offsets"]))
    }
    guard let count = product(sizes, times: dtype.byteCount), count == offsets[1] - offsets[0] else {
      throw failure("as many bytes as shape \(sizes) of \(dtype) takes", "\(offsets[1] - offsets[0])")
    }
    return Entry(name: name, type: TensorType(Shape(sizes), dtype), offset: start + offsets[0])
  }
}
