import Synchronization

/// A value of a graph that is being recorded.
package final class TracedValue: Sendable {
  let tracer: Tracer
  package let id: Graph.ValueID

  init(tracer: Tracer, id: Graph.ValueID) {
    self.tracer = tracer
    self.id = id
  }
}

/// Records what the closure of `compiled` does into a graph.
package final class Tracer: Sendable {
  private struct State: Sendable {
    var graph = Graph()
    var constants: [ObjectIdentifier: [(shape: Shape, id: Graph.ValueID)]] = [:]
    var variables: [ObjectIdentifier: Tensor] = [:]
    var read: [ObjectIdentifier: Graph.ValueID] = [:]
    var written: [Variable] = []
  }

  private let state = Mutex(State())
  /// Only the shapes and dtypes of the results matter: nothing large is computed to find them.
  let wantsTypesOnly: Bool

  private init(wantsTypesOnly: Bool) { self.wantsTypesOnly = wantsTypesOnly }

  /// Runs `body` with a tracer between it and the variables.
  ///
  /// - Parameter wantsTypesOnly: as the property says.
  package static func record<Result>(wantsTypesOnly: Bool = false, _ body: (Tracer) throws -> Result) rethrows
    -> Result
  {
    let tracer = Tracer(wantsTypesOnly: wantsTypesOnly)
    // Tensors that the tracer holds hold it: neither it nor a variable that was read would ever be freed.
    defer { tracer.state.withLock { $0.variables = [:] } }
    return try VariableScopes.with(tracer) { try body(tracer) }
  }

  /// Whether only the shapes and dtypes of the results of what is being recorded matter.
  package static var wantsTypes: Bool { VariableScopes.tracer?.wantsTypesOnly == true }

  /// The tracer at work in this task where it wants types only, and tensors of `types` would take more than 64 KB:
  /// a table of constants, as large as a file says, isn't made for its shape.
  static func ofTypes(for types: [TensorType]) -> Tracer? {
    guard types.contains(where: { $0.byteCount > 1 << 16 }), let tracer = VariableScopes.tracer else {
      return nil
    }
    return tracer.wantsTypesOnly ? tracer : nil
  }

  /// An argument of the closure.
  package func input(_ type: TensorType) -> Tensor {
    let id = state.withLock { state in
      let id = state.graph.add(type, .input)
      state.graph.inputs.append(id)
      return id
    }
    return tensor(id, type)
  }

  func append(_ operation: Operation, _ inputs: [Tensor], _ types: [TensorType]) -> [Tensor] {
    let ids = inputs.map(id(of:))
    let outputs = state.withLock { $0.graph.append(operation, ids, types) }
    return zip(outputs, types).map(tensor)
  }

  private func tensor(_ id: Graph.ValueID, _ type: TensorType) -> Tensor {
    Tensor(shape: type.shape, dtype: type.dtype, source: .traced(TracedValue(tracer: self, id: id)))
  }

  /// The value that stands for `tensor`: a stored one becomes a constant.
  private func id(of tensor: Tensor) -> Graph.ValueID {
    switch tensor.source {
    case .traced(let value):
      require(
        value.tracer === self,
        "a tensor of shape \(tensor.shape) left the `compiled` closure that recorded it; return it as a result instead"
      )
      return value.id
    case .recorded(let value): return id(of: value.primal)
    case .stored(let storage):
      return state.withLock { state in
        let key = ObjectIdentifier(storage)
        if let known = state.constants[key]?.first(where: { known in
          known.shape == tensor.shape && state.graph.type(known.id).dtype == tensor.dtype
        }) {
          return known.id
        }
        let id = state.graph.add(tensor.type, .constant(tensor))
        state.constants[key, default: []].append((tensor.shape, id))
        return id
      }
    }
  }

  /// Nothing is written when `loss` isn't finite; the program reports it instead.
  package func guardFinite(_ loss: Tensor) {
    let id = id(of: loss.cast(to: .float32))
    state.withLock { $0.graph.guarded = id }
  }

  /// The graph, with `results` as its outputs; called in the closure that records.
  func finish(_ results: [Tensor]) -> Graph {
    let outputs = results.map(id(of:))
    let written = state.withLock { state in
      state.written.map { variable in (variable, state.variables[ObjectIdentifier(variable)]!) }
    }
    let writes = written.map { (variable: $0.0, value: id(of: $0.1)) }
    return state.withLock { state in
      state.graph.outputs = outputs
      state.graph.writes = writes
      return state.graph
    }
  }
}

extension Tensor {
  /// A value of that shape without elements, where only types are wanted and there would be many; nil elsewhere.
  package static func ofTypeOnly(_ shape: Shape, _ dtype: DType) -> Tensor? {
    let type = TensorType(shape, dtype)
    return Tracer.ofTypes(for: [type])?.input(type)
  }
}

extension Tracer: VariableScope {
  package func read(_ variable: Variable, outer: VariableScope?) -> Tensor {
    let key = ObjectIdentifier(variable)
    if let known = state.withLock({ $0.variables[key] }) { return known }
    let type = variable.type
    let id = state.withLock { $0.graph.add(type, .state(variable)) }
    let traced = tensor(id, type)
    state.withLock { $0.variables[key] = traced }
    return traced
  }

  package func write(_ value: Tensor, to variable: Variable, outer: VariableScope?) {
    let key = ObjectIdentifier(variable)
    state.withLock { state in
      if !state.written.contains(where: { $0 === variable }) { state.written.append(variable) }
      state.variables[key] = value
    }
  }
}
