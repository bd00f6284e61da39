import BackpropData
import BackpropTensors

/// Puts a dataset's chunks together (B-tree version 1 of type 1, III.A.1).
struct HDF5ChunkReader {
  let region: ByteRegion
  let path: String
  let shape: [Int]
  let chunk: [Int]
  let elementSize: Int
  let filters: [HDF5Filter]

  private struct Entry {
    var position: [Int]
    var offset: Int
    var size: Int
    var skippedFilters: Int
  }

  func read(tree: Int?) throws -> Storage {
    // Both products were checked when the dataset's header was read.
    let size = product(shape, times: elementSize)!
    let chunkSize = product(chunk, times: elementSize)!
    guard size > 0 else { return Storage(byteCount: 0) }
    var entries: [Entry] = []
    var budget = HDF5Budget(region)
    if let tree { try collect(at: tree, depth: 0, &entries, &budget) }

    // Every chunk must be there, and hold what it says: so no more memory is taken than the file's bytes can fill.
    let grid = zip(shape, chunk).map { $0 / $1 + ($0 % $1 == 0 ? 0 : 1) }
    guard product(grid) == entries.count else {
      throw failure("\(product(grid).map(String.init) ?? "more") chunks of \(chunk)", "\(entries.count)")
    }
    var positions: Set<[Int]> = []
    for entry in entries {
      try budget.spend(entry.size, at: entry.offset, "a chunk")
      let isOnGrid = zip(entry.position, zip(shape, chunk)).allSatisfy { $0 < $1.0 && $0 % $1.1 == 0 }
      guard isOnGrid, positions.insert(entry.position).inserted else {
        throw failure("each chunk once and in its place", "one at \(entry.position)")
      }
      let isDeflated = filters.contains { if case .deflate = $0 { true } else { false } }
      // Deflate gives at most 1,032 bytes for one.
      guard isDeflated ? chunkSize / 1032 <= entry.size : entry.size >= chunkSize else {
        throw failure("a chunk of \(chunkSize) bytes", "\(entry.size) bytes of it")
      }
    }

    let storage = Storage(byteCount: size)
    storage.bytes.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    for entry in entries {
      let bytes = try contents(of: entry, size: chunkSize)
      bytes.withUnsafeBytes { place($0, at: entry.position, in: storage.bytes) }
    }
    return storage
  }

  private func contents(of entry: Entry, size: Int) throws -> [UInt8] {
    var bytes = try region.bytes(at: entry.offset, count: entry.size)
    for (index, filter) in filters.enumerated().reversed() where entry.skippedFilters >> index & 1 == 0 {
      // A checksum that was added before deflating is still there afterwards.
      let checksums = filters[..<index].filter { if case .fletcher32 = $0 { true } else { false } }.count
      bytes = try filter.undo(bytes, size: size + 4 * checksums, name: "\(region.name): \(path)")
    }
    guard bytes.count == size else { throw failure("a chunk of \(size) bytes", "\(bytes.count)") }
    return bytes
  }

  /// Copies the part of a chunk that lies inside the dataset, row by row.
  private func place(_ bytes: UnsafeRawBufferPointer, at position: [Int], in target: UnsafeMutableRawPointer)
  {
    guard let rowAxis = shape.indices.last else {
      target.copyMemory(from: bytes.baseAddress!, byteCount: elementSize)
      return
    }
    let extent = zip(zip(shape, chunk), position).map { min($0.1, $0.0 - $1) }
    let strides = Shape(shape).strides
    let chunkStrides = Shape(chunk).strides
    let rowBytes = extent[rowAxis] * elementSize
    var index = [Int](repeating: 0, count: shape.count)
    while true {
      var from = 0
      var to = position[rowAxis]
      for axis in 0..<rowAxis {
        from += index[axis] * chunkStrides[axis]
        to += (position[axis] + index[axis]) * strides[axis]
      }
      (target + to * elementSize).copyMemory(
        from: bytes.baseAddress! + from * elementSize, byteCount: rowBytes)
      var axis = rowAxis - 1
      while axis >= 0 {
        index[axis] += 1
        if index[axis] < extent[axis] { break }
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }

  private func collect(at address: Int, depth: Int, _ entries: inout [Entry], _ budget: inout HDF5Budget)
    throws
  {
    guard depth < 16 else {
      throw region.failure(at: address, expected: "a B-tree", found: "16 levels of one")
    }
    var node = try ByteCursor(region, at: address, count: 24)
    try node.expect(Array("TREE\u{1}".utf8), "a node of a B-tree of chunks")
    let level = try node.byte("a level")
    let count = try node.short("a number of children")
    // A key: the stored size, the filters skipped, the position and one more number; then the child.
    let keySize = 8 + 8 * (shape.count + 1)
    try budget.spend(24 + count * (keySize + 8), at: address, "a node of a B-tree")
    var cursor = try ByteCursor(region, at: address + 24, count: count * (keySize + 8))
    for _ in 0..<count {
      let size = try cursor.size(bytes: 4, "a chunk's size")
      let skipped = Int(try cursor.integer(UInt32.self, "a filter mask"))
      let position = try shape.map { _ in try cursor.size("a chunk's position") }
      try cursor.skip(8)
      let child = try cursor.size("a chunk's address")
      if level > 0 {
        try collect(at: child, depth: depth + 1, &entries, &budget)
      } else {
        entries.append(Entry(position: position, offset: child, size: size, skippedFilters: skipped))
      }
    }
  }

  private func failure(_ expected: String, _ found: String) -> DataError {
    DataError(file: region.name, place: .part(path), expected: expected, found: found)
  }
}
