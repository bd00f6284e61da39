extension Graph {
  /// Convolutions whose large result only a max pooling reads are pooled as they are made, and their kernels' gradients
  /// are made from the pooled ones where nothing else wants the gradient between.
  package func withPooledConvolutions() -> Graph {
    var graph = self
    let consumers = consumers()
    let producers = producers()
    let results = Set(results)
    var absorbed = Set<Int>()
    for (position, node) in nodes.enumerated() {
      guard let place = pooledPlace(node) else { continue }
      let between = node.inputs[place]
      let producer = producers[between]
      guard producer >= 0, consumers[between] == [position], !results.contains(between),
        PooledConvolution.isWorthwhile(type(between)), let joined = joined(nodes[producer], node)
      else { continue }
      let inputs = node.inputs[..<place] + nodes[producer].inputs
      guard joined.isPossible(inputs.map(type)) else { continue }
      graph.nodes[position].operation = joined.operation
      graph.nodes[position].inputs = Array(inputs)
      absorbed.insert(producer)
    }
    graph.nodes = graph.nodes.indices.filter { !absorbed.contains($0) }.map { graph.nodes[$0] }
    return graph
  }

  /// Where a node reads what lies between a convolution and a pooling.
  private func pooledPlace(_ node: Node) -> Int? {
    switch node.operation {
    case .pooling(.max): 0
    case .convolution(.kernel): 1
    default: nil
    }
  }

  private func joined(_ first: Node, _ second: Node) -> PooledConvolution? {
    switch (first.operation, second.operation) {
    case (.convolution(.forward(let options)), .pooling(.max(let pooling))): .forward(options, pooling)
    case (.pooling(.maxGradient(let windows, let input)), .convolution(.kernel(let options, let size))):
      .kernel(options, windows, results: input, size: size)
    default: nil
    }
  }
}
