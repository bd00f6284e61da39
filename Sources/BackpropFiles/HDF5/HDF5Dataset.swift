import BackpropData
import BackpropTensors

/// A dataset's shape, type and place; its elements are read on demand.
struct HDF5Dataset {
  enum Layout {
    case compact(offset: Int, size: Int)
    case contiguous(offset: Int, size: Int)
    /// A B-tree of chunks; nil when none was ever written.
    case chunked(tree: Int?, chunk: [Int])
  }

  let shape: [Int]
  let type: HDF5Type
  let layout: Layout
  let filters: [HDF5Filter]
  let attributes: HDF5Attributes

  /// Reads what the header says. Sizes are checked against the file before anybody takes memory for them.
  init(_ header: HDF5ObjectHeader, in region: ByteRegion, path: String) throws {
    func failure(_ expected: String, _ found: String) -> DataError {
      DataError(file: region.name, place: .part(path), expected: expected, found: found)
    }
    func cursor(_ kind: HDF5MessageKind, _ what: String) throws -> ByteCursor {
      guard let message = header.first(kind) else { throw failure("a dataset with its \(what)", "none") }
      return try message.cursor(in: region)
    }
    guard header.first(.externalFiles) == nil else {
      throw failure("elements in this file", "an external dataset")
    }

    var space = try cursor(.dataspace, "dataspace")
    shape = try readDataspace(&space)
    var typeCursor = try cursor(.datatype, "datatype")
    type = try HDF5Type(reading: &typeCursor)
    filters =
      try header.first(.filters).map { message in
        var cursor = try message.cursor(in: region)
        return try HDF5Filter.readPipeline(&cursor)
      } ?? []
    attributes = header.attributes
    var layoutCursor = try cursor(.layout, "layout")
    layout = try Self.readLayout(&layoutCursor, elementSize: type.byteCount)

    guard let size = product(shape, times: type.byteCount) else {
      throw failure("a dataset that fits a file", "shape \(shape)")
    }
    switch layout {
    case .compact(_, let stored), .contiguous(_, let stored):
      guard stored == size else { throw failure("\(size) bytes for shape \(shape)", "\(stored)") }
    case .chunked(_, let chunk):
      guard chunk.count == shape.count, !chunk.contains(0), product(chunk, times: type.byteCount) != nil
      else {
        throw failure("chunks of rank \(shape.count)", "\(chunk)")
      }
    }
    if case .contiguous(let offset, let stored) = layout, stored > 0 {
      _ = try region.part(at: offset, count: stored, name: path)
    }
  }

  /// A layout message (IV.A.2.i), version 3, and the parts of version 4 that are the same.
  private static func readLayout(_ cursor: inout ByteCursor, elementSize: Int) throws -> Layout {
    let version = try cursor.byte("a layout")
    guard version == 3 || version == 4 else {
      throw cursor.failure(expected: "a layout of version 3 or 4", found: "version \(version)")
    }
    let kind = try cursor.byte("a layout's class")
    switch kind {
    case 0:
      let size = try cursor.short("a size")
      let offset = cursor.offset
      try cursor.skip(size)
      return .compact(offset: offset, size: size)
    case 1:
      let address = try cursor.integer(UInt64.self, "an address")
      let size = try cursor.size("a size")
      if address == .max, size == 0 { return .contiguous(offset: 0, size: 0) }
      guard let offset = Int(exactly: address) else {
        throw cursor.failure(expected: "the elements' place", found: "none: they were never written")
      }
      return .contiguous(offset: offset, size: size)
    case 2 where version == 3:
      let rank = try cursor.byte("a rank")
      let address = try cursor.integer(UInt64.self, "a B-tree's address")
      guard rank >= 1 else { throw cursor.failure(expected: "chunks of a rank", found: "0") }
      let chunk = try (0..<rank - 1).map { _ in try cursor.size(bytes: 4, "a chunk's size") }
      let element = try cursor.size(bytes: 4, "an element's size")
      guard element == elementSize else {
        throw cursor.failure(expected: "chunks of \(elementSize)-byte elements", found: "\(element)")
      }
      return .chunked(tree: Int(exactly: address), chunk: chunk)
    default:
      let found =
        kind == 2 ? "chunks with an index of HDF5 1.10" : kind == 3 ? "a virtual dataset" : "class \(kind)"
      throw cursor.failure(
        expected: "a compact, contiguous or chunked dataset", found: found,
        advice: kind == 2 ? "write the file with h5py's default, libver='earliest'" : nil)
    }
  }

  /// The elements. The memory it takes was checked against the file's bytes.
  func tensor(in region: ByteRegion, path: String, dtypeName: String?) throws -> Tensor {
    guard let dtype = type.dtype(named: dtypeName) else {
      throw DataError(
        file: region.name, place: .part(path), expected: "numbers or booleans", found: "\(type)")
    }
    switch layout {
    case .compact(let offset, let size), .contiguous(let offset, let size):
      guard filters.isEmpty else {
        throw DataError(
          file: region.name, place: .part(path), expected: "filters on chunks alone",
          found: "a filter on the whole")
      }
      return try region.tensor(at: size > 0 ? offset : 0, TensorType(Shape(shape), dtype))
    case .chunked(let tree, let chunk):
      let reader = HDF5ChunkReader(
        region: region, path: path, shape: shape, chunk: chunk, elementSize: type.byteCount, filters: filters)
      let storage = try reader.read(tree: tree)
      if dtype == .bool {
        normaliseBooleans(UnsafeMutableRawBufferPointer(start: storage.bytes, count: storage.byteCount))
      }
      return Tensor(storage, shape: Shape(shape), dtype: dtype)
    }
  }
}
