import BackpropTensors

/// The same model with new layers and new weights, drawn from its seed; it isn't compiled. Keras' `clone_model`.
///
/// - Parameter cloning: makes the new layer; by default one of the same class with the same configuration. Give another
///   to change layers on the way, or for layers that have no configuration.
/// - Throws: ``ModelError`` for a layer without a configuration, such as a subclass of the user's.
public func cloneModel(
  _ model: Model, cloning: (Layer) throws -> Layer = { try $0.clone() }
) throws -> Model {
  var copies: [ObjectIdentifier: Layer] = [:]
  func copy(_ layer: Layer) throws -> Layer {
    if let copy = copies[ObjectIdentifier(layer)] { return copy }
    let copy = (layer as? Model).flatMap { $0 is Sequential || $0 is Functional ? $0 : nil }
    let made = try copy.map { try cloneModel($0, cloning: cloning) } ?? cloning(layer)
    copies[ObjectIdentifier(layer)] = made
    return made
  }
  if let model = model as? Sequential {
    let made = Sequential(try model.sublayers.map(copy), name: model.givenName, seed: model.seed)
    if !made.isBuilt, let sizes = model.buildSizes?.sizes { try made.build(sizes: sizes) }
    return made
  }
  guard let model = model as? Functional else {
    throw ModelError(
      .argument, at: model.path,
      "\(model.className) can't be cloned: only a Sequential and a functional model can")
  }
  return try model.rebuilt(with: copy)
}

extension Layer {
  /// A layer of the same class with the same configuration and weights of its own.
  ///
  /// - Throws: ``ModelError`` where the layer has no configuration.
  public func clone() throws -> Layer {
    func again<Made: ConfigurableLayer>(_ layer: Made) throws -> Layer {
      Made(
        configuration: try layer.ownConfiguration(), name: layer.givenName, trainable: layer.trainable,
        dtype: layer.dtypePolicy)
    }
    guard let layer = self as? any ConfigurableLayer else {
      throw ModelError(
        .argument, at: path,
        "\(className) has no configuration to make it from again; give cloneModel a closure that does")
    }
    return try again(layer)
  }
}

extension Functional {
  /// The same graph over other layers.
  func rebuilt(with copy: (Layer) throws -> Layer) throws -> Functional {
    var results: [ObjectIdentifier: [SymbolicTensor]] = [:]
    for call in GraphOrder(inputs: inputs, outputs: outputs).calls {
      let layer = try copy(call.layer)
      if let input = layer as? Input {
        results[ObjectIdentifier(call)] = [input.symbolic]
        continue
      }
      let arguments = call.inputs.map { results[ObjectIdentifier($0.call)]![$0.index] }
      results[ObjectIdentifier(call)] =
        layer.symbolicCall(
          arguments, takesList: call.takesList, options: call.options
        ).results
    }
    func found(_ tensor: SymbolicTensor) -> SymbolicTensor {
      let made = results[ObjectIdentifier(tensor.call)]!
      return made.count > tensor.index ? made[tensor.index] : made[0]
    }
    return try Functional(
      inputs: inputs.map(found), outputs: outputs.map(found), name: givenName, seed: seed)
  }
}
