@testable import BackpropData
@testable import BackpropFiles
@testable import BackpropImages
@testable import BackpropNetworks
@testable import BackpropTensors

/// Every reader of files, each made to read all that its bytes hold, and what it read looked at. The one list of them:
/// `scripts/fuzz` asks for it.
enum Reader: String, CaseIterable {
  case zip, hdf5, json, config, safetensors, npy, npz, idx, csv, events, checkpoint, keras, legacy, png, jpeg

  func read(_ bytes: [UInt8]) throws {
    let region = ByteRegion(bytes, name: "input")
    switch self {
    case .zip:
      let archive = try ZipArchive(region)
      var sum = 0
      for member in archive.members {
        guard let contents = try? archive.contents(of: member) else { continue }
        demand(contents.count == member.size, "\(contents.count) bytes of \(member.size)")
        sum += contents.count
      }
      demand(sum <= mostInflated(bytes.count), "\(sum) bytes inflated from \(bytes.count)")
    case .hdf5:
      let file = try HDF5Reader(region)
      file.demandSound(bytes.count)
      for (path, dataset) in file.datasets {
        _ = try? file.string("dtype", at: path)
        guard let tensor = try? file.tensor(at: path) else { continue }
        demand(tensor.shape.dimensions == dataset.shape, "\(path) became \(tensor.shape)")
        tensor.demandSound(path, atMost: mostInflated(bytes.count))
      }
      for (path, attributes) in file.groups {
        for name in attributes.keys { _ = try? file.strings(name, at: path) }
      }
    case .json:
      let value = try JSONParser.parse(bytes, name: "input")
      demand(value.depth <= 200, "a value is \(value.depth) levels deep")
      let written = JSONWriter.write(value)
      let again = JSONWriter.write(try! JSONParser.parse(written, name: "written"))
      demand(again == written, "\(excerpt(written)) became \(excerpt(again))")
    case .config: try Self.readConfig(bytes)
    case .safetensors:
      let reader = try SafetensorsReader(region)
      let tensors = try reader.entries.mapValues { try reader.tensor($0) }
      reader.demandSound(bytes.count)
      for (name, tensor) in tensors { tensor.demandSound(name, atMost: bytes.count) }
      let written = Safetensors.pieces(tensors, reader.metadata).bytes
      let again = try! SafetensorsReader(ByteRegion(written, name: "written"))
      demand(again.metadata == reader.metadata, "the metadata became others")
      demandSame(tensors, try! again.entries.mapValues { try again.tensor($0) })
    case .npy:
      let tensor = try NPY.decode(region)
      tensor.demandSound("the array", atMost: bytes.count)
      let end = try! NPYHeader(region).end + tensor.type.byteCount
      demand(end == bytes.count, "\(tensor.type) ends at \(end) of \(bytes.count) bytes")
      let written = try! NPY.pieces(tensor, name: "written").bytes
      demandSame(["": tensor], ["": try! NPY.decode(ByteRegion(written, name: "written"))])
    case .npz:
      let tensors = try NPZ.decode(ZipArchive(region), name: "input")
      for (name, tensor) in tensors { tensor.demandSound(name, atMost: mostInflated(bytes.count)) }
      let sum = tensors.values.reduce(0) { $0 + $1.type.byteCount }
      demand(sum <= mostInflated(bytes.count), "\(sum) bytes inflated from \(bytes.count)")
    case .idx:
      let tensor = try IDX.decode(bytes)
      tensor.demandSound("the array", atMost: mostInflated(bytes.count), rank: 255)
      // Plain files hold nothing but a header and the elements.
      let isPlain = !bytes.starts(with: GzipSource.magic)
      let size = 4 + 4 * tensor.rank + tensor.type.byteCount
      demand(!isPlain || size == bytes.count, "\(tensor.type) from \(bytes.count) bytes")
    case .csv:
      if let data = try? CSV.decode(bytes, label: .last) {
        demand(
          data.inputs.count == data.labels.count, "\(data.inputs.count) rows, \(data.labels.count) labels")
      }
      let table = try CSV.decode(bytes, options: CSV.Options(delimiter: ";"))
      // A number takes a character and what divides it from the next.
      table.values.demandSound("the table", atMost: 4 * (bytes.count + 1))
      let columns = table.values.shape[1]
      demand(table.names.isEmpty || table.names.count == columns, "\(table.names) name \(columns) columns")
    case .events:
      let file = try EventFile(ByteRegion(Checksums.ofEvents(bytes), name: "input"))
      let found = file.scalars.values.reduce(0) { $0 + $1.count } + file.others.values.reduce(0, +)
      // An event's frame takes 16 bytes, a value two.
      demand(file.eventCount * 16 + found * 2 <= bytes.count, "\(file.eventCount) events of \(found) values")
    case .checkpoint:
      let state = try TrainingState.read(region)
      for (name, tensor) in state.tensors { tensor.demandSound(name, atMost: bytes.count) }
      let written = state.pieces.bytes
      let again = try! TrainingState.read(ByteRegion(written, name: "written")).pieces.bytes
      demand(again == written, "the state became another")
    case .keras:
      // Without the archive around them, whose checksums would keep every changed byte from the readers behind it.
      let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { return }
      let weights = ByteRegion(Array(parts[1]), name: "weights")
      var reader = KerasModelReader(file: "input")
      let model = try reader.model(config: Array(parts[0]), weights: weights, seed: 0)
      model.demandSound(atMost: 8 * mostInflated(weights.count))
    case .legacy:
      let model = try LegacyKerasFile(region).model(seed: 0).model
      model.demandSound(atMost: 8 * mostInflated(bytes.count))
    case .png, .jpeg:
      // The first byte says what is asked for, so that every transformation is tried. A smaller limit than users have:
      // what must hold is that it is kept.
      let mode = ColorMode.allCases[Int(bytes.first ?? 0) % ColorMode.allCases.count]
      let file = Array(bytes.dropFirst())
      let image = self == .png ? Checksums.ofPNG(file) : file
      try ImageFile.withPixels(of: image, mode, name: "input", mostPixels: 1 << 21) { pixels in
        let size = pixels.height * pixels.width * mode.channels
        demand(pixels.bytes.count == size && size <= mode.channels << 21, "\(pixels.bytes.count) bytes")
        // Reads them all.
        demand(Array(pixels.bytes).count == size, "as many")
      }
    }
  }

  /// A file with nothing but room for a few thousand weights: building a model takes no file else.
  private nonisolated(unsafe) static let room: Result<HDF5Reader, any Error> = Result {
    var group = HDF5Group()
    group.tensors["room"] = Tensor.zeros([roomSize / 8], dtype: .uint8)
    return try HDF5Reader(ByteRegion(HDF5Writer.pieces(group).bytes, name: "room"))
  }
  private static let roomSize = 1 << 15

  /// A configuration without weights: the model is built and compiled, and its own configuration makes the same model.
  private static func readConfig(_ bytes: [UInt8]) throws {
    let room = try room.get()
    func model(_ bytes: [UInt8]) throws -> Model {
      var reader = KerasModelReader(file: "input")
      let value = try JSONParser.parse(bytes, name: "input")
      let model = try reader.model(config: value, legacy: room, seed: 0) { _ in }
      guard case .object(let fields) = value, case .object(let config)? = fields["compile_config"],
        !config.isEmpty
      else { return model }
      try reader.compile(model, config, KerasWeightReader(file: room))
      return model
    }
    let first = try model(bytes)
    first.demandSound(atMost: roomSize)
    // Of every fourth, because it takes as long again.
    guard bytes.reduce(0, &+) % 4 == 0 else { return }
    guard let config = try? KerasModelWriter(file: "written").config(of: first) else { return }
    let written = JSONWriter.write(config)
    func again(_ config: [UInt8]) -> [UInt8] {
      do { return JSONWriter.write(try KerasModelWriter(file: "written").config(of: model(config))) } catch {
        fatalError("\(error): \(String(decoding: config, as: UTF8.self))")
      }
    }
    let second = again(written)
    // Layers remember sizes of calls that no output needs, and files don't hold these calls.
    guard second != written else { return }
    let third = again(second)
    demand(
      third == second,
      "\(String(decoding: second, as: UTF8.self)) became \(String(decoding: third, as: UTF8.self))")
  }

  private func demandSame(_ tensors: [String: Tensor], _ others: [String: Tensor]) {
    demand(tensors.keys == others.keys, "\(tensors.keys.sorted()) became \(others.keys.sorted())")
    for (name, tensor) in tensors {
      guard let other = others[name], other.type == tensor.type else {
        fatalError("\(name) changed its type")
      }
      let isSame = tensor.withUnsafeBytes { a in other.withUnsafeBytes { a.elementsEqual($0) } }
      demand(isSame, "\(name) became another")
    }
  }
}
