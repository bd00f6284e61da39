import BackpropTensors

/// A group to be written: text attributes, groups and tensors by name.
struct HDF5Group {
  var attributes: [String: String] = [:]
  var groups: [String: HDF5Group] = [:]
  var tensors: [String: Tensor] = [:]

  /// The group at a path such as `layers/dense/vars`, made on the way when it isn't there.
  subscript(path: [String]) -> HDF5Group {
    get {
      guard let first = path.first else { return self }
      return (groups[first] ?? HDF5Group())[Array(path.dropFirst())]
    }
    set {
      guard let first = path.first else {
        self = newValue
        return
      }
      groups[first, default: HDF5Group()][Array(path.dropFirst())] = newValue
    }
  }
}

/// Lays out a file as h5py does by default: superblock 0, groups with B-tree and heap, contiguous datasets.
///
/// First the superblock, then the elements, then all structures, so that every address is known when it is written. The
/// same groups give the same bytes.
///
/// Source: HDF5 File Format Specification 3.0, The HDF Group.
struct HDF5Writer {
  /// Entries of a symbol node are at most 2 × 4, children of a B-tree node at most 2 × 16: the superblock says so.
  private static let leafEntries = 8
  private static let children = 32
  private static let superblockSize = 96
  private static let undefined = UInt64.max

  /// Structures, which begin at `base`.
  private var structures: [UInt8] = []
  private let base: Int
  /// Where the next tensor's elements go.
  private var nextElements = superblockSize
  private let heap: GlobalHeapWriter
  private var elements: [FilePiece] = []

  private typealias Place = (header: Int, tree: Int, heap: Int)

  /// The pieces of a file with `root` at its top.
  static func pieces(_ root: HDF5Group) -> [FilePiece] {
    var writer = HDF5Writer(base: superblockSize + elementBytes(root), heap: GlobalHeapWriter(root))
    writer.writeHeap()
    let place = writer.write(root)
    let end = writer.base + writer.structures.count
    return [.bytes(superblock(place, end: end))] + writer.elements + [.bytes(writer.structures)]
  }

  private init(base: Int, heap: GlobalHeapWriter) {
    self.base = base
    self.heap = heap
  }

  private static func elementBytes(_ group: HDF5Group) -> Int {
    let own = group.tensors.values.reduce(0) { $0 + padded(FilePiece.tensor($1).count) }
    return group.groups.values.reduce(own) { $0 + elementBytes($1) }
  }

  private static func padded(_ size: Int) -> Int { (size + 7) & ~7 }

  // MARK: - Groups and datasets

  /// Writes a group and everything below it.
  private mutating func write(_ group: HDF5Group) -> Place {
    var entries: [(name: String, header: Int, group: Place?)] = []
    // In the order of C's strcmp, which the B-tree needs: by bytes, not as Swift compares text.
    let names = (Array(group.groups.keys) + group.tensors.keys).sorted {
      $0.utf8.lexicographicallyPrecedes($1.utf8)
    }
    for name in names {
      if let child = group.groups[name] {
        let place = write(child)
        entries.append((name, place.header, place))
      } else if let tensor = group.tensors[name] {
        entries.append((name, write(tensor), nil))
      }
    }

    // The heap begins with eight zeros: the empty name at 0.
    var heap = [UInt8](repeating: 0, count: 8)
    var offsets: [Int] = []
    for entry in entries {
      offsets.append(heap.count)
      heap += Array(entry.name.utf8) + [0]
      heap.pad(to: 8)
    }
    let heapAddress = appendLocalHeap(heap)

    var nodes: [Node] = []
    for start in stride(from: 0, to: entries.count, by: Self.leafEntries) {
      let range = start..<min(start + Self.leafEntries, entries.count)
      var bytes = Array("SNOD\u{1}\0".utf8)
      bytes.append(little: UInt16(range.count))
      for index in range {
        let entry = entries[index]
        bytes.append(little: UInt64(offsets[index]))
        bytes += Self.symbol(header: entry.header, group: entry.group)
      }
      bytes += [UInt8](repeating: 0, count: 40 * (Self.leafEntries - range.count))
      nodes.append(Node(address: append(bytes), lastName: offsets[range.upperBound - 1]))
    }
    let tree = writeTree(nodes)

    var symbolTable: [UInt8] = []
    symbolTable.append(little: UInt64(tree))
    symbolTable.append(little: UInt64(heapAddress))
    let header = writeHeader([(HDF5MessageKind.symbolTable, symbolTable)] + attributes(group.attributes))
    return (header, tree, heapAddress)
  }

  private mutating func write(_ tensor: Tensor) -> Int {
    let piece = FilePiece.tensor(tensor)
    let address = piece.count == 0 ? Self.undefined : UInt64(nextElements)
    if piece.count > 0 {
      elements.append(piece)
      let padding = Self.padded(piece.count) - piece.count
      if padding > 0 { elements.append(.bytes([UInt8](repeating: 0, count: padding))) }
      nextElements += Self.padded(piece.count)
    }
    var layout: [UInt8] = [3, 1]
    layout.append(little: address)
    layout.append(little: UInt64(piece.count))
    let type = HDF5Type(tensor.dtype)
    // Keras asks for this attribute, and takes the bytes for the type that it names.
    let named = tensor.dtype == .bfloat16 ? ["dtype": tensor.dtype.rawValue] : [:]
    return writeHeader(
      [
        (.dataspace, Self.dataspace(tensor.shape.dimensions)), (.datatype, type.encoded),
        (.fillValue, [2, 2, 2, 1, 0, 0, 0, 0]), (.layout, layout),
      ] + attributes(named))
  }

  // MARK: - Pieces

  /// Appends a structure at a multiple of 8; gives its address.
  private mutating func append(_ bytes: [UInt8]) -> Int {
    structures.pad(to: 8)
    defer { structures += bytes }
    return base + structures.count
  }

  private struct Node {
    var address: Int
    /// The place in the heap of its last name.
    var lastName: Int
  }

  /// Writes a B-tree over symbol nodes, one level above the other until one node is enough; gives the root's address.
  private mutating func writeTree(_ leaves: [Node]) -> Int {
    var nodes = leaves
    var level: UInt8 = 0
    while true {
      let size = 24 + 8 * (2 * Self.children + 1)
      let count = max(1, (nodes.count + Self.children - 1) / Self.children)
      structures.pad(to: 8)
      let first = base + structures.count
      var parents: [Node] = []
      for index in 0..<count {
        let range = index * Self.children..<min((index + 1) * Self.children, nodes.count)
        var bytes = Array("TREE\0".utf8) + [level]
        bytes.append(little: UInt16(range.count))
        bytes.append(little: index > 0 ? UInt64(first + (index - 1) * size) : Self.undefined)
        bytes.append(little: index + 1 < count ? UInt64(first + (index + 1) * size) : Self.undefined)
        // A key is the last name before it: 0, the empty name, before the first of all.
        bytes.append(little: UInt64(index > 0 ? nodes[range.lowerBound - 1].lastName : 0))
        for node in nodes[range] {
          bytes.append(little: UInt64(node.address))
          bytes.append(little: UInt64(node.lastName))
        }
        bytes += [UInt8](repeating: 0, count: size - bytes.count)
        parents.append(Node(address: append(bytes), lastName: nodes[range].last?.lastName ?? 0))
      }
      if parents.count == 1 { return parents[0].address }
      nodes = parents
      level += 1
    }
  }

  /// A local heap with its names behind its head.
  private mutating func appendLocalHeap(_ names: [UInt8]) -> Int {
    structures.pad(to: 8)
    var bytes = Array("HEAP\0\0\0\0".utf8)
    bytes.append(little: UInt64(names.count))
    bytes.append(little: UInt64(1))  // no free list
    bytes.append(little: UInt64(base + structures.count + 32))
    return append(bytes + names)
  }

  /// An object header, version 1.
  private mutating func writeHeader(_ messages: [(kind: HDF5MessageKind, content: [UInt8])]) -> Int {
    var body: [UInt8] = []
    for message in messages {
      var content = message.content
      content.pad(to: 8)
      body.append(little: UInt16(message.kind.rawValue))
      body.append(little: UInt16(content.count))
      body += [0, 0, 0, 0] + content
    }
    var header: [UInt8] = [1, 0]
    header.append(little: UInt16(messages.count))
    header.append(little: UInt32(1))
    header.append(little: UInt32(body.count))
    return append(header + [0, 0, 0, 0] + body)
  }

  private static func dataspace(_ shape: [Int]) -> [UInt8] {
    var bytes: [UInt8] = [1, UInt8(shape.count), 0, 0, 0, 0, 0, 0]
    for size in shape { bytes.append(little: UInt64(size)) }
    return bytes
  }

  private func attributes(_ values: [String: String]) -> [(kind: HDF5MessageKind, content: [UInt8])] {
    values.sorted { $0.key < $1.key }.map { name, value in
      let type = HDF5Type.variableString.encoded
      let space = Self.dataspace([])
      var bytes: [UInt8] = [1, 0]
      bytes.append(little: UInt16(name.utf8.count + 1))
      bytes.append(little: UInt16(type.count))
      bytes.append(little: UInt16(space.count))
      bytes += Array(name.utf8) + [0]
      for part in [type, space] {
        bytes.pad(to: 8)
        bytes += part
      }
      bytes.pad(to: 8)
      let place = heap.places[value]!
      bytes.append(little: UInt32(value.utf8.count))
      bytes.append(little: UInt64(base + place.collection))
      bytes.append(little: UInt32(place.index))
      return (.attribute, bytes)
    }
  }

  /// The collections of attribute values come first of the structures: so their addresses are known.
  private mutating func writeHeap() { structures += heap.bytes }

  /// An entry of a symbol table after the name: the object's address, and for a group where its names are.
  private static func symbol(header: Int, group: Place?) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(little: UInt64(header))
    bytes.append(little: UInt32(group == nil ? 0 : 1))
    bytes.append(little: UInt32(0))
    bytes.append(little: UInt64(group?.tree ?? 0))
    bytes.append(little: UInt64(group?.heap ?? 0))
    return bytes
  }

  private static func superblock(_ root: Place, end: Int) -> [UInt8] {
    var bytes = HDF5Superblock.signature + [0, 0, 0, 0, 0, 8, 8, 0]
    bytes.append(little: UInt16(leafEntries / 2))
    bytes.append(little: UInt16(children / 2))
    bytes.append(little: UInt32(0))
    bytes.append(little: UInt64(0))
    bytes.append(little: undefined)
    bytes.append(little: UInt64(end))
    bytes.append(little: undefined)
    bytes.append(little: UInt64(0))
    return bytes + symbol(header: root.header, group: root)
  }
}

/// The texts of attributes, in collections of a global heap (III.E).
private struct GlobalHeapWriter {
  private(set) var bytes: [UInt8] = []
  /// Where each text is: the place of its collection, and its number in it.
  private(set) var places: [String: (collection: Int, index: Int)] = [:]

  init(_ root: HDF5Group) {
    let texts = Self.texts(root).sorted()
    // A number has 16 bits.
    for start in stride(from: 0, to: texts.count, by: 1000) {
      let collection = bytes.count
      var objects: [UInt8] = []
      for (index, text) in texts[start..<min(start + 1000, texts.count)].enumerated() {
        places[text] = (collection, index + 1)
        objects.append(little: UInt16(index + 1))
        objects.append(little: UInt16(1))
        objects.append(little: UInt32(0))
        objects.append(little: UInt64(text.utf8.count))
        objects += Array(text.utf8)
        objects.pad(to: 8)
      }
      // The smallest collection that HDF5 takes has 4096 bytes. Object 0 is the free space, head included.
      let size = max(4096, 16 + objects.count + 16)
      bytes += Array("GCOL\u{1}\0\0\0".utf8)
      bytes.append(little: UInt64(size))
      bytes += objects
      let free = size - 16 - objects.count
      bytes.append(little: UInt64(0))
      bytes.append(little: UInt64(free))
      bytes += [UInt8](repeating: 0, count: free - 16)
    }
  }

  private static func texts(_ group: HDF5Group) -> Set<String> {
    var result = Set(group.attributes.values)
    if group.tensors.values.contains(where: { $0.dtype == .bfloat16 }) {
      result.insert(DType.bfloat16.rawValue)
    }
    for child in group.groups.values { result.formUnion(texts(child)) }
    return result
  }
}
