extension Graph {
  /// What only the backward pass needs of pooling: positions that nothing reads aren't made, and the sum of a gradient
  /// that is spread over windows is taken before it is spread.
  package func withSimplifiedPooling() -> Graph {
    var graph = self
    let consumers = consumers()
    let producers = producers()
    let results = Set(results)
    for (position, node) in nodes.enumerated() {
      switch node.operation {
      case .pooling(.max(var pooling)) where pooling.keepsPositions:
        let positions = node.outputs[1]
        guard consumers[positions].isEmpty, !results.contains(positions) else { continue }
        pooling.keepsPositions = false
        graph.nodes[position].operation = .pooling(.max(pooling))
        graph.nodes[position].outputs = [node.outputs[0]]
      case .reduction(let reduction) where reduction.kind == .sum:
        let producer = producers[node.inputs[0]]
        guard producer >= 0, let source = spreadSource(nodes[producer]) else { continue }
        let spatial = 1..<type(source).shape.rank - 1
        guard spatial.allSatisfy(reduction.axes.contains) else { continue }
        graph.nodes[position].inputs[0] = source
      default: break
      }
    }
    return graph.withoutDeadNodes()
  }

  /// What a node shares out over windows, so that nothing is added or lost.
  private func spreadSource(_ node: Node) -> ValueID? {
    switch node.operation {
    case .pooling(.maxGradient), .pooling(.averageGradient): node.inputs[0]
    default: nil
    }
  }
}
