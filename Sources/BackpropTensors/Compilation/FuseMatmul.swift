extension Graph {
  /// Matmul reads transposed operands as they lie; matmul and convolution add the bias and apply relu on the way out, max
  /// pooling applies relu.
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
      guard !nodes[position].outputs.isEmpty, let epilogue = nodes[position].operation.epilogue,
        type(nodes[position].outputs[0]).dtype == .float32,
        type(nodes[position].outputs[0]).shape.elementCount > 0,
        type(nodes[position].inputs[0]).shape.elementCount > 0
      else { continue }
      let results = Set(results)
      if epilogue.takesBias, !epilogue.bias, !epilogue.relu,
        let next = soleConsumer(of: nodes[position].outputs[0], results),
        let bias = biasAdded(by: nodes[next], to: nodes[position].outputs[0]), isMade(bias, before: position)
      {
        merge(next, into: position, extra: [bias]) { $0.bias = true }
      }
      if !epilogue.relu, let next = soleConsumer(of: nodes[position].outputs[0], results),
        nodes[next].operation == .unary(.relu)
      {
        merge(next, into: position, extra: []) { $0.relu = true }
      }
    }
    nodes.removeAll { $0.outputs.isEmpty }
  }

  /// The earlier node takes the later one's result; the later one is emptied.
  private mutating func merge(
    _ next: Int, into position: Int, extra: [ValueID], _ change: (inout Epilogue) -> Void
  ) {
    var epilogue = nodes[position].operation.epilogue!
    change(&epilogue)
    nodes[position].operation.apply(epilogue)
    nodes[position].inputs += extra
    nodes[position].outputs[0] = nodes[next].outputs[0]
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

/// What an operation does to its first result on the way out.
private struct Epilogue {
  var takesBias: Bool
  var bias: Bool
  var relu: Bool
}

extension Operation {
  fileprivate var epilogue: Epilogue? {
    switch self {
    case .contraction(.matmul(let options)):
      Epilogue(takesBias: true, bias: options.bias, relu: options.activation == .relu)
    case .convolution(.forward(let options)):
      Epilogue(takesBias: true, bias: options.bias, relu: options.relu)
    case .pooling(.max(let pooling)): Epilogue(takesBias: false, bias: false, relu: pooling.relu)
    default: nil
    }
  }

  fileprivate mutating func apply(_ epilogue: Epilogue) {
    switch self {
    case .contraction(.matmul(var options)):
      options.bias = epilogue.bias
      options.activation = epilogue.relu ? .relu : .none
      self = .contraction(.matmul(options))
    case .convolution(.forward(let options)):
      self = .convolution(.forward(options.with(bias: epilogue.bias, relu: epilogue.relu)))
    case .pooling(.max(var pooling)):
      pooling.relu = epilogue.relu
      self = .pooling(.max(pooling))
    default: break
    }
  }
}
