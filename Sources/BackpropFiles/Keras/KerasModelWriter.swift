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

  // MARK: - Configuration

  func config(of model: Sequential) throws -> ConfigValue {
    guard case .object(var fields) = try sequential(model) else { return .null }
    if let compiled = model.compileConfig { fields["compile_config"] = .object(compiled) }
    return .object(fields)
  }

  private func sequential(_ model: Sequential) throws -> ConfigValue {
    guard let inputs = model.preparedInputs, let input = inputs.first else {
      throw ModelError(
        .order, at: model.path, "has no weights yet; call build(sampleShape:) or fit before save")
    }
    let shape = Self.shape(input)
    var layers = try model.sublayers.map { try object($0) }
    if !(model.sublayers.first is Input) {
      layers.insert(try object(Input(Shape(input.dimensions.dropFirst()), name: "input_layer")), at: 0)
    }
    let config: [String: ConfigValue] = [
      "name": .string(model.name), "trainable": .bool(model.trainable),
      "dtype": .string(model.dtype.rawValue),
      "layers": .array(layers), "build_input_shape": shape,
    ]
    return Self.object("keras", "Sequential", config, ["build_config": .object(["input_shape": shape])])
  }

  private func object(_ layer: Layer) throws -> ConfigValue {
    if let model = layer as? Sequential { return try sequential(model) }
    guard let layer = layer as? any ConfigurableLayer, let known = try? LayerRegistry.named(layer.className)
    else {
      throw DataError(
        file: file, place: .part(layer.path), expected: "layers of Keras' or a Sequential of them",
        found: "the class \(layer.className), which a file can't describe",
        advice: "save the weights alone, by getWeights()")
    }
    var config: [String: ConfigValue]
    do {
      config = try LayerClass.config(of: layer)
    } catch EncodingError.invalidValue(_, let context) {
      throw DataError(
        file: file, place: .part(layer.path), expected: "a configuration that a file can hold",
        found: context.debugDescription)
    }
    config["name"] = .string(layer.name)
    // An input's configuration has a dtype of its own.
    if config["dtype"] == nil { config["dtype"] = .string(layer.dtype.rawValue) }
    if known.hasTrainable { config["trainable"] = .bool(layer.trainable) }
    var beside: [String: ConfigValue] = [:]
    if let input = layer.preparedInputs?.first, !layer.weights.isEmpty {
      beside["build_config"] = .object(["input_shape": Self.shape(input)])
    }
    return Self.object("keras.layers", layer.className, config, beside)
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

  /// With the batch axis open.
  private static func shape(_ shape: Shape) -> ConfigValue {
    .array([.null] + shape.dimensions.dropFirst().map { .integer($0) })
  }

  // MARK: - Weights

  /// The groups of `model.weights.h5`.
  func weights(of model: Sequential) -> HDF5Group {
    var root = HDF5Group()
    add(model, at: [], to: &root)
    if let optimizer = model.optimizer {
      let group = Self.group(named: optimizer.name, optimizer.variables.map(\.stored))
      root[KerasPaths.variables(of: KerasPaths.optimizer)] = group
    }
    return root
  }

  private func add(_ layer: Layer, at path: [String], to root: inout HDF5Group) {
    let own = layer.numberedWeights.map(\.variable.stored)
    root[KerasPaths.variables(of: path)] = Self.group(named: layer.name, own)
    guard let model = layer as? Sequential else { return }
    for (child, place) in zip(model.layers, KerasPaths.places(of: model.layers, in: path)) {
      add(child, at: place, to: &root)
    }
  }

  private static func group(named name: String, _ tensors: [Tensor]) -> HDF5Group {
    var group = HDF5Group()
    group.attributes["name"] = name
    for (index, tensor) in tensors.enumerated() { group.tensors["\(index)"] = tensor }
    return group
  }
}
