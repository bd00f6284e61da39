import BackpropData
import BackpropNetworks
import BackpropTensors

/// Functional models: layers, and nodes that say which layers' results each call takes.
extension KerasModelReader {
  /// A call of a layer that is yet to be made.
  private struct Node {
    let layer: String
    let index: Int
    let arguments: [Reference]
    /// Masks that Keras found by itself, as layers here do.
    let masks: [Reference]
    let options: Set<CallOption>
    let place: String
  }

  /// `keras_history`: a layer's name, which of its calls, which of that call's results.
  private struct Reference {
    var layer: String
    var call: Int
    var result: Int

    /// - Parameter firstCall: 1 where the layer is a Functional and the reference stands in the model's own inputs or outputs.
    init?(_ value: ConfigValue, firstCall: Int = 0) {
      guard let parts = value.elements, parts.count >= 3, let layer = parts[0].text, let call = parts[1].int,
        let result = parts[2].int, call >= 0
      else { return nil }
      (self.layer, self.call, self.result) = (layer, call - firstCall, result)
    }
  }

  /// What the layers gave so far.
  private struct Graph {
    var layers: [String: Layer] = [:]
    var results: [String: [[SymbolicTensor]]] = [:]
    /// What is neither a layer nor, as far as is known yet, needed.
    var operations: [String: KerasConfigObject] = [:]

    func tensor(_ reference: Reference) -> SymbolicTensor? {
      guard let calls = results[reference.layer], calls.indices.contains(reference.call),
        calls[reference.call].indices.contains(reference.result)
      else { return nil }
      return calls[reference.call][reference.result]
    }
  }

  mutating func functional(
    _ object: KerasConfigObject, seed: Int, at place: [String]
  ) throws -> Functional {
    guard let entries = object.config["layers"]?.elements else {
      throw object.failure("its list of layers", "none")
    }
    var graph = Graph()
    var nodes: [Node] = []
    var places = KerasPaths.Places(container: place)
    for (index, entry) in entries.enumerated() {
      let child = try KerasConfigObject(entry, at: "\(object.place).layers[\(index)]", file: object.file)
      guard let name = child.fields["name"]?.text ?? child.config["name"]?.text else {
        throw child.failure("the layer's name", "none")
      }
      guard graph.layers[name] == nil else {
        throw child.failure("layers of different names", "two that are called '\(name)'")
      }
      // Operations that make masks stand in Keras' graphs too; layers here find their masks themselves.
      if child.isOperation {
        graph.operations[name] = child
        continue
      }
      let made = try layer(child, seed: seed, at: places.next(child.className))
      graph.layers[name] = made
      if let input = made as? Input {
        try check(input.shape, child)
        graph.results[name] = [[input.symbolic]]
      } else {
        nodes += try self.nodes(of: child, named: name)
      }
    }
    try connect(&nodes, &graph, object)
    func tensors(_ key: String) throws -> [SymbolicTensor] {
      try references(object.config[key] ?? .null, graph).map { reference in
        if let operation = reference.flatMap({ graph.operations[$0.layer] }) {
          _ = try operation.registered()
        }
        guard let reference, let tensor = graph.tensor(reference) else {
          throw object.failure(
            "'\(key)' to name layers of the model", reference.map { "'\($0.layer)'" } ?? "something else")
        }
        return tensor
      }
    }
    let model = try Functional(
      inputs: try tensors("input_layers"), outputs: try tensors("output_layers"),
      name: object.config["name"]?.text, seed: seed)
    if object.config["trainable"]?.bool == false { model.trainable = false }
    return model
  }

  /// One reference, a list of them, or an object of them.
  private func references(_ value: ConfigValue, _ graph: Graph) -> [Reference?] {
    func one(_ value: ConfigValue) -> Reference? {
      let name = value.elements?.first?.text ?? ""
      // Keras counts the calls of a nested functional model from 1 here, and from 0 elsewhere.
      return Reference(value, firstCall: graph.layers[name] is Functional ? 1 : 0)
    }
    if case .object(let named) = value { return named.sorted { $0.key < $1.key }.map { one($0.value) } }
    guard let elements = value.elements, !elements.isEmpty else { return [nil] }
    if elements[0].text != nil { return [one(value)] }
    return elements.map(one)
  }

  // MARK: Nodes

  private func nodes(of object: KerasConfigObject, named name: String) throws -> [Node] {
    let entries = object.fields["inbound_nodes"]?.elements ?? []
    return try entries.enumerated().map { index, entry in
      var arguments: [Reference] = []
      var masks: [Reference] = []
      var options: Set<CallOption> = []
      switch entry {
      case .object(let fields):
        try collect(fields["args"] ?? .null, object, &arguments)
        guard case .object(let named)? = fields["kwargs"] else { break }
        // Attention takes value and key by name, recurrent layers their state.
        let order = ["query", "value", "key", "attention_mask", "initial_state", "states"]
        for (key, value) in named.sorted(by: {
          (order.firstIndex(of: $0.key) ?? 9, $0.key) < (order.firstIndex(of: $1.key) ?? 9, $1.key)
        }) {
          if key == "mask" { continue }
          if let option = CallOption(rawValue: key) {
            if value.bool == true { options.insert(option) }
            continue
          }
          if key.hasSuffix("_mask"), !order.contains(key) {
            try collect(value, object, &masks, isNamed: true)
            continue
          }
          let before = arguments.count
          // Without a key the values are the keys.
          if key == "attention_mask", value != .null, arguments.count == 2 { arguments.append(arguments[1]) }
          try collect(value, object, &arguments, isNamed: true)
          guard arguments.count == before || order.contains(key) else {
            throw object.failure("a call without the argument '\(key)'", "a tensor for it")
          }
        }
      case .array(let references):
        // Keras 2: [name, call, result, arguments].
        for reference in references {
          guard let reference = Reference(reference) else {
            throw object.failure("nodes that name layers", reference.kindName)
          }
          arguments.append(reference)
        }
      default: throw object.failure("nodes with their arguments", entry.kindName)
      }
      return Node(
        layer: name, index: index, arguments: arguments, masks: masks, options: options, place: object.place)
    }
  }

  private func collect(
    _ value: ConfigValue, _ object: KerasConfigObject, _ references: inout [Reference], isNamed: Bool = false
  ) throws {
    switch value {
    case .object(let fields) where fields["class_name"]?.text == "__keras_tensor__":
      guard case .object(let config)? = fields["config"], let history = config["keras_history"],
        let reference = Reference(history)
      else { throw object.failure("a tensor with its 'keras_history'", "none") }
      references.append(reference)
    case .array(let elements):
      for element in elements { try collect(element, object, &references, isNamed: isNamed) }
    case .null: break
    default:
      // A constant that stands for the default of an argument says nothing; as an operand it would be lost.
      guard isNamed else {
        throw object.failure("calls of layers on tensors alone", "\(value.kindName) among them")
      }
    }
  }

  /// Makes the calls, each after those it needs.
  private func connect(_ nodes: inout [Node], _ graph: inout Graph, _ object: KerasConfigObject) throws {
    while !nodes.isEmpty {
      var waiting: [Node] = []
      for node in nodes {
        let inputs = node.arguments.map { graph.tensor($0) }
        guard graph.results[node.layer, default: []].count == node.index, inputs.allSatisfy({ $0 != nil }),
          !inputs.isEmpty
        else {
          waiting.append(node)
          continue
        }
        if let mask = node.masks.first(where: { graph.operations[$0.layer] == nil }) {
          throw object.failure(
            "calls of '\(node.layer)' with masks that come with its inputs", "a mask given by '\(mask.layer)'"
          )
        }
        let results = graph.layers[node.layer]!.outputs(of: inputs.map { $0! }, options: node.options)
        graph.results[node.layer, default: []].append(results)
      }
      if waiting.count == nodes.count {
        let node = waiting[0]
        for argument in waiting.flatMap(\.arguments) {
          if let operation = graph.operations[argument.layer] { _ = try operation.registered() }
        }
        let missing = node.arguments.first { graph.tensor($0) == nil }?.layer
        throw object.failure(
          "nodes that can be computed one after the other",
          missing.map { "'\(node.layer)', which waits for '\($0)'" } ?? "'\(node.layer)', which has no inputs"
        )
      }
      nodes = waiting
    }
  }
}
