import BackpropTensors

/// A model that is a graph of layers: several inputs and outputs, shared layers, branches that meet again.
///
/// ```swift
/// let image = Input([784], name: "image"), age = Input([1], name: "age")
/// let features = Dense(64, activation: .relu)(image)
/// let both = Concatenate()([features, age])
/// let model = try Model(
///   inputs: [image, age], outputs: [Dense(10, activation: .softmax, name: "class")(both), Dense(1, name: "weight")(both)])
/// try model.compile(
///   optimizer: Adam(), losses: ["class": .sparseCategoricalCrossentropy, "weight": .mse], lossWeights: ["weight": 0.1])
/// try model.fit([images, ages], [classes, weights])
/// ```
///
/// A layer that is called several times has its weights once. Models are layers and can be called like these. Keras'
/// `Functional`; `Model(inputs:outputs:)` makes one.
open class Functional: Model, @unchecked Sendable {
  public let inputs: [SymbolicTensor]
  public let outputs: [SymbolicTensor]
  private let graphLayers: [Layer]
  private let steps: [Step]
  private let outputPlaces: [Place]

  /// Where a value comes from while the model runs.
  private struct Place: Sendable {
    var call: Int
    var index: Int
  }

  private struct Step: Sendable {
    let call: LayerCall
    var arguments: [Place]
    /// The number of the input that an input layer stands for.
    var input: Int?
  }

  /// - Parameter seed: decides the initial weights, what dropout drops and the order of the data.
  /// - Throws: ``ModelError`` where a layer couldn't take its inputs, where an output doesn't come from the inputs, or where
  ///   two layers have one name.
  public init(
    inputs: [any SymbolicConvertible], outputs: [any SymbolicConvertible], name: String? = nil, seed: Int = 0
  ) throws {
    let (inputs, outputs) = (inputs.map(\.symbolic), outputs.map(\.symbolic))
    if let failure = outputs.lazy.compactMap(\.call.failure).first { throw failure }
    guard !outputs.isEmpty else { throw ModelError(.argument, "a model needs an output") }
    for input in inputs where !(input.call.layer is Input) {
      throw ModelError(
        .argument,
        "the inputs of a model come from Input, got an output of \(input.call.layer.name); make an Input of its shape and call the layers after it again"
      )
    }
    let order = GraphOrder(inputs: inputs, outputs: outputs)
    for call in order.calls where call.layer is Input && !inputs.contains(where: { $0.call === call }) {
      throw ModelError(
        .argument,
        "the outputs depend on the input '\(call.layer.name)' of shape \(described(call.openShapes[0].dropFirst())), which isn't among the model's inputs"
      )
    }
    try Self.name(order)
    let positions = Dictionary(
      uniqueKeysWithValues: order.calls.enumerated().map { (ObjectIdentifier($1), $0) })
    func place(_ tensor: SymbolicTensor) -> Place {
      Place(call: positions[ObjectIdentifier(tensor.call)]!, index: tensor.index)
    }
    steps = order.calls.map { call in
      Step(
        call: call, arguments: call.inputs.map(place), input: inputs.firstIndex { $0.call === call })
    }
    outputPlaces = outputs.map(place)
    graphLayers = order.layers
    self.inputs = inputs
    self.outputs = outputs
    super.init(name: name, seed: seed)
    for weight in weights { weight.settle(random) }
    let pair = order.calls.map(\.pair).max() ?? 0
    for types in try inputs.types(pair: pair) { try prepare(types.map(\.shape), random: random) }
  }

  public convenience init(
    inputs: some SymbolicConvertible, outputs: some SymbolicConvertible, name: String? = nil, seed: Int = 0
  ) throws {
    try self.init(inputs: [inputs], outputs: [outputs], name: name, seed: seed)
  }

  /// Keras' name for the class, whatever subclass it is.
  public override class var className: String { "Functional" }

  /// In Keras' order: deepest first.
  public override var sublayers: [Layer] { graphLayers }

  public override var inputCounts: ClosedRange<Int> { inputs.count...inputs.count }

  /// The names of the input layers.
  public var inputNames: [String] { inputs.map(\.call.layer.name) }

  /// The names of the layers that give the outputs.
  public override var outputNames: [String] { outputs.map(\.call.layer.name) }

  /// What a layer gives, to make another model that ends there.
  ///
  /// ```swift
  /// let features = try Model(inputs: model.inputs, outputs: [model.output(of: "dense_1")])
  /// ```
  ///
  /// - Parameter call: which call, where the layer is shared.
  /// - Throws: ``ModelError`` with the nearest name when there is no layer of this one.
  public func output(of name: String, call: Int = 0) throws -> SymbolicTensor {
    let layer = try getLayer(name)
    let calls = calls(of: layer)
    guard calls.indices.contains(call) else {
      throw ModelError(
        .argument, at: path, "the layer '\(name)' is called \(calls.count) times, there is no call \(call)")
    }
    return calls[call].call.results[0]
  }

  /// The calls of a layer in this model, first to last.
  package func calls(of layer: Layer) -> [LayerUse] {
    steps.map(\.call).filter { $0.layer === layer }.sorted { $0.number < $1.number }.map(LayerUse.init)
  }

  /// Names that weren't chosen are numbered by class in the order of the layers' first calls.
  private static func name(_ order: GraphOrder) throws {
    var taken: [String: Layer] = [:]
    for layer in order.layers where layer.isNamed {
      guard taken.updateValue(layer, forKey: layer.name) == nil else {
        throw ModelError(
          .argument, "two layers are named '\(layer.name)'; names of the layers of a model must differ")
      }
      layer.settlePath()
    }
    var first: [ObjectIdentifier: Int] = [:]
    for call in order.calls {
      let layer = ObjectIdentifier(call.layer)
      first[layer] = min(first[layer] ?? .max, call.number)
    }
    let unnamed = order.layers.filter { !$0.isNamed }.sorted {
      first[ObjectIdentifier($0)]! < first[ObjectIdentifier($1)]!
    }
    for layer in unnamed {
      if let name = layer.givenName, taken[name] == nil {
        taken[name] = layer
        continue
      }
      let base = KerasNaming.snake(layer.baseName)
      var name = base
      var number = 0
      while taken[name] != nil {
        number += 1
        name = "\(base)_\(number)"
      }
      taken[name] = layer
      layer.rename(name)
    }
  }

  override func layers(atInput position: Int) -> [Layer] {
    guard inputs.indices.contains(position) else { return [] }
    return steps.map(\.call).flatMap { call in
      call.inputs.enumerated().filter { $0.element.isSame(as: inputs[position]) }.flatMap { place, _ in
        (call.layer as? Model)?.layers(atInput: place) ?? [call.layer]
      }
    }
  }

  // MARK: Running

  public override func check(_ shapes: [Shape]) throws {
    guard shapes.count == inputs.count else {
      throw ModelError(
        .shape, at: path,
        "expected \(inputs.count) inputs (\(inputNames.joined(separator: ", "))), got \(shapes.count)")
    }
    var values: [[TensorType]] = []
    for step in steps {
      if let input = step.input {
        try step.call.layer.prepare([shapes[input]], random: random)
        values.append([TensorType(shapes[input], step.call.outputs[0].dtype)])
        continue
      }
      let arguments = step.arguments.map { values[$0.call][$0.index] }
      try step.call.layer.prepare(arguments.map(\.shape), random: random)
      let results = step.call.layer.outputTypes(arguments, options: step.call.options)
      try WeightBudget.current?.check(results.map(\.shape), at: step.call.layer.path)
      values.append(results)
    }
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    var values: [[Tensor]] = []
    values.reserveCapacity(steps.count)
    for step in steps {
      if let input = step.input {
        var value = inputs[input]
        let dtype = step.call.outputs[0].dtype
        if value.dtype != dtype {
          let mask = value.mask
          value = value.cast(to: dtype)
          value.mask = mask
        }
        values.append(step.call.layer([value], context))
      } else {
        let arguments = step.arguments.map { values[$0.call][$0.index] }
        values.append(step.call.layer(arguments, context.telling(step.call.options)))
        guard step.call.layer.takesMasksAway else { continue }
        for place in step.arguments { values[place.call][place.index].mask = nil }
      }
    }
    return outputPlaces.map { values[$0.call][$0.index] }
  }
}

/// One use of a layer in a functional model, as files and tables describe it.
package struct LayerUse: Sendable {
  let call: LayerCall
  package var takesList: Bool { call.takesList }
  package var options: Set<CallOption> { call.options }
  package var inputs: [SymbolicTensor] { call.inputs }
  package var results: [SymbolicTensor] { call.results }
}

extension SymbolicTensor {
  /// The layer that gives it.
  package var layer: Layer { call.layer }
  /// Which of the layer's calls in `model` gives it, and which of that call's results it is.
  package func position(in model: Functional) -> (call: Int, result: Int) {
    let calls = model.calls(of: call.layer)
    return (calls.firstIndex { $0.call === call } ?? 0, index)
  }
}

/// Lets `Model(inputs:outputs:)` make a ``Functional``: an initialiser of a class can't give an object of a subclass, one of
/// a protocol can.
public protocol ModelMaking {}

extension Model: ModelMaking {}

extension ModelMaking where Self == Model {
  /// A ``Functional`` model of what layers gave for ``Input``s.
  ///
  /// - Throws: ``ModelError`` where a layer couldn't take its inputs, where an output doesn't come from the inputs, or where
  ///   two layers have one name.
  public init(
    inputs: some SymbolicConvertible, outputs: some SymbolicConvertible, name: String? = nil, seed: Int = 0
  ) throws {
    self = try Functional(inputs: inputs, outputs: outputs, name: name, seed: seed)
  }

  /// The same with several inputs or outputs.
  public init(
    inputs: [any SymbolicConvertible], outputs: [any SymbolicConvertible], name: String? = nil, seed: Int = 0
  ) throws {
    self = try Functional(inputs: inputs, outputs: outputs, name: name, seed: seed)
  }
}
