import BackpropTensors
import Synchronization

/// A function with weights. Subclass it for a layer of your own; its weights and the layers in its properties are found
/// by themselves.
///
/// ```swift
/// final class Scale: Layer, @unchecked Sendable {
///   private var factor: Weight!
///
///   override func build(_ input: Shape) {
///     factor = addWeight("factor", shape: [input[-1]], initializer: .ones)
///   }
///
///   override func call(_ x: Tensor, _ context: CallContext) -> Tensor { x * factor.value }
/// }
/// ```
///
/// Layers are references: the same layer in two places of a model, or in two models, has the same weights.
open class Layer: @unchecked Sendable {
  private struct State: Sendable {
    var name: String?
    /// Whether the name was chosen by the user, not by a container.
    var isNamed = false
    var path: String?
    var trainable = true
    var isBuilt = false
    var weights: [Weight] = []
    var random: RandomGenerator?
    var checkedInputs: Set<[Shape]> = []
    /// The inputs that it was first prepared for.
    var firstInputs: [Shape]?
    /// The same, and nil where those of later ones differ.
    var sizes: [[Int?]]?
    /// Whether later ones had other numbers of axes.
    var tookOtherRanks = false
    /// Of a weight, which is made where nothing is thrown.
    var refusal: ModelError?
  }

  private let state: Mutex<State>

  /// What it keeps its weights in, and what it computes in.
  public let dtypePolicy: DTypePolicy

  /// The dtype of its weights.
  public var dtype: DType { dtypePolicy.variableDType }

  /// The dtype that it computes in.
  public var computeDType: DType { dtypePolicy.computeDType }

  public init(name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default) {
    state = Mutex(State(name: name, isNamed: name != nil, trainable: trainable))
    dtypePolicy = dtype
    LayerStructure.noteChange()
  }

  // MARK: What a layer defines

  /// Makes the weights, once, before the first call. `input` is the first input's shape, batch axis included.
  ///
  /// - Throws: ``ModelError`` where the layer doesn't take such an input.
  open func build(_ input: Shape) throws {}

  /// The same for layers with several inputs.
  open func build(_ inputs: [Shape]) throws { try build(inputs[0]) }

  /// Whether inputs of these shapes fit, once the weights are there; asked before ``call(_:_:)-(Tensor,_)``.
  ///
  /// - Throws: ``ModelError`` that says what was expected, what came and the way out.
  open func check(_ inputs: [Shape]) throws {}

  /// The result for one input.
  open func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    programmerError("\(path) defines neither call(_:_:) of a tensor nor of several")
  }

  /// The results for several inputs.
  open func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    require(inputs.count == 1, "\(path): expected one input, got \(inputs.count)")
    return [call(inputs[0], context)]
  }

  /// Whether inputs are cast to the dtype that the layer computes in.
  open var castsInputs: Bool { true }

  /// Whether Keras' constructor takes `trainable`.
  package class var savesTrainable: Bool { true }

  /// Keras' class name.
  open class var className: String { String(describing: self) }
  public final var className: String { Swift.type(of: self).className }

  /// What Keras derives names and places in files from: the class's name in its source, where it is another.
  package var baseName: String { className }

  // MARK: Masks

  /// Whether the steps that count in the input are those that count in the result. Where it is false and
  /// ``outputMasks(_:of:)`` says nothing else, the result has no mask.
  open var supportsMasking: Bool { false }

  /// The masks of the results of a call; `inputs` carry theirs.
  open func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    let mask = supportsMasking ? inputs.lazy.compactMap(\.mask).first : nil
    return results.map { _ in mask }
  }

  /// Whether the masks of its inputs are gone for the layers of a functional model that are called after it: so Keras'
  /// layer leaves them, and the numbers of models with masks depend on it.
  package var takesMasksAway: Bool { false }

  // MARK: Names

  /// Keras' name: `dense`; a container makes it unique among its layers: `dense_1`.
  public var name: String { state.withLock { $0.name } ?? KerasNaming.snake(baseName) }

  /// The name, or nil until one was given by the user or a container.
  var givenName: String? { state.withLock { $0.name } }

  /// `sequential/dense`
  public var path: String { state.withLock { $0.path } ?? name }

  /// Names the layer, unless it has a name, and places it below `parent`, unless it has a place.
  func adopt(name: String, parent: String) {
    state.withLock { state in
      if state.name == nil { state.name = name }
      if state.path == nil { state.path = "\(parent)/\(state.name!)" }
    }
  }

  /// A layer of a functional model stands below nothing, as Keras has it.
  func settlePath() { state.withLock { state in if state.path == nil { state.path = state.name } } }

  /// Whether the user chose the name.
  var isNamed: Bool { state.withLock { $0.isNamed } }

  /// Gives the layer a name in place of one that wasn't chosen by the user, and its weights paths below it.
  func rename(_ name: String) {
    let weights = state.withLock { state in
      state.name = name
      state.path = name
      return state.weights
    }
    for weight in weights { weight.path = "\(name)/\(weight.name)" }
    for layer in sublayers { layer.move(below: name) }
  }

  private func move(below parent: String) {
    let path = "\(parent)/\(name)"
    let weights = state.withLock { state in
      state.path = path
      return state.weights
    }
    for weight in weights { weight.path = "\(path)/\(weight.name)" }
    for layer in sublayers { layer.move(below: path) }
  }

  // MARK: Weights

  /// Makes a weight and keeps it; for use in ``build(_:)-(Shape)``.
  ///
  /// - Parameters:
  ///   - trainable: false for state that gradients don't change, such as running statistics.
  ///   - adjusting: changes what the initializer gave.
  @discardableResult
  public final func addWeight(
    _ name: String, shape: Shape, initializer: Initializer = .glorotUniform, regularizer: Regularizer? = nil,
    constraint: Constraint? = nil, trainable: Bool = true, dtype: DType? = nil,
    adjusting: (@Sendable (Tensor) -> Tensor)? = nil
  ) -> Weight {
    if dtype == nil, !self.dtype.isFloatingPoint {
      let refusal = ModelError(
        .argument, at: path, "needs a floating-point dtype for its weight '\(name)', got \(self.dtype)")
      state.withLock { $0.refusal = $0.refusal ?? refusal }
    }
    let random = state.withLock { $0.random } ?? CallContext.inference.random
    // A weight made while a graph is recorded is a weight, not a part of the graph.
    let value = VariableScopes.outside {
      if let budget = WeightBudget.current {
        return budget.blank(shape, dtype ?? self.dtype, path: "\(path)/\(name)")
      }
      let drawn = initializer(shape, dtype: dtype ?? self.dtype, random: random)
      return adjusting.map { $0(drawn) } ?? drawn
    }
    let weight = Weight(
      value, name: name, path: "\(path)/\(name)", initializer: initializer, regularizer: regularizer,
      constraint: constraint, trainable: trainable,
      isProvisional: SymbolicCall.isActive && WeightBudget.current == nil, adjusting: adjusting)
    keep(weight)
    return weight
  }

  /// Counts another layer's weight among this layer's own.
  final func keep(_ weight: Weight) {
    state.withLock { $0.weights.append(weight) }
    LayerStructure.noteChange()
  }

  /// Layers in stored properties, arrays of them included, in the order of the properties.
  open var sublayers: [Layer] {
    var found: [Layer] = []
    func visit(_ value: Any) {
      if let layer = value as? Layer {
        found.append(layer)
      } else if let layers = value as? [Layer] {
        found += layers
      }
    }
    var mirror: Mirror? = Mirror(reflecting: self)
    while let level = mirror, level.subjectType != Layer.self {
      for child in level.children {
        let value = Mirror(reflecting: child.value)
        if value.displayStyle == .optional {
          value.children.first.map { visit($0.value) }
        } else {
          visit(child.value)
        }
      }
      mirror = level.superclassMirror
    }
    return found
  }

  /// The layers in stored properties by the properties' names, where files keep them; those of an array together.
  package var sublayersByProperty: [(property: String, layers: [Layer], isArray: Bool)] {
    var found: [(property: String, layers: [Layer], isArray: Bool)] = []
    var mirror: Mirror? = Mirror(reflecting: self)
    while let level = mirror, level.subjectType != Layer.self {
      for child in level.children {
        guard let label = child.label else { continue }
        let value = Mirror(reflecting: child.value)
        let content: Any = value.displayStyle == .optional ? value.children.first?.value as Any : child.value
        if let layer = content as? Layer {
          found.append((KerasNaming.snake(label), [layer], false))
        } else if let layers = content as? [Layer], !layers.isEmpty {
          found.append((KerasNaming.snake(label), layers, true))
        }
      }
      mirror = level.superclassMirror
    }
    return found
  }

  /// The variables that files keep for the layer itself, in Keras' order.
  package var savedWeights: [Weight] {
    let own = ownWeights
    return own.filter(\.trainable) + own.filter { !$0.trainable }
  }

  /// What the layer itself carries from call to call that isn't among its weights, as Keras has it of stateful recurrent
  /// layers.
  package var carriedVariables: [Variable] { [] }

  /// Called before each step of training, where weights may be written: inside the step their gradients are taken.
  package func beginTrainingStep() {
    for layer in sublayers { layer.beginTrainingStep() }
  }

  /// Whether the elements of data that goes straight into the layer are what it takes; asked before training, where the
  /// compiled step no longer looks.
  ///
  /// - Throws: ``ModelError`` with the first that isn't.
  package func checkData(_ column: Column) throws {}

  /// Why it can't be part of a model, whose calls are recorded before there are numbers; nil: it can.
  package var needsNumbers: String? { nil }

  /// - Throws: ``ModelError`` when it, or a layer inside it, can't be part of a model.
  func checkIsRecordable() throws {
    if let reason = needsNumbers { throw ModelError(.argument, at: path, reason) }
    for layer in sublayers { try layer.checkIsRecordable() }
  }

  /// Inputs that suit the registry's example of this class, for the test that every layer passes; nil: the first of some
  /// usual shapes that it takes.
  package var sampleInputs: [TensorType]? { nil }

  /// How many inputs a call may have: what is asked before a layer is put into a graph.
  open var inputCounts: ClosedRange<Int> { 1...1 }

  /// What a call can be told beside its inputs.
  open var callOptions: Set<CallOption> { [] }

  /// Why a call of the layer, as it is built, can't be told these of its ``callOptions``; nil: it can.
  package func refusal(of options: Set<CallOption>) -> String? { nil }

  /// Keras' names of the arguments where inputs are given one after the other and have names; nil: they have none.
  package var argumentNames: [String]? { nil }

  /// Whether Keras is given several inputs as one list, as merging layers are; false: one after the other.
  open var listsInputs: Bool { true }

  /// Inputs after this many are one list under a name where Keras calls the layer; nil: all are given by their place.
  package var namedInputs: (name: String, after: Int)? { nil }

  /// How many of these belong together, as the states of each cell of a stack; empty: each stands alone.
  package var namedInputGroups: [Int] { [] }

  /// What files keep beside ``savedWeights``, by Keras' names.
  package var savedTensors: [String: Tensor] { [:] }

  /// The layer's own weights, without its sublayers'.
  public var ownWeights: [Weight] { state.withLock { $0.weights } }

  /// All weights, each once: trained ones and state, the layer's own first, then its sublayers'. Empty until built.
  public var weights: [Weight] {
    var seen = Set<ObjectIdentifier>()
    return collectedWeights.filter { seen.insert(ObjectIdentifier($0)).inserted }
  }

  private var collectedWeights: [Weight] {
    let own = ownWeights
    let ordered = own.filter(\.trainable) + own.filter { !$0.trainable }
    return ordered + sublayers.flatMap(\.collectedWeights)
  }

  /// Weights that training changes.
  public var trainableWeights: [Weight] {
    var seen = Set<ObjectIdentifier>()
    return collectedTrainable.filter { seen.insert(ObjectIdentifier($0)).inserted }
  }

  private var collectedTrainable: [Weight] {
    guard trainable else { return [] }
    return ownWeights.filter(\.trainable) + sublayers.flatMap(\.collectedTrainable)
  }

  public var nonTrainableWeights: [Weight] {
    let trained = Set(trainableWeights.map { ObjectIdentifier($0) })
    return weights.filter { !trained.contains(ObjectIdentifier($0)) }
  }

  /// Whether training changes the weights. Setting it sets the sublayers' too.
  public var trainable: Bool {
    get { state.withLock { $0.trainable } }
    set {
      state.withLock { $0.trainable = newValue }
      LayerStructure.noteChange()
      for layer in sublayers { layer.trainable = newValue }
    }
  }

  /// The number of elements in all weights.
  public var parameterCount: Int { weights.reduce(0) { $0 + $1.count } }

  /// Keras' spelling of ``parameterCount``.
  public func countParameters() -> Int { parameterCount }

  /// The values of ``weights``, in that order.
  public func getWeights() -> [Tensor] { weights.map(\.value) }

  /// Gives ``weights`` new values.
  ///
  /// - Throws: ``ModelError`` when number or shapes differ; nothing is changed then.
  public func setWeights(_ values: [Tensor]) throws {
    let weights = weights
    guard values.count == weights.count else {
      let hint = isBuilt ? "" : "; build it first"
      throw ModelError(.shape, at: path, "expected \(weights.count) weights, got \(values.count)\(hint)")
    }
    for (weight, value) in zip(weights, values) where weight.shape != value.shape {
      throw ModelError(.shape, at: weight.path, "expected shape \(weight.shape), got \(value.shape)")
    }
    for (weight, value) in zip(weights, values) { weight.value = value.cast(to: weight.dtype) }
  }

  // MARK: Building and calling

  public var isBuilt: Bool { state.withLock { $0.isBuilt } }

  /// Makes the weights for inputs of these shapes unless they are there, and checks the shapes.
  ///
  /// - Throws: ``ModelError`` naming the layer when they don't fit.
  public final func prepare(_ inputs: [Shape], random: RandomGenerator? = nil) throws {
    if state.withLock({ $0.checkedInputs.contains(inputs) }) { return }
    // The library's layers look at the batch axis before they look at anything else.
    if self is any ConfigurableLayer, inputs.contains([]) {
      throw ModelError(.shape, at: path, "expected inputs with an axis for the batch, got shape []")
    }
    try checkCount(inputs.count)
    if !isBuilt {
      if let random { state.withLock { $0.random = random } }
      nameSublayers()
      try checkConfiguration()
      try build(inputs)
      if let refusal = state.withLock({ $0.refusal }) { throw refusal }
      try WeightBudget.current?.check()
      nameSublayers()
      if !trainable { trainable = false }
      state.withLock { $0.isBuilt = true }
    }
    try check(inputs)
    state.withLock { state in
      if state.checkedInputs.count > 64 { state.checkedInputs = [] }
      state.checkedInputs.insert(inputs)
      if state.firstInputs == nil { state.firstInputs = inputs }
      if let sizes = state.sizes, !sizes.haveRanks(of: inputs) { state.tookOtherRanks = true }
      state.sizes = opened(state.sizes, by: inputs)
    }
  }

  private func checkCount(_ count: Int) throws {
    guard self is any ConfigurableLayer, !inputCounts.contains(count) else { return }
    let (least, most) = (inputCounts.lowerBound, inputCounts.upperBound)
    let expected =
      switch most - least {
      case 0: least == 1 ? "one input" : "\(least) inputs"
      case 1: "\(least) or \(most) inputs"
      default: most == .max ? "at least one input" : "\(least) to \(most) inputs"
      }
    throw ModelError(.shape, at: path, "expected \(expected), got \(count)")
  }

  /// The sizes of the inputs that it was prepared for, nil where they differed and for the batch; nil before.
  package var preparedSizes: [[Int?]]? { state.withLock { $0.sizes } }

  /// The shapes it was first prepared for; nil before.
  var firstInputs: [Shape]? { state.withLock { $0.firstInputs } }

  /// Whether it was prepared for inputs of other numbers of axes than the first ones'.
  var tookOtherRanks: Bool { state.withLock { $0.tookOtherRanks } }

  func isPrepared(for inputs: [Shape]) -> Bool { state.withLock { $0.checkedInputs.contains(inputs) } }

  /// Inputs of these sizes that it was prepared for: several where some are open.
  var preparedInputs: [[Shape]] {
    let (checked, sizes) = state.withLock { ($0.checkedInputs, $0.sizes) }
    var found: [[ArraySlice<Int>]: [Shape]] = [:]
    for inputs in checked where sizes?.haveRanks(of: inputs) == true {
      found[inputs.map { $0.dimensions.dropFirst() }] = inputs
    }
    return Array(found.values)
  }

  /// Initialisers and the like that were given as names that mean nothing: making weights couldn't throw.
  private func checkConfiguration() throws {
    guard let layer = self as? any ConfigurableLayer else { return }
    for field in configurationFields(layer.configuration) {
      try checkSizes(field)
      guard let form = field.value as? any KerasForm else { continue }
      do { _ = try form.resolved() } catch let error as ModelError {
        throw ModelError(error.kind, at: path, error.message)
      }
    }
  }

  /// Products of sizes, strides and the like must fit where they are computed.
  private func checkSizes(_ field: (label: String, value: Any)) throws {
    // Whole numbers that count nothing, and what the sizes of samples are checked as.
    guard !["seed", "vocabulary", "maskToken", "oovToken", "batchShape"].contains(field.label) else { return }
    let numbers: [Int] =
      switch field.value {
      case let number as Int: [number]
      case let numbers as [Int?]: numbers.compactMap { $0 }
      case let numbers as OneOrMany<Int>: numbers.values
      case let numbers as OneOrMany<Int?>: numbers.values.compactMap { $0 }
      case let amounts as EdgeAmounts: amounts.pairs.joined().map { $0 }
      default: []
      }
    let range = -(1 << 30)...1 << 30
    if let number = numbers.first(where: { !range.contains($0) }) {
      let limit = number > 0 ? "\(range.upperBound) at most" : "\(range.lowerBound) at least"
      throw ModelError(.argument, at: path, "\(field.label) may be \(limit), got \(number)")
    }
  }

  private func nameSublayers() {
    let layers = sublayers
    for (layer, name) in zip(layers, uniqueNames(layers)) { layer.adopt(name: name, parent: path) }
  }

  /// Inputs as this layer computes with them.
  func cast(_ inputs: [Tensor]) -> [Tensor] { castsInputs ? inputs.map(dtypePolicy.cast) : inputs }

  /// The results for several inputs; builds the layer first where that wasn't done.
  public final func callAsFunction(_ inputs: [Tensor], _ context: CallContext = .inference) -> [Tensor] {
    do { try prepare(inputs.map(\.shape), random: context.random) } catch { programmerError("\(error)") }
    var inputs = cast(inputs)
    let inner = context.entering(&inputs)
    func computed() -> [Tensor] { withProducts(in: dtypePolicy.products) { call(inputs, inner) } }
    var results = OperationWatch.active?.inside(path, computed) ?? computed()
    for (position, mask) in outputMasks(results, of: inputs).enumerated() { results[position].mask = mask }
    context.observer?(self, results)
    return results
  }

  /// The result for one input; builds the layer first where that wasn't done. Shapes that don't fit stop the program.
  ///
  /// ```swift
  /// let y = Dense(3)(Tensor.ones([2, 4]))      // [2, 3]
  /// ```
  public final func callAsFunction(_ input: Tensor, _ context: CallContext = .inference) -> Tensor {
    self([input], context)[0]
  }
}

/// Keras' names for layers that stand beside each other: given ones as they are, others numbered by class.
func uniqueNames(_ layers: [Layer]) -> [String] {
  var taken = Set(layers.compactMap(\.givenName))
  return layers.map { layer in
    if let name = layer.givenName { return name }
    let base = KerasNaming.snake(layer.baseName)
    var name = base
    var number = 0
    while taken.contains(name) {
      number += 1
      name = "\(base)_\(number)"
    }
    taken.insert(name)
    return name
  }
}

/// A layer whose configuration is one Codable value with Keras' keys.
///
/// The configuration is all that the layer was made from: files write it, and make the layer from it again.
public protocol ConfigurableLayer: Layer {
  associatedtype Configuration: Codable & Hashable & Sendable
  var configuration: Configuration { get }
  init(configuration: Configuration, name: String?, trainable: Bool, dtype: DTypePolicy)
}
