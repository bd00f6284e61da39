extension Graph {
  /// Leaves out what changes nothing and computes what is already known.
  package func simplified() -> Graph {
    var graph = self
    graph.absorbBroadcasts()
    graph.foldConstants()
    graph.removeIdentities()
    return graph.withoutDeadNodes()
  }

  /// Without nodes that no result needs.
  package func withoutDeadNodes() -> Graph {
    var graph = self
    var needed = [Bool](repeating: false, count: values.count)
    for result in results { needed[result] = true }
    var kept: [Node] = []
    for node in nodes.reversed() where node.outputs.contains(where: { needed[$0] }) {
      for input in node.inputs { needed[input] = true }
      kept.append(node)
    }
    graph.nodes = kept.reversed()
    return graph
  }

  /// Element-wise operations stretch their inputs themselves: a broadcast before one is dropped where the result keeps
  /// its shape without it.
  private mutating func absorbBroadcasts() {
    let producers = producers()
    for position in nodes.indices {
      let node = nodes[position]
      switch node.operation {
      case .binary, .comparison, .selection: break
      default: continue
      }
      for (place, input) in node.inputs.enumerated() {
        let producer = producers[input]
        guard producer >= 0, case .movement(.broadcast) = nodes[producer].operation else { continue }
        var inputs = nodes[position].inputs
        inputs[place] = nodes[producer].inputs[0]
        let inferred = try? node.operation.infer(inputs.map(type))
        if inferred == node.outputs.map(type) { nodes[position].inputs = inputs }
      }
    }
  }

  /// Small results of constants alone are computed now.
  private mutating func foldConstants() {
    let limit = 1 << 14
    for node in nodes {
      let constants = node.inputs.compactMap { id -> Tensor? in
        if case .constant(let tensor) = values[id].origin { return tensor }
        return nil
      }
      let bytes = node.outputs.reduce(0) { $0 + type($1).byteCount }
      guard constants.count == node.inputs.count, bytes <= limit,
        constants.allSatisfy({ $0.type.byteCount <= limit })
      else { continue }
      let results = apply(node.operation, constants)
      for (output, result) in zip(node.outputs, results) { values[output].origin = .constant(result) }
    }
    nodes.removeAll { node in
      node.outputs.allSatisfy { if case .constant = values[$0].origin { true } else { false } }
    }
  }

  /// x·1, x+0, x−0, x/1 and moves that move nothing.
  private mutating func removeIdentities() {
    var replacements: [ValueID: ValueID] = [:]
    let producers = producers()
    for node in nodes where node.outputs.count == 1 {
      if let same = identity(node, producers), type(same) == type(node.outputs[0]) {
        replacements[node.outputs[0]] = same
      }
    }
    substitute(replacements)
  }

  private func identity(_ node: Node, _ producers: [Int]) -> ValueID? {
    switch node.operation {
    case .binary(.multiply):
      if scalarConstant(node.inputs[1]) == 1 { return node.inputs[0] }
      if scalarConstant(node.inputs[0]) == 1 { return node.inputs[1] }
    case .binary(.add):
      if scalarConstant(node.inputs[1]) == 0 { return node.inputs[0] }
      if scalarConstant(node.inputs[0]) == 0 { return node.inputs[1] }
    case .binary(.subtract):
      if scalarConstant(node.inputs[1]) == 0 { return node.inputs[0] }
    case .binary(.divide):
      if scalarConstant(node.inputs[1]) == 1 { return node.inputs[0] }
    case .movement(.reshape), .movement(.broadcast): return node.inputs[0]
    case .movement(.transpose(let order)):
      if order == Array(order.indices) { return node.inputs[0] }
      let producer = producers[node.inputs[0]]
      if producer >= 0, case .movement(.transpose(let inner)) = nodes[producer].operation,
        order.map({ inner[$0] }) == Array(order.indices)
      {
        return nodes[producer].inputs[0]
      }
    default: break
    }
    return nil
  }
}
