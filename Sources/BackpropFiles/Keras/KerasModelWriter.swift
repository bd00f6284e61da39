import BackpropData
import BackpropNetworks
import BackpropTensors

/// A model as the members of a `.keras` file: its configuration, and its weights with the optimizer's state.
///
/// Written so that every release of Keras 3 reads it: no key that came after 3.0 unless it says something, dtypes as
/// plain names, the root's `vars` group always there.
struct KerasModelWriter {
  /// The file's path, for messages.
  let file: String
  /// The batch size that a stateful layer carries states for: Keras wants it in the inputs, which are open otherwise.
  private var batch: ConfigValue = .null

  private let isForTensorBoard: Bool

  init(file: String, isForTensorBoard: Bool = false) {
    self.file = file
    self.isForTensorBoard = isForTensorBoard
  }

  // MARK: - Configuration

  func config(of model: Model) throws -> ConfigValue {
    var writer = self
    writer.batch = Self.carriedBatch(of: model).map { .integer($0) } ?? .null
    guard case .object(var fields) = try writer.object(model) else { return .null }
    if let compiled = model.compileConfig { fields["compile_config"] = .object(compiled) }
    return .object(fields)
  }

  private static func carriedBatch(of layer: Layer) -> Int? {
    layer.carriedVariables.last?.shape[0] ?? layer.sublayers.lazy.compactMap(carriedBatch).first
  }

  private func sequential(_ model: Sequential) throws -> ConfigValue {
    guard let (sizes, areAll) = model.buildSizes else {
      throw ModelError(
        .order, at: model.path, "has no weights yet; call build(sampleShape:) or fit before save")
    }
    let shape = Self.shape([nil] + sizes, batch)
    var layers = try model.sublayers.map { try object($0) }
    // An input layer would refuse the other sizes.
    if areAll, !(model.sublayers.first is Input) {
      layers.insert(try object(Input(sizes: sizes, name: "input_layer")), at: 0)
    }
    let config: [String: ConfigValue] = [
      "name": .string(model.name), "trainable": .bool(model.trainable),
      "dtype": .string(model.dtypePolicy.name),
      "layers": .array(layers), "build_input_shape": shape,
    ]
    return Self.object("keras", "Sequential", config, ["build_config": .object(["input_shape": shape])])
  }

  private func object(_ layer: Layer) throws -> ConfigValue {
    if let model = layer as? Sequential { return try sequential(model) }
    if let model = layer as? Functional { return try functional(model) }
    let found: [String: ConfigValue]?
    do {
      let isKnown = (try? LayerRegistry.named(layer.className)) != nil
      found = isKnown ? try LayerClass.fullConfig(of: layer) : nil
    } catch EncodingError.invalidValue(_, let context) {
      throw DataError(
        file: file, place: .part(layer.path), expected: "a configuration that a file can hold",
        found: context.debugDescription)
    }
    guard var config = found else {
      let reason = layer is Lambda ? ", whose function no file can hold" : ", which a file can't describe"
      throw DataError(
        file: file, place: .part(layer.path), expected: "layers of Keras' or models of them",
        found: "the class \(layer.className)\(reason)",
        advice: "save the weights alone, by getWeights()")
    }
    if layer is Input, case .array(let sizes)? = config["batch_shape"] {
      config["batch_shape"] = .array([batch] + sizes.dropFirst())
    }
    var beside: [String: ConfigValue] = [:]
    if let inputs = layer.preparedSizes, !inputs.isEmpty, !layer.weights.isEmpty {
      // Keras finds the shapes of what is given as a list by name itself.
      let shapes = inputs.prefix(layer.namedInputs?.after ?? .max).map { Self.shape($0, batch) }
      if let names = layer.argumentNames {
        let named = zip(names, shapes).filter { !$0.0.hasSuffix("_mask") }.map { ("\($0)_shape", $1) }
        beside["build_config"] = .object([
          "shapes_dict": .object(Dictionary(uniqueKeysWithValues: named))
        ])
      } else {
        beside["build_config"] = .object([
          "input_shape": shapes.count == 1 ? shapes[0] : .array(shapes)
        ])
      }
    }
    return Self.object("keras.layers", layer.className, config, beside)
  }

  // MARK: - Functional models

  private func functional(_ model: Functional) throws -> ConfigValue {
    let layers = try model.layers.map { layer -> ConfigValue in
      guard case .object(var fields) = try object(layer) else { return .null }
      fields["name"] = .string(layer.name)
      fields["inbound_nodes"] = .array(
        layer is Input ? [] : model.calls(of: layer).map { node($0, layer, model) })
      return .object(fields)
    }
    let config: [String: ConfigValue] = [
      "name": .string(model.name), "trainable": .bool(model.trainable), "layers": .array(layers),
      "input_layers": references(model.inputs, model), "output_layers": references(model.outputs, model),
    ]
    let beside: [String: ConfigValue] = [
      "registered_name": "Functional", "build_config": .object(["input_shape": .null]),
    ]
    return Self.object("keras.src.models.functional", "Functional", config, beside)
  }

  private func node(_ use: LayerUse, _ layer: Layer, _ model: Functional) -> ConfigValue {
    let tensors = use.inputs.map { tensor -> ConfigValue in
      let config: [String: ConfigValue] = [
        "shape": Self.shape(tensor.shape, batch), "dtype": .string(tensor.dtype.rawValue),
        "keras_history": history(tensor, model),
      ]
      return .object(["class_name": "__keras_tensor__", "config": .object(config)])
    }
    if let named = layer.namedInputs {
      let further = Self.grouped(Array(tensors.dropFirst(named.after)), layer.namedInputGroups)
      return .object([
        "args": .array(Array(tensors.prefix(named.after))),
        "kwargs": .object(further.isEmpty ? [:] : [named.name: .array(further)]),
      ])
    }
    let isList = layer.listsInputs && (use.takesList || tensors.count > 1)
    var named = Dictionary(uniqueKeysWithValues: use.options.map { ($0.rawValue, ConfigValue.bool(true)) })
    var arguments = isList ? [.array(tensors)] : tensors
    // Between the inputs and the masks that can be given Keras has other arguments.
    if let names = layer.argumentNames, let last = tensors.indices.last, names[last].hasSuffix("_mask") {
      named[names[last]] = arguments.removeLast()
    }
    return .object(["args": .array(arguments), "kwargs": .object(named)])
  }

  private static func grouped(_ tensors: [ConfigValue], _ counts: [Int]) -> [ConfigValue] {
    guard counts.reduce(0, +) == tensors.count else { return tensors }
    var rest = tensors[...]
    return counts.map { count in
      defer { rest = rest.dropFirst(count) }
      return count == 1 ? rest.first! : .array(Array(rest.prefix(count)))
    }
  }

  private func history(_ tensor: SymbolicTensor, _ model: Functional, firstCall: Int = 0) -> ConfigValue {
    let (call, result) = tensor.position(in: model)
    return .array([.string(tensor.layer.name), .integer(call + firstCall), .integer(result)])
  }

  /// Keras counts the calls of a nested functional model from 1 here, and from 0 elsewhere. A list also of a single one:
  /// Keras 3.0 reads nothing else. TensorBoard, for its part, finds the input of a model inside another only without.
  private func references(_ tensors: [SymbolicTensor], _ model: Functional) -> ConfigValue {
    let all = tensors.map { history($0, model, firstCall: $0.layer is Functional ? 1 : 0) }
    return all.count == 1 && isForTensorBoard ? all[0] : .array(all)
  }

  private static func object(
    _ module: String, _ className: String, _ config: [String: ConfigValue], _ beside: [String: ConfigValue]
  ) -> ConfigValue {
    let fields: [String: ConfigValue] = [
      "module": .string(module), "class_name": .string(className), "config": .object(config),
      "registered_name": .null,
    ]
    return .object(fields.merging(beside) { $1 })
  }

  /// With the batch axis as given.
  private static func shape(_ sizes: [Int?], _ batch: ConfigValue) -> ConfigValue {
    .array([batch] + sizes.dropFirst().map { size in size.map { .integer($0) } ?? .null })
  }

  // MARK: - Weights

  /// The groups of `model.weights.h5`.
  func weights(of model: Model) -> HDF5Group {
    var root = HDF5Group()
    add(model, at: [], to: &root)
    if let optimizer = model.optimizer {
      let group = Self.group(named: optimizer.name, optimizer.variables.map(\.stored))
      root[KerasPaths.variables(of: KerasPaths.optimizer)] = group
    }
    return root
  }

  private func add(_ layer: Layer, at path: [String], to root: inout HDF5Group) {
    var group = Self.group(named: layer.name, layer.savedWeights.map(\.variable.stored))
    group.tensors.merge(layer.savedTensors) { $1 }
    root[KerasPaths.variables(of: path)] = group
    for (child, place) in KerasPaths.children(of: layer, at: path) { add(child, at: place, to: &root) }
  }

  private static func group(named name: String, _ tensors: [Tensor]) -> HDF5Group {
    var group = HDF5Group()
    group.attributes["name"] = name
    for (index, tensor) in tensors.enumerated() { group.tensors["\(index)"] = tensor }
    return group
  }
}
