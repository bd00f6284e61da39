extension Graph {
  /// Matmul reads transposed operands as they lie, and adds the bias and applies relu on the way out.
  package func withFusedMatmuls() -> Graph {
    var graph = self
    graph.absorbTransposes()
    graph.absorbEpilogues()
    return graph.withoutDeadNodes()
  }

  private mutating func absorbTransposes() {
    let producers = producers()
    for position in nodes.indices {
      guard case .contraction(.matmul(var options)) = nodes[position].operation else { continue }
      for side in 0..<2 {
        let producer = producers[nodes[position].inputs[side]]
        guard producer >= 0, case .movement(.transpose(let order)) = nodes[producer].operation,
          exchangesLastTwo(order)
        else { continue }
        nodes[position].inputs[side] = nodes[producer].inputs[0]
        if side == 0 { options.transposeA.toggle() } else { options.transposeB.toggle() }
      }
      nodes[position].operation = .contraction(.matmul(options))
    }
  }

  private func exchangesLastTwo(_ order: [Int]) -> Bool {
    let rank = order.count
    guard rank >= 2 else { return false }
    return order == Array(0..<rank - 2) + [rank - 1, rank - 2]
  }

  private mutating func absorbEpilogues() {
    for position in nodes.indices {
      guard case .contraction(.matmul(var options)) = nodes[position].operation,
        type(nodes[position].outputs[0]).dtype == .float32,
        type(nodes[position].outputs[0]).shape.elementCount > 0,
        type(nodes[position].inputs[0]).shape.elementCount > 0
      else { continue }
      let results = Set(results)
      if !options.bias, options.activation == .none,
        let next = soleConsumer(of: nodes[position].outputs[0], results),
        let bias = biasAdded(by: nodes[next], to: nodes[position].outputs[0]), isMade(bias, before: position)
      {
        options.bias = true
        merge(next, into: position, .contraction(.matmul(options)), extra: [bias])
      }
      if options.activation == .none, let next = soleConsumer(of: nodes[position].outputs[0], results),
        nodes[next].operation == .unary(.relu)
      {
        options.activation = .relu
        merge(next, into: position, .contraction(.matmul(options)), extra: [])
      }
    }
    nodes.removeAll { $0.outputs.isEmpty }
  }

  /// The earlier node takes the later one's result; the later one is emptied.
  private mutating func merge(_ next: Int, into position: Int, _ operation: Operation, extra: [ValueID]) {
    nodes[position].operation = operation
    nodes[position].inputs += extra
    nodes[position].outputs = nodes[next].outputs
    nodes[next].outputs = []
    nodes[next].inputs = []
  }

  private func soleConsumer(of value: ValueID, _ results: Set<ValueID>) -> Int? {
    guard !results.contains(value) else { return nil }
    var found: Int?
    for (position, node) in nodes.enumerated() where node.inputs.contains(value) {
      if found != nil { return nil }
      found = position
    }
    return found
  }

  /// The vector that `node` adds to each row of `value`.
  private func biasAdded(by node: Node, to value: ValueID) -> ValueID? {
    guard node.operation == .binary(.add), let place = node.inputs.firstIndex(of: value) else { return nil }
    let other = node.inputs[1 - place]
    let shape = type(value).shape
    return other != value && type(other).shape == [shape[-1]] ? other : nil
  }

  private func isMade(_ value: ValueID, before position: Int) -> Bool {
    let producer = nodes.firstIndex { $0.outputs.contains(value) }
    return producer.map { $0 < position } ?? true
  }
}
