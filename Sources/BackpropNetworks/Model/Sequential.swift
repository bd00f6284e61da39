import BackpropTensors
import Synchronization

/// Layers one after the other.
///
/// ```swift
/// let model = Sequential {
///   Dense(64, activation: .relu)
///   Dense(64, activation: .relu)
///   Dense(10, activation: .softmax)
/// }
/// ```
///
/// Weights are made when the model first sees data, or at once where an ``Input`` says what samples look like.
public final class Sequential: Model, @unchecked Sendable {
  private let stack: [Layer]

  public init(_ layers: [Layer], name: String? = nil, seed: Int = 0) {
    stack = layers
    super.init(name: name, seed: seed)
    // What doesn't fit is reported by the call that first needs the weights; an initialiser here couldn't.
    if let input = layers.first as? Input { try? build(sizes: input.sizes) }
  }

  /// - Parameter seed: decides the initial weights, what dropout drops and the order of the data.
  public convenience init(name: String? = nil, seed: Int = 0, @LayerBuilder _ layers: () -> [Layer]) {
    self.init(layers(), name: name, seed: seed)
  }

  public override var sublayers: [Layer] { stack }

  /// Keras doesn't count the input as a layer.
  public override var layers: [Layer] { stack.filter { !($0 is Input) } }

  override func layers(atInput position: Int) -> [Layer] {
    guard position == 0, let first = stack.first(where: { !($0 is Input) }) else { return [] }
    return (first as? Model)?.layers(atInput: 0) ?? [first]
  }

  public override func check(_ inputs: [Shape]) throws {
    guard !layers.isEmpty else {
      throw ModelError(.order, at: path, "there are no layers; put some between the braces of Sequential { }")
    }
    var shapes = inputs
    for layer in stack {
      try layer.checkIsRecordable()
      try layer.prepare(shapes, random: random)
      shapes = layer.outputShapes(shapes)
      try WeightBudget.current?.check(shapes, at: layer.path)
    }
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    stack.reduce(inputs) { $1($0, context) }
  }
}

/// Lists layers between braces; `if`, `for` and arrays work inside.
@resultBuilder
public enum LayerBuilder {
  public static func buildExpression(_ layer: Layer) -> [Layer] { [layer] }
  public static func buildExpression(_ layers: [Layer]) -> [Layer] { layers }
  public static func buildBlock(_ parts: [Layer]...) -> [Layer] { Array(parts.joined()) }
  public static func buildOptional(_ part: [Layer]?) -> [Layer] { part ?? [] }
  public static func buildEither(first: [Layer]) -> [Layer] { first }
  public static func buildEither(second: [Layer]) -> [Layer] { second }
  public static func buildArray(_ parts: [[Layer]]) -> [Layer] { Array(parts.joined()) }
}

extension Layer {
  /// The shapes that ``call(_:_:)-([Tensor],_)`` gives for inputs of these, found by recording the call; the layer must
  /// be prepared for them.
  package func outputShapes(_ inputs: [Shape]) -> [Shape] {
    outputTypes(inputs.map { TensorType($0, dtype) }).map(\.shape)
  }

  package func outputTypes(_ inputs: [TensorType], options: Set<CallOption> = []) -> [TensorType] {
    var context = CallContext()
    context.options = options
    return VariableScopes.outside {
      Tracer.record(wantsTypesOnly: true) { tracer in
        call(cast(inputs.map(tracer.input)), context).map(\.type)
      }
    }
  }

  /// The sizes of what each layer inside gives, found by recording calls: nil where they are open, and for the batch.
  package func outputSizesOfLayers() -> [ObjectIdentifier: [[Int?]]] {
    let found = Mutex<[ObjectIdentifier: [[Int?]]]>([:])
    var context = CallContext()
    context.observer = { layer, results in
      found.withLock {
        $0[ObjectIdentifier(layer)] = opened($0[ObjectIdentifier(layer)], by: results.map(\.shape))
      }
    }
    for inputs in preparedInputs {
      VariableScopes.outside {
        Tracer.record(wantsTypesOnly: true) { tracer in
          _ = call(inputs.map { tracer.input(TensorType($0, dtype)) }, context)
        }
      }
    }
    return found.withLock { $0 }
  }
}
