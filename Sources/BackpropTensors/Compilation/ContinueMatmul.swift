extension Graph {
  /// Matrix products whose result only one block program reads go through it as they are made.
  ///
  /// The product moves to the program's place in the order, so that a weight's gradient and its update become one late
  /// node.
  package func withContinuedMatmuls() -> Graph {
    var graph = self
    let consumers = consumers()
    let producers = producers()
    let results = Set(results)
    var absorbed = Set<Int>()
    for (position, node) in nodes.enumerated() {
      guard case .fused(let program) = node.operation else { continue }
      for (place, input) in node.inputs.enumerated() {
        let producer = producers[input]
        guard producer >= 0, !absorbed.contains(producer), consumers[input] == [position],
          !results.contains(input),
          node.inputs.filter({ $0 == input }).count == 1,
          case .contraction(.matmul(let product)) = nodes[producer].operation
        else { continue }
        var others = node.inputs
        others.remove(at: place)
        let operands = nodes[producer].inputs
        guard ContinuedMatmul.isPossible(product, operands.map(type), program, others.map(type)),
          type(input).shape == program.shape
        else { continue }
        let continued = ContinuedMatmul(product: product, program: program, place: place)
        graph.nodes[position].operation = .continuedMatmul(continued)
        graph.nodes[position].inputs = operands + others
        absorbed.insert(producer)
        break
      }
    }
    graph.nodes = graph.nodes.indices.filter { !absorbed.contains($0) }.map { graph.nodes[$0] }
    return graph
  }
}
