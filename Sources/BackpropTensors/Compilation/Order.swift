extension Graph {
  /// The nodes in the order in which they run: as recorded, but those that make a variable's new value as late as
  /// possible. So whoever reads the old value comes first and the new one is written in its place, and the guarded loss
  /// is known before anything is written.
  package func ordered() -> Graph {
    var graph = self
    let producers = producers()
    var isWriter = [Bool](repeating: false, count: nodes.count)
    for write in writes where producers[write.value] >= 0 { isWriter[producers[write.value]] = true }
    if let guarded, producers[guarded] >= 0 { isWriter[producers[guarded]] = false }

    var dependents = [[Int]](repeating: [], count: nodes.count)
    var missing = [Int](repeating: 0, count: nodes.count)
    for (position, node) in nodes.enumerated() {
      for producer in Set(node.inputs.map { producers[$0] }) where producer >= 0 {
        dependents[producer].append(position)
        missing[position] += 1
      }
    }
    var ready = ReadyQueue()
    for position in nodes.indices where missing[position] == 0 {
      ready.add(position, late: isWriter[position])
    }
    var order: [Int] = []
    while let position = ready.next() {
      order.append(position)
      for dependent in dependents[position] {
        missing[dependent] -= 1
        if missing[dependent] == 0 { ready.add(dependent, late: isWriter[dependent]) }
      }
    }
    graph.nodes = order.map { nodes[$0] }
    return graph
  }
}

/// Nodes whose inputs are made: earlier recorded ones first, writers only when nothing else is left.
private struct ReadyQueue {
  private var early: [Int] = []
  private var late: [Int] = []

  mutating func add(_ position: Int, late isLate: Bool) {
    if isLate { Self.insert(position, into: &late) } else { Self.insert(position, into: &early) }
  }

  mutating func next() -> Int? { early.popLast() ?? late.popLast() }

  /// Sorted downwards, so that the smallest is last.
  private static func insert(_ position: Int, into queue: inout [Int]) {
    var low = 0
    var high = queue.count
    while low < high {
      let middle = (low + high) / 2
      if queue[middle] > position { low = middle + 1 } else { high = middle }
    }
    queue.insert(position, at: low)
  }
}
