extension Graph {
  /// Results that nothing reads, such as what a forward pass keeps for a backward pass that doesn't come, aren't made where
  /// the operation can do without.
  package func withoutUnusedResults() -> Graph {
    var graph = self
    let consumers = consumers()
    let results = Set(results)
    for (position, node) in nodes.enumerated() {
      guard let withoutUnused = node.operation.rule.withoutUnused else { continue }
      let used = node.outputs.map { !consumers[$0].isEmpty || results.contains($0) }
      guard let narrowed = withoutUnused(used) else { continue }
      graph.nodes[position].operation = narrowed.operation
      graph.nodes[position].outputs = narrowed.kept.map { node.outputs[$0] }
    }
    return graph
  }
}
