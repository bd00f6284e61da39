import BackpropData
import BackpropTensors

/// What lies in an HDF5 file, by path: the subset that h5py writes by default, and what Keras needs of newer files.
///
/// Superblocks 0 to 3, object headers 1 and 2, groups with B-tree and heap or with compact links; datasets contiguous,
/// compact, or in chunks (B-tree) with deflate, shuffle and checksum; numbers, booleans, opaque bytes and strings.
/// Refused by name: soft and external links, virtual and external datasets, an object reached on two paths, big-endian
/// numbers, other types, filters and indexes.
///
/// Source: HDF5 File Format Specification 3.0, The HDF Group.
struct HDF5Reader {
  let region: ByteRegion
  private(set) var groups: [String: HDF5Attributes] = [:]
  private(set) var datasets: [String: HDF5Dataset] = [:]
  private var heap: HDF5GlobalHeap

  private var budget: HDF5Budget

  /// Reads the structure of the file; elements are read by ``tensor(at:)``.
  ///
  /// - Throws: `DataError` with the offset.
  init(_ region: ByteRegion) throws {
    let superblock = try HDF5Superblock(region)
    self.region = try region.part(
      at: superblock.base, count: region.count - superblock.base, name: region.name)
    heap = HDF5GlobalHeap(self.region)
    budget = HDF5Budget(self.region)
    try readObject(at: superblock.root, path: "", depth: 0)
  }

  /// The elements of the dataset at `path`.
  func tensor(at path: String) throws -> Tensor {
    guard let dataset = datasets[path] else { throw failure(path, expected: "a dataset", found: "none") }
    return try dataset.tensor(in: region, path: path, dtypeName: try? string("dtype", of: dataset.attributes))
  }

  /// A text attribute of the object at `path`: a string of fixed or any length.
  func string(_ name: String, at path: String) throws -> String? {
    guard let attributes = groups[path] ?? datasets[path]?.attributes else { return nil }
    return try string(name, of: attributes)
  }

  private func string(_ name: String, of attributes: HDF5Attributes) throws -> String? {
    try strings(name, of: attributes)?.first
  }

  /// An attribute that holds several texts.
  func strings(_ name: String, at path: String) throws -> [String]? {
    guard let attributes = groups[path] ?? datasets[path]?.attributes else { return nil }
    return try strings(name, of: attributes)
  }

  private func strings(_ name: String, of attributes: HDF5Attributes) throws -> [String]? {
    guard let message = attributes[name] else { return nil }
    let attribute = try HDF5Attribute(reading: message, in: region)
    return try attribute.strings(in: region, heap: heap)
  }

  func failure(_ path: String, expected: String, found: String, advice: String? = nil) -> DataError {
    DataError(
      file: region.name, place: .part(path.isEmpty ? "/" : path), expected: expected, found: found,
      advice: advice)
  }

  // MARK: - Structure

  /// Deeper than any model nests its layers; a call takes about a kilobyte of stack.
  private static let maximumDepth = 64

  private mutating func readObject(at address: Int, path: String, depth: Int) throws {
    guard depth <= Self.maximumDepth else {
      throw failure(path, expected: "groups at most \(Self.maximumDepth) deep", found: "deeper ones")
    }
    let header = try HDF5ObjectHeader(region, at: address)
    try budget.spend(header.byteCount, at: address, "an object header")
    if header.isDataset {
      let dataset = try HDF5Dataset(header, in: region, path: path)
      if case .contiguous(let offset, let size) = dataset.layout, size > 0 {
        try budget.spend(size, at: offset, "the elements of \(path)")
      }
      datasets[path] = dataset
      return
    }
    groups[path] = header.attributes
    for link in try links(of: header, path: path) {
      guard !link.name.isEmpty, !link.name.contains("/") else {
        throw failure(path, expected: "names without '/'", found: "'\(link.name)'")
      }
      let childPath = path.isEmpty ? link.name : path + "/" + link.name
      guard groups[childPath] == nil, datasets[childPath] == nil else {
        throw failure(childPath, expected: "one object of this name", found: "two")
      }
      try readObject(at: link.address, path: childPath, depth: depth + 1)
    }
  }

  private typealias Link = (name: String, address: Int)

  private mutating func links(of header: HDF5ObjectHeader, path: String) throws -> [Link] {
    var links: [Link] = []
    for message in header.messages {
      var cursor = try message.cursor(in: region)
      switch message.kind {
      case .symbolTable:
        let tree = try cursor.size("a B-tree's address")
        let heapAddress = try cursor.size("a heap's address")
        let names = try HDF5LocalHeap(region, at: heapAddress)
        try budget.spend(names.byteCount, at: heapAddress, "a local heap")
        try readTree(at: tree, names: names, path: path, depth: 0, into: &links)
      case .link: links.append(try Self.readLink(&cursor))
      case .linkInfo:
        // Links beyond eight lie in a fractal heap, whose address follows.
        let flags = try skipLinkInfoHead(&cursor)
        guard try cursor.integer(UInt64.self, "a heap's address") == .max else {
          throw failure(
            path, expected: "a group with a symbol table or few links",
            found: "links in a fractal heap (flags \(flags))",
            advice: "write the file with h5py's default, libver='earliest'")
        }
      default: break
      }
    }
    return links
  }

  private func skipLinkInfoHead(_ cursor: inout ByteCursor) throws -> Int {
    try cursor.skip(1)
    let flags = try cursor.byte("flags")
    if flags & 1 != 0 { try cursor.skip(8) }
    return flags
  }

  /// A B-tree of a group, version 1 (III.A.1), and the symbol nodes (III.B) at its leaves.
  private mutating func readTree(
    at address: Int, names: HDF5LocalHeap, path: String, depth: Int, into links: inout [Link]
  ) throws {
    guard depth < 16 else {
      throw region.failure(at: address, expected: "a B-tree", found: "16 levels of one")
    }
    var node = try ByteCursor(region, at: address, count: 24)
    try node.expect(Array("TREE\0".utf8), "a node of a group's B-tree")
    let level = try node.byte("a level")
    let count = try node.short("a number of children")
    try budget.spend(24 + 16 * count, at: address, "a node of a B-tree")
    var children = try ByteCursor(region, at: address + 24, count: 16 * count)
    for _ in 0..<count {
      try children.skip(8)
      let child = try children.size("a child's address")
      if level > 0 {
        try readTree(at: child, names: names, path: path, depth: depth + 1, into: &links)
      } else {
        try readSymbols(at: child, names: names, path: path, into: &links)
      }
    }
  }

  private mutating func readSymbols(
    at address: Int, names: HDF5LocalHeap, path: String, into links: inout [Link]
  ) throws {
    var node = try ByteCursor(region, at: address, count: 8)
    try node.expect(Array("SNOD\u{1}\0".utf8), "a symbol node")
    let count = try node.short("a number of symbols")
    try budget.spend(8 + 40 * count, at: address, "a symbol node")
    var entries = try ByteCursor(region, at: address + 8, count: 40 * count)
    for _ in 0..<count {
      let name = try names.string(at: try entries.size("a name's place"))
      let header = try entries.integer(UInt64.self, "an object's address")
      let cache = try entries.integer(UInt32.self, "a cache type")
      try entries.skip(20)
      guard cache != 2, let header = Int(exactly: header) else {
        throw failure(path.isEmpty ? name : path + "/" + name, expected: "an object", found: "a soft link")
      }
      links.append((name, header))
    }
  }

  /// A link message (IV.A.2.g).
  private static func readLink(_ cursor: inout ByteCursor) throws -> Link {
    try cursor.expect([1], "a link message of version 1")
    let flags = try cursor.byte("flags")
    let kind = flags & 8 != 0 ? try cursor.byte("a link's type") : 0
    if flags & 4 != 0 { try cursor.skip(8) }
    if flags & 16 != 0 { try cursor.skip(1) }
    let width = 1 << (flags & 3)
    var length = 0
    for shift in 0..<min(width, 4) { length |= try cursor.byte("a name's length") << (8 * shift) }
    if width == 8 { try cursor.expect([0, 0, 0, 0], "a short name") }
    let name = String(decoding: try cursor.take(length, "a name"), as: UTF8.self)
    guard kind == 0 else {
      throw cursor.failure(
        expected: "an object",
        found: "\(kind == 1 ? "a soft" : kind == 64 ? "an external" : "a user's") link, '\(name)'")
    }
    return (name, try cursor.size("an object's address"))
  }
}

/// Bounds what reading a file costs: its structures and elements lie side by side, so together they are no longer than
/// the file, and no two begin at one place. A file whose structures overlap or lead back to themselves is refused before
/// it takes more time or memory than its bytes justify.
struct HDF5Budget {
  private let region: ByteRegion
  private var rest: Int
  private var starts: Set<Int> = []

  init(_ region: ByteRegion) {
    self.region = region
    rest = region.count
  }

  mutating func spend(_ count: Int, at address: Int, _ what: @autoclosure () -> String) throws {
    guard starts.insert(address).inserted else {
      throw region.failure(
        at: address, expected: "\(what()) on one path", found: "a second way to it (a hard link or a cycle)")
    }
    guard count <= rest else {
      throw region.failure(
        at: address, expected: "structures that don't overlap", found: "more bytes of them than the file has")
    }
    rest -= count
  }
}
