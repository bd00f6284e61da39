import BackpropData
import BackpropNetworks
import BackpropTensors

/// Makes a model from the members of a `.keras` file, whichever Keras 3 wrote it on whichever backend.
///
/// Only classes of the registry are made: no name in a file makes code run or another file be opened. What isn't needed
/// to predict is taken over where it can be, and a warning says where it can't.
struct KerasModelReader {
  /// The file's path, for messages.
  let file: String
  private(set) var warnings: [String] = []
  /// What layers keep in files of their own, by the member's name.
  private let asset: (String) throws -> ByteRegion?
  private(set) var weightsFile: HDF5Reader?

  init(file: String, asset: @escaping (String) throws -> ByteRegion? = { _ in nil }) {
    self.file = file
    self.asset = asset
  }

  /// - Parameters:
  ///   - config: the bytes of `config.json`.
  ///   - weights: `model.weights.h5`.
  mutating func model(config: [UInt8], weights: ByteRegion, seed: Int) throws -> Model {
    let name = "\(file): \(KerasPaths.config)"
    let top = try KerasConfigObject(try JSONParser.parse(config, name: name), at: "model", file: name)
    let reader = KerasWeightReader(file: try HDF5Reader(weights))
    weightsFile = reader.file
    let model = try build(top, reader.file, seed: seed) { try reader.read(into: $0) }
    if case .object(let config)? = top.fields["compile_config"], !config.isEmpty {
      try compile(model, config, reader)
    }
    return model
  }

  /// A model whose configuration is an attribute of an HDF5 file, with its weights elsewhere than in `.keras` files.
  mutating func model(
    config: ConfigValue, legacy reader: HDF5Reader, seed: Int, read: (Model) throws -> Void
  ) throws -> Model {
    let top = try KerasConfigObject(config, at: "model", file: "\(file): \(LegacyKerasFile.config)")
    return try build(top, reader, seed: seed, read: read)
  }

  private mutating func build(
    _ top: KerasConfigObject, _ weights: HDF5Reader, seed: Int, read: (Model) throws -> Void
  ) throws -> Model {
    // An element of a weight is at most eight bytes, whatever the file stores.
    let most = 1 << 50
    let elements = weights.datasets.values.reduce(0) { min($0 + min(product($1.shape) ?? 0, most), most) }
    let budget = WeightBudget(bytes: elements * 8)
    let model: Model
    do {
      model = try WeightBudget.$current.withValue(budget) { try self.model(top, seed: seed, at: []) }
    } catch let error as ModelError {
      throw DataError(
        file: top.file, place: .wholeFile, expected: "a model that can be built", found: "'\(error)'")
    }
    try read(model)
    return model
  }

  // MARK: - Layers

  /// - Parameter place: where its weights and assets are.
  private mutating func model(_ object: KerasConfigObject, seed: Int, at place: [String]) throws -> Model {
    switch object.className {
    case "Sequential": return try sequential(object, seed: seed, at: place)
    // Keras 2's name for it.
    case "Functional", "Model": return try functional(object, seed: seed, at: place)
    default:
      throw object.failure("a Sequential or Functional model", "a model of class \(object.className)")
    }
  }

  private mutating func sequential(
    _ object: KerasConfigObject, seed: Int, at place: [String]
  ) throws -> Sequential {
    guard let entries = object.config["layers"]?.elements else {
      throw object.failure("its list of layers", "none")
    }
    var layers: [Layer] = []
    var places = KerasPaths.Places(container: place)
    for (index, entry) in entries.enumerated() {
      let child = try KerasConfigObject(entry, at: "\(object.place).layers[\(index)]", file: object.file)
      layers.append(try layer(child, seed: seed, at: places.next(child.className)))
    }
    let name = object.config["name"]?.text
    let known = try inputSizes(object, layers)
    let model = Sequential(layers, name: name, seed: seed)
    do { try model.build(sizes: known[0]) } catch {
      // Open sizes that nothing can stand for; the model was built for some.
      guard known.dropFirst().contains(where: { (try? model.build(sizes: $0)) != nil }) else { throw error }
    }
    if object.config["trainable"]?.bool == false { model.trainable = false }
    return model
  }

  mutating func layer(_ object: KerasConfigObject, seed: Int, at place: [String]) throws -> Layer {
    if ["Sequential", "Functional", "Model"].contains(object.className) {
      return try model(object, seed: seed, at: place)
    }
    let known = try object.registered()
    var config = object.config
    let name = "\((["assets"] + place).joined(separator: "/"))/vocabulary.txt"
    if object.className == "IntegerLookup", config["vocabulary"] ?? .null == .null, let text = try asset(name)
    {
      try addVocabulary(text, object, at: place, to: &config)
    }
    // Keras 2's name for it.
    if let shape = config["batch_input_shape"], config["batch_shape"] == nil { config["batch_shape"] = shape }
    let policy = try object.dtypePolicy()
    if known.keys.contains("dtype") { config["dtype"] = .string(policy.variableDType.rawValue) }
    let common: Set<String> = ["name", "trainable", "dtype", "batch_input_shape"]
    for (key, value) in config.sorted(by: { $0.key < $1.key })
    where !known.keys.contains(key) && !common.contains(key) && value != .null && value != false {
      warnings.append("\(object.place): the key '\(key)' of \(object.className) isn't known and was left out")
    }
    do {
      return try known.layer(
        config: config, name: config["name"]?.text, trainable: config["trainable"]?.bool ?? true,
        dtype: policy
      )
    } catch let error as DecodingError {
      throw object.failure("a configuration of \(object.className)", error.plainWords)
    } catch let error as ModelError {
      throw object.failure("a configuration of \(object.className)", "'\(error)'")
    }
  }

  /// The sizes of a sample: of the input layer, and those that the model was built with, where they are there.
  private func inputSizes(_ object: KerasConfigObject, _ layers: [Layer]) throws -> [[Int?]] {
    var found: [[Int?]] = []
    if let input = layers.first as? Input { found.append(input.sizes) }
    for case .array(let shape)? in [object.config["build_input_shape"], object.buildConfig["input_shape"]] {
      // The batch axis is open, even where Keras wrote the size of the batch it was built with.
      let sizes = shape.dropFirst().map { $0 == .null ? nil : $0.int ?? -1 }
      if !shape.isEmpty, !found.contains(sizes) { found.append(sizes) }
    }
    guard !found.isEmpty else {
      throw object.failure(
        "an InputLayer or 'build_input_shape', to know the weights' shapes", "neither",
        advice: "build the model before saving it")
    }
    for sizes in found { try check(Shape(sizes.map { $0 ?? 1 }), object) }
    return found
  }

  /// - Throws: `DataError` for sizes that no sample has.
  func check(_ shape: Shape, _ object: KerasConfigObject) throws {
    guard shape.rank < 32, shape.allSatisfy({ $0 > 0 }),
      product(shape.dimensions).map({ $0 <= 1 << 32 }) == true
    else {
      throw object.failure("sizes of an input", "\(shape)")
    }
  }

  // MARK: - Compiling

  /// - Parameter optimizer: where its state lies, in order, elsewhere than in `.keras` files.
  mutating func compile(
    _ model: Model, _ config: [String: ConfigValue], _ reader: KerasWeightReader,
    optimizer places: [String]? = nil
  ) throws {
    do {
      try model.compile(config: config)
    } catch let error as ModelError {
      warnings.append("the model isn't compiled: \(error)")
      return
    }
    guard let optimizer = model.optimizer else { return }
    if let reason = try reader.read(into: optimizer, of: model, from: places) {
      warnings.append("the optimizer starts afresh: \(reason)")
    }
  }
}

extension DecodingError {
  /// What came and where, without Swift's types.
  var plainWords: String {
    switch self {
    case .keyNotFound(let key, _): "no key '\(key.stringValue)'"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      (context.codingPath.isEmpty
        ? "" : "'\(context.codingPath.map(\.stringValue).joined(separator: "."))': ")
        + context.debugDescription
    @unknown default: "\(self)"
    }
  }
}
