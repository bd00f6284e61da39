import BackpropData
import BackpropNetworks
import BackpropTensors

extension TrainingState {
  /// Under this name the file's metadata hold everything but the tensors, as JSON.
  private static let key = "backprop.training"
  private static let version = 1

  /// Writes a checkpoint: a safetensors file, whole or not at all, whose metadata say where training stands.
  ///
  /// - Throws: `DataError` with the path and the reason.
  public func save(_ path: String) throws { try FilePiece.write(pieces, to: path) }

  var pieces: [FilePiece] {
    var metadata = Safetensors.standardMetadata
    metadata[Self.key] = String(decoding: JSONWriter.write(record), as: UTF8.self)
    var all = tensors
    for (name, callback) in callbacks {
      for (part, tensor) in callback.tensors { all["callbacks/\(name)/\(part)"] = tensor }
    }
    return Safetensors.pieces(all, metadata)
  }

  /// Reads a checkpoint.
  ///
  /// - Throws: `DataError` naming the file and what it lacks.
  public static func load(_ path: String) throws -> TrainingState { try read(ByteRegion(path: path)) }

  static func read(_ region: ByteRegion) throws -> TrainingState {
    let path = region.name
    let reader = try SafetensorsReader(region)
    func failure(_ place: String, _ expected: String, _ found: String) -> DataError {
      DataError(file: path, place: .part(place), expected: expected, found: found)
    }
    guard let text = reader.metadata[key] else {
      throw DataError(
        file: path, place: .part("__metadata__"), expected: "a checkpoint",
        found: "tensors without '\(key)' in the metadata",
        advice: "weights alone are read by loadWeights(_:)")
    }
    guard case .object(let fields) = try JSONParser.parse(Array(text.utf8), name: "\(path): \(key)") else {
      throw failure(key, "an object", "something else")
    }
    func integer(_ name: String) throws -> Int {
      guard let value = fields[name]?.int, value >= 0 else {
        throw failure(key, "a whole number '\(name)'", fields[name]?.kindName ?? "none")
      }
      return value
    }
    let found = try integer("version")
    guard found == version else { throw failure(key, "version \(version)", "\(found)") }
    guard let seed = fields["seed"]?.int, let shuffles = fields["shuffles"]?.bool,
      let isFinished = fields["finished"]?.bool, let instructionSet = fields["instruction_set"]?.text,
      case .object(let states)? = fields["callbacks"]
    else { throw failure(key, "seed, shuffles, finished, instruction_set and callbacks", "not all of them") }

    var tensors: [String: Tensor] = [:]
    var callbacks = try states.mapValues { value -> CallbackState in
      guard case .object(let values) = value else {
        throw failure(key, "a callback's values", value.kindName)
      }
      return CallbackState(values: values)
    }
    for (name, entry) in reader.entries {
      let tensor = try reader.tensor(entry)
      let parts = name.split(separator: "/", maxSplits: 2).map(String.init)
      if parts.count == 3, parts[0] == "callbacks" {
        callbacks[parts[1], default: CallbackState()].tensors[parts[2]] = tensor
      } else {
        tensors[name] = tensor
      }
    }
    return TrainingState(
      position: Position(epoch: try integer("epoch"), step: try integer("step")),
      stepCount: try integer("steps"), isFinished: isFinished,
      order: DataOrder(
        rows: fields["rows"]?.int, batchSize: fields["batch_size"]?.int, seed: seed, shuffles: shuffles),
      machine: Machine(threads: try integer("threads"), instructionSet: instructionSet), callbacks: callbacks,
      tensors: tensors)
  }

  private var record: ConfigValue {
    .object([
      "version": .integer(Self.version), "epoch": .integer(position.epoch), "step": .integer(position.step),
      "steps": .integer(stepCount), "finished": .bool(isFinished), "seed": .integer(order.seed),
      "shuffles": .bool(order.shuffles), "rows": order.rows.map { .integer($0) } ?? .null,
      "batch_size": order.batchSize.map { .integer($0) } ?? .null, "threads": .integer(machine.threads),
      "instruction_set": .string(machine.instructionSet),
      "callbacks": .object(callbacks.mapValues { .object($0.values) }),
    ])
  }
}

/// The path of a checkpoint.
extension String: TrainingStateSource {
  public func trainingState() throws -> TrainingState? { try TrainingState.load(self) }
}
