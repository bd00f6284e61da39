/// What `compiled` recorded: a list of operations, each value made once, in an order in which it can run.
///
/// A value type: every pass of the compiler is a function from one graph to the next.
package struct Graph: Sendable {
  package typealias ValueID = Int

  package struct Node: Sendable {
    package var operation: Operation
    package var inputs: [ValueID]
    package var outputs: [ValueID]
  }

  package struct Value: Sendable {
    package var type: TensorType
    package var origin: Origin
  }

  package enum Origin: Sendable {
    /// An argument of the compiled closure.
    case input
    /// A tensor the closure captured; its memory is read where it lies.
    case constant(Tensor)
    /// What a variable held before the step.
    case state(Variable)
    case node
  }

  package var values: [Value] = []
  package var nodes: [Node] = []
  package var inputs: [ValueID] = []
  package var outputs: [ValueID] = []
  /// Variables the step writes, with the value they hold after it.
  package var writes: [(variable: Variable, value: ValueID)] = []
  /// A scalar that must be finite, or nothing is written.
  package var guarded: ValueID?
  /// Values that lie in memory part by part (`withCutColumns`).
  package var inParts = Set<ValueID>()

  package init() {}

  package func type(_ id: ValueID) -> TensorType { values[id].type }

  package mutating func add(_ type: TensorType, _ origin: Origin) -> ValueID {
    values.append(Value(type: type, origin: origin))
    return values.count - 1
  }

  @discardableResult
  package mutating func append(_ operation: Operation, _ inputs: [ValueID], _ types: [TensorType])
    -> [ValueID]
  {
    let outputs = types.map { add($0, .node) }
    nodes.append(Node(operation: operation, inputs: inputs, outputs: outputs))
    return outputs
  }

  /// Everything that must be there at the end.
  package var results: [ValueID] { outputs + writes.map(\.value) + (guarded.map { [$0] } ?? []) }

  /// For each value, the positions of the nodes that read it.
  package func consumers() -> [[Int]] {
    var consumers = [[Int]](repeating: [], count: values.count)
    for (position, node) in nodes.enumerated() {
      for input in node.inputs where consumers[input].last != position { consumers[input].append(position) }
    }
    return consumers
  }

  /// For each value, the position of the node that makes it, or -1.
  package func producers() -> [Int] {
    var producers = [Int](repeating: -1, count: values.count)
    for (position, node) in nodes.enumerated() {
      for output in node.outputs { producers[output] = position }
    }
    return producers
  }

  /// Replaces every read of `old` by `new`, results included.
  package mutating func substitute(_ replacements: [ValueID: ValueID]) {
    func resolved(_ id: ValueID) -> ValueID {
      var id = id
      while let next = replacements[id] { id = next }
      return id
    }
    for position in nodes.indices { nodes[position].inputs = nodes[position].inputs.map(resolved) }
    outputs = outputs.map(resolved)
    for position in writes.indices { writes[position].value = resolved(writes[position].value) }
    guarded = guarded.map(resolved)
  }

  /// The stored element of a scalar constant.
  package func scalarConstant(_ id: ValueID) -> Double? {
    guard case .constant(let tensor) = values[id].origin, tensor.count == 1 else { return nil }
    return tensor.item()
  }
}

extension Graph: CustomStringConvertible {
  package var description: String {
    nodes.map { node in
      let results = node.outputs.map { "%\($0): \(type($0))" }.joined(separator: ", ")
      let arguments = node.inputs.map { id -> String in
        switch values[id].origin {
        case .node: return "%\(id)"
        case .input: return "input %\(id)"
        case .constant(let tensor): return tensor.count == 1 ? "\(tensor.item())" : "constant %\(id)"
        case .state(let variable): return "\(variable.name) %\(id)"
        }
      }
      return "\(results) = \(node.operation.rule.name)(\(arguments.joined(separator: ", ")))"
    }.joined(separator: "\n")
  }
}
