import BackpropTensors
import Synchronization

/// What a layer would give: a place in the graph that a ``Functional`` model is made from.
///
/// ```swift
/// let x = Input([784])
/// let h = Dense(64, activation: .relu)(x)     // [nil, 64]
/// let model = try Model(inputs: x, outputs: Dense(10, activation: .softmax)(h))
/// ```
///
/// Keras' `KerasTensor`. Layers make their weights when they are called on one. What doesn't fit is reported when the
/// model is made, which throws; until then the result is a tensor without a shape.
public struct SymbolicTensor: Sendable, SymbolicConvertible {
  let call: LayerCall
  /// Which of the call's results it is.
  let index: Int

  /// The sizes, batch axis included, nil where they are open.
  ///
  /// Empty where the layer couldn't take its inputs.
  public var shape: [Int?] { call.failure == nil ? call.openShapes[index] : [] }

  public var dtype: DType { call.failure == nil ? call.outputs[index].dtype : .float32 }

  public var symbolic: SymbolicTensor { self }

  func isSame(as other: SymbolicTensor) -> Bool { call === other.call && index == other.index }
}

extension [SymbolicTensor] {
  /// The types of all for each size of a pair of ``StandIns``: once where no size is open.
  func types(pair: Int) throws -> [[TensorType]] {
    let types = try map { try $0.call.types(pair: pair) }
    return (0..<(types.map(\.count).max() ?? 1)).map { position in
      zip(self, types).map { $1[Swift.min(position, $1.count - 1)][$0.index] }
    }
  }
}

/// A ``SymbolicTensor``, or an ``Input`` that stands for its own.
public protocol SymbolicConvertible: Sendable {
  var symbolic: SymbolicTensor { get }
}

/// One use of a layer in a graph.
final class LayerCall: Sendable {
  let layer: Layer
  let inputs: [SymbolicTensor]
  /// Whether the inputs were given as a list.
  let takesList: Bool
  let options: Set<CallOption>
  /// The results where open sizes are the first of `pair`.
  let outputs: [TensorType]
  /// The results where open sizes are the second of `pair`; nil where none is open but the batch axis.
  let others: [TensorType]?
  /// The number of the pair of ``StandIns`` that stands for open sizes.
  let pair: Int
  let failure: ModelError?
  /// Grows from call to call.
  let number: Int

  /// The results for each of other pairs' sizes, by the pair's number.
  private let further = Mutex<[Int: [[TensorType]]]>([:])

  private static let count = Atomic<Int>(0)

  init(
    _ layer: Layer, _ inputs: [SymbolicTensor], takesList: Bool, options: Set<CallOption> = [],
    outputs: [TensorType], others: [TensorType]?, pair: Int = 0, failure: ModelError? = nil
  ) {
    self.layer = layer
    self.inputs = inputs
    self.takesList = takesList
    self.options = options
    self.outputs = outputs
    self.others = others
    self.pair = pair
    self.failure = failure
    number = Self.count.add(1, ordering: .relaxed).newValue
  }

  var openShapes: [[Int?]] {
    outputs.enumerated().map { position, type in
      type.shape.dimensions.enumerated().map { axis, size in
        if axis == 0 { return nil }
        guard let others else { return size }
        return others[position].shape[axis] == size ? size : nil
      }
    }
  }

  /// The results for each size of a pair of ``StandIns``: one where no size is open.
  ///
  /// - Throws: ``ModelError`` of a layer that doesn't take them.
  func types(pair number: Int) throws -> [[TensorType]] {
    if others == nil || number == pair { return [outputs] + (others.map { [$0] } ?? []) }
    if let known = further.withLock({ $0[number] }) { return known }
    // Not by recursion: graphs may be deeper than the stack.
    for call in GraphOrder(inputs: [], outputs: results).calls
    where call.others != nil && call.pair != number && call.further.withLock({ $0[number] == nil }) {
      let found = try call.layer.symbolicTypes(call.inputs, call.options, pair: number)
      call.further.withLock { $0[number] = found }
    }
    return further.withLock { $0[number]! }
  }

  var results: [SymbolicTensor] {
    failure == nil
      ? outputs.indices.map { SymbolicTensor(call: self, index: $0) } : [SymbolicTensor(call: self, index: 0)]
  }
}

/// In force while a layer is called on symbolic tensors.
enum SymbolicCall {
  @TaskLocal static var isActive = false
}

/// An input layer's only call, made when it is asked for and nobody holds it. The call holds the layer: the other way
/// round as well, neither would ever be freed.
final class SymbolCell: Sendable {
  private struct Reference: Sendable { weak var call: LayerCall? }
  private let reference = Mutex(Reference())

  func call(of input: Input) -> LayerCall {
    reference.withLock { reference in
      if let call = reference.call { return call }
      let types = input.types(pair: 0)
      let made = LayerCall(
        input, [], takesList: false, outputs: types[0], others: types.count == 2 ? types[1] : nil)
      reference.call = made
      return made
    }
  }
}

extension Input: SymbolicConvertible {
  public var symbolic: SymbolicTensor { SymbolicTensor(call: symbol.call(of: self), index: 0) }

  func types(pair: Int) -> [[TensorType]] {
    StandIns.filled(configuration.batchShape, pair: pair).map { [TensorType($0, configuration.dtype)] }
  }
}

extension Layer {
  /// The layer's result in a graph; makes its weights.
  public func callAsFunction(_ input: some SymbolicConvertible) -> SymbolicTensor {
    symbolicCall([input.symbolic], takesList: false).results[0]
  }

  /// The first result of a layer with several inputs, such as ``Add``.
  public func callAsFunction(_ inputs: [any SymbolicConvertible]) -> SymbolicTensor {
    symbolicCall(inputs.map(\.symbolic), takesList: true).results[0]
  }

  /// All results of a layer that has several, such as one that gives its state.
  public func outputs(of inputs: [any SymbolicConvertible]) -> [SymbolicTensor] {
    symbolicCall(inputs.map(\.symbolic), takesList: inputs.count > 1).results
  }

  func symbolicCall(
    _ inputs: [SymbolicTensor], takesList: Bool, options: Set<CallOption> = []
  ) -> LayerCall {
    if let failure = inputs.lazy.compactMap(\.call.failure).first {
      return LayerCall(self, inputs, takesList: takesList, outputs: [], others: nil, failure: failure)
    }
    do {
      if let unknown = options.subtracting(callOptions).first {
        throw ModelError(.argument, at: path, "a call takes no \(unknown.rawValue)")
      }
      let first = inputs.map(\.call.pair).max() ?? 0
      return try StandIns.firstFitting(from: first, inputs.map(\.shape)) { pair in
        let types = try symbolicTypes(inputs, options, pair: pair)
        return LayerCall(
          self, inputs, takesList: takesList, options: options, outputs: types[0],
          others: types.count == 2 ? types[1] : nil, pair: pair)
      }
    } catch {
      var failure = error as? ModelError ?? ModelError(.shape, at: path, "\(error)")
      if failure.kind == .shape, inputs.count > 1 {
        let branches = branchNames(inputs).joined(separator: ", ")
        failure = ModelError(.shape, at: failure.path, "\(failure.message); the inputs come from \(branches)")
      }
      return LayerCall(self, inputs, takesList: takesList, outputs: [], others: nil, failure: failure)
    }
  }

  /// For each size of a pair of ``StandIns``: one where no size is open.
  fileprivate func symbolicTypes(
    _ inputs: [SymbolicTensor], _ options: Set<CallOption>, pair: Int
  ) throws -> [[TensorType]] {
    if let input = self as? Input { return input.types(pair: pair) }
    return try inputs.types(pair: pair).map { try symbolicTypes($0, options) }
  }

  private func symbolicTypes(_ inputs: [TensorType], _ options: Set<CallOption>) throws -> [TensorType] {
    try checkIsRecordable()
    return try Engine.exclusively {
      try WeightBudget.current?.check(inputs.map(\.shape), at: path)
      try SymbolicCall.$isActive.withValue(true) { try prepare(inputs.map(\.shape)) }
      if let refusal = refusal(of: options) { throw ModelError(.argument, at: path, refusal) }
      return outputTypes(inputs, options: options)
    }
  }
}

/// The layers that the tensors come from; where two have one name, with what they were made of: 'dense' of 'left'.
private func branchNames(_ tensors: [SymbolicTensor]) -> [String] {
  let names = tensors.map { "'\($0.call.layer.name)'" }
  guard Set(names).count < names.count else { return names }
  return zip(tensors, names).map { tensor, name in
    let sources = tensor.call.inputs
    return sources.isEmpty ? name : "\(name) of \(branchNames(sources).joined(separator: " and "))"
  }
}
