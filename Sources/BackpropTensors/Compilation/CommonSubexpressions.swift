extension Graph {
  /// The same operation on the same values is computed once. Sampling too: its state is an input.
  package func withoutCommonSubexpressions() -> Graph {
    struct Key: Hashable {
      var operation: Operation
      var inputs: [ValueID]
    }
    var graph = self
    var known: [Key: [ValueID]] = [:]
    var replacements: [ValueID: ValueID] = [:]
    var kept: [Node] = []
    for var node in nodes {
      node.inputs = node.inputs.map { replacements[$0] ?? $0 }
      let key = Key(operation: node.operation, inputs: node.inputs)
      if let outputs = known[key] {
        for (output, same) in zip(node.outputs, outputs) { replacements[output] = same }
      } else {
        known[key] = node.outputs
        kept.append(node)
      }
    }
    graph.nodes = kept
    graph.substitute(replacements)
    return graph
  }
}
