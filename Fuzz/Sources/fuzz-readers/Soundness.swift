@testable import BackpropFiles
@testable import BackpropNetworks
@testable import BackpropTensors

// What must hold of everything that a reader lets through, whatever the bytes were: a fault that only makes a reader
// accept more than it should would stop nothing by itself.

func demand(_ holds: Bool, _ what: @autoclosure () -> String) {
  guard holds else { fatalError(what()) }
}

extension Tensor {
  /// - Parameter most: bytes that the file can have held.
  func demandSound(_ name: String, atMost most: Int, rank: Int = 32) {
    demand(shape.rank <= rank && shape.allSatisfy { $0 >= 0 }, "\(name) has shape \(shape)")
    let size = BackpropFiles.product(shape.dimensions, times: dtype.byteCount)
    demand(size.map { $0 <= most } == true, "\(name), \(shape) \(dtype), comes from \(most) bytes")
    // Reads it all.
    let bytes = withUnsafeBytes { [UInt8]($0) }
    demand(bytes.count == size, "\(name), \(shape) \(dtype), has \(bytes.count) bytes")
    guard dtype == .bool else { return }
    demand(bytes.allSatisfy { $0 <= 1 }, "\(name) holds a boolean that is neither 0 nor 1")
  }
}

/// Deflate gives at most so many bytes for one, and a chunk or member may be a last byte short of that.
func mostInflated(_ count: Int) -> Int { 1032 * (count + 64) }

extension [FilePiece] {
  var bytes: [UInt8] { reduce(into: []) { bytes, piece in piece.withBytes { bytes += $0 } } }
}

extension ConfigValue {
  /// How many brackets its innermost value lies in.
  var depth: Int {
    switch self {
    case .array(let elements): 1 + (elements.map(\.depth).max() ?? 0)
    case .object(let fields): 1 + (fields.values.map(\.depth).max() ?? 0)
    default: 0
    }
  }
}

extension HDF5Reader {
  /// Structures and elements lie side by side, each reached on one path.
  func demandSound(_ count: Int) {
    // No object header is shorter.
    demand(
      (groups.count + datasets.count) * 12 <= count,
      "\(groups.count + datasets.count) objects in \(count) bytes")
    var starts: Set<Int> = []
    var sum = 0
    for (path, dataset) in datasets {
      guard case .contiguous(let offset, let size) = dataset.layout, size > 0 else { continue }
      demand(starts.insert(offset).inserted, "\(path) lies where another dataset does")
      sum += size
    }
    demand(sum <= count, "\(sum) bytes of elements in \(count)")
  }
}

extension SafetensorsReader {
  /// Tensors lie side by side, up to the end.
  func demandSound(_ count: Int) {
    var end = 0
    for entry in entries.values.sorted(by: { ($0.offset, $0.type.byteCount) < ($1.offset, $1.type.byteCount) }
    ) {
      demand(entry.offset >= end, "\(entry.name) begins at \(entry.offset), before \(end)")
      end = entry.offset + entry.type.byteCount
    }
    demand(end <= count, "tensors end at \(end) of \(count) bytes")
  }
}

extension Model {
  /// - Parameter most: bytes that its weights may take.
  func demandSound(atMost most: Int) {
    demandSoundInputs()
    var sum = 0
    for weight in weights {
      let size =
        weight.shape.allSatisfy { $0 >= 0 }
        ? product(weight.shape.dimensions, times: weight.dtype.byteCount) : nil
      demand(size != nil, "\(weight.path) has shape \(weight.shape)")
      weight.value.demandSound(weight.path, atMost: most)
      sum += size ?? 0
    }
    demand(sum <= most, "weights of \(sum) bytes where the file has \(most)")
  }

  private func demandSoundInputs() {
    // The batch axis and others may be open.
    var shapes = (preparedSizes ?? []).map { Shape($0.map { $0 ?? 1 }) }
    for layer in layers {
      if let input = layer as? Input { shapes.append(input.shape) }
      (layer as? Model)?.demandSoundInputs()
    }
    for shape in shapes {
      let isSound =
        shape.rank <= 32 && shape.allSatisfy { $0 > 0 }
        && product(shape.dimensions).map { $0 <= 1 << 40 } == true
      demand(isSound, "\(name) takes an input of shape \(shape)")
    }
  }
}
