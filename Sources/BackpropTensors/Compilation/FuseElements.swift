import CKernels

extension Graph {
  /// Chains of element-wise operations, with the reductions at their end, become one pass over memory each.
  package func withFusedElements() -> Graph {
    var groups = ElementGroups(self)
    groups.form()
    return groups.rewritten()
  }

  /// Whether a block program can compute `node`.
  fileprivate func isElement(_ node: Node) -> Bool {
    guard node.outputs.count == 1, let element = node.operation.rule.element else { return false }
    let output = type(node.outputs[0])
    guard output.shape.elementCount > 0, output.shape.rank <= Int(CK_MAX_DIMS) else { return false }
    if case .conversion = element {
      let dtype = type(node.inputs[0]).dtype
      // Rounded when it is stored.
      if output.dtype == .bfloat16 { return dtype == .float32 }
      guard Self.isBlockType(output.dtype) else { return false }
      // Truths of whole numbers: a conversion on loading would make floats of them first, which is exact for none
      // but small ones.
      return dtype != .float64 && (Self.isBlockType(dtype) || output.dtype == .float32)
    }
    return Self.isBlockType(output.dtype) && node.inputs.allSatisfy { Self.isBlockType(type($0).dtype) }
  }

  fileprivate static func isBlockType(_ dtype: DType) -> Bool { dtype == .float32 || dtype == .bool }

  fileprivate func reduction(_ node: Node) -> ReductionOperation? {
    guard case .reduction(let reduction) = node.operation else { return nil }
    let input = type(node.inputs[0])
    guard input.dtype == .float32, input.shape.elementCount > 0, input.shape.rank <= Int(CK_MAX_DIMS) else {
      return nil
    }
    return reduction
  }
}

/// Which nodes run together. Groups form in the order of the nodes; two are joined only if no path leads from one
/// through a node outside to the other.
private struct ElementGroups {
  private struct Group {
    var members: [Int]
    var shape: Shape
    /// Axes that the reductions of this group reduce; nil when it has none.
    var reducedAxes: [Int]?
    /// Nodes outside that this group depends on.
    var ancestors: Bits
    var memberBits: Bits
    var isFusable: Bool
  }

  /// Bounds well inside the block machine's own: inputs stay few enough for their blocks to share the first-level cache.
  private static let memberLimit = 48
  private static let inputLimit = 16

  private let graph: Graph
  private let producers: [Int]
  private let consumers: [[Int]]
  private var groups: [Group] = []
  /// The group of each node.
  private var home: [Int] = []

  init(_ graph: Graph) {
    self.graph = graph
    producers = graph.producers()
    consumers = graph.consumers()
  }

  mutating func form() {
    for (position, node) in graph.nodes.enumerated() {
      start(position, node)
      guard groups[home[position]].isFusable else { continue }
      for input in node.inputs where producers[input] >= 0 {
        let producer = producers[input]
        join(home[producer], home[position], through: input)
      }
    }
  }

  private mutating func start(_ position: Int, _ node: Graph.Node) {
    var ancestors = Bits(count: graph.nodes.count)
    for input in node.inputs where producers[input] >= 0 {
      let group = groups[home[producers[input]]]
      ancestors.formUnion(group.ancestors)
      ancestors.formUnion(group.memberBits)
    }
    var own = Bits(count: graph.nodes.count)
    own.insert(position)
    let reduction = graph.reduction(node)
    let shape = reduction == nil ? graph.type(node.outputs[0]).shape : graph.type(node.inputs[0]).shape
    groups.append(
      Group(
        members: [position], shape: shape, reducedAxes: reduction?.axes, ancestors: ancestors,
        memberBits: own,
        isFusable: reduction != nil || graph.isElement(node)))
    home.append(groups.count - 1)
  }

  private mutating func join(_ first: Int, _ second: Int, through value: Graph.ValueID) {
    let (a, b) = (groups[first], groups[second])
    guard first != second, a.isFusable, a.shape == b.shape, graph.type(value).shape == a.shape,
      a.members.count + b.members.count <= Self.memberLimit,
      a.reducedAxes == nil || b.reducedAxes == nil || a.reducedAxes == b.reducedAxes
    else { return }
    guard !readsUnfinished(of: a, b) else { return }
    let members = a.memberBits.union(b.memberBits)
    guard isJoinable(a, b, members), inputs(of: a.members + b.members).count <= Self.inputLimit else {
      return
    }
    let ancestors = a.ancestors.union(b.ancestors).subtracting(members)
    groups[first].members = (a.members + b.members).sorted()
    groups[first].memberBits = members
    groups[first].ancestors = ancestors
    groups[first].reducedAxes = a.reducedAxes ?? b.reducedAxes
    for member in b.members { home[member] = first }
    groups[second].isFusable = false
    groups[second].members = []
    addAncestors(ancestors.union(members), toThoseAfter: first)
  }

  /// Whoever depends on a part of a group depends on all that the group does.
  private mutating func addAncestors(_ added: Bits, toThoseAfter first: Int) {
    var seen: Set<Int> = [first]
    var waiting = [first]
    while let group = waiting.popLast() {
      for member in groups[group].members {
        for consumer in graph.nodes[member].outputs.flatMap({ consumers[$0] }) where consumer < home.count {
          guard seen.insert(home[consumer]).inserted else { continue }
          groups[home[consumer]].ancestors.formUnion(added)
          waiting.append(home[consumer])
        }
      }
    }
  }

  /// A reduction's result is complete only after the whole pass, and bfloat16 is rounded only in memory: nothing in the
  /// same group can read them.
  private func readsUnfinished(of a: Group, _ b: Group) -> Bool {
    let values = a.members.flatMap { member -> [Graph.ValueID] in
      let node = graph.nodes[member]
      let isUnfinished = graph.reduction(node) != nil || graph.type(node.outputs[0]).dtype == .bfloat16
      return isUnfinished ? node.outputs : []
    }
    let unfinished = Set(values)
    return b.members.contains { graph.nodes[$0].inputs.contains(where: unfinished.contains) }
  }

  /// No node outside may depend on the group and be depended on by it: a path that leaves the group and comes back to it
  /// comes back through one of those that it reads from.
  private func isJoinable(_ a: Group, _ b: Group, _ members: Bits) -> Bool {
    for member in a.members + b.members {
      for input in graph.nodes[member].inputs where producers[input] >= 0 {
        if members.contains(producers[input]) { continue }
        if groups[home[producers[input]]].ancestors.intersects(members) { return false }
      }
    }
    return true
  }

  private func inputs(of members: [Int]) -> [Graph.ValueID] {
    let made = Set(members.flatMap { graph.nodes[$0].outputs })
    var inputs: [Graph.ValueID] = []
    for member in members {
      for input in graph.nodes[member].inputs where !made.contains(input) && !inputs.contains(input) {
        if graph.scalarConstant(input) == nil { inputs.append(input) }
      }
    }
    return inputs
  }

  // MARK: Rewriting

  func rewritten() -> Graph {
    var result = graph
    result.nodes = []
    let results = Set(graph.results)
    for index in orderedGroups() {
      let group = groups[index]
      let fused = group.isFusable && isWorthwhile(group) ? fused(group, consumers, results) : nil
      if let fused {
        result.nodes.append(fused)
      } else {
        result.nodes += group.members.map { graph.nodes[$0] }
      }
    }
    return result
  }

  /// One plain operation is its own best kernel; a lone reduction or one with constant operands gains from the block
  /// machine's immediates.
  private func isWorthwhile(_ group: Group) -> Bool {
    if group.members.count > 1 { return true }
    let node = graph.nodes[group.members[0]]
    return graph.reduction(node) != nil || node.inputs.contains { graph.scalarConstant($0) != nil }
  }

  /// Groups in an order in which each comes after all it depends on, otherwise as recorded.
  private func orderedGroups() -> [Int] {
    let alive = groups.indices.filter { !groups[$0].members.isEmpty }
    var done = Bits(count: graph.nodes.count)
    var waiting = alive.sorted { groups[$0].members[0] < groups[$1].members[0] }
    var order: [Int] = []
    while !waiting.isEmpty {
      var later: [Int] = []
      let before = order.count
      for index in waiting {
        if groups[index].ancestors.subtracting(done).isEmpty {
          order.append(index)
          done.formUnion(groups[index].memberBits)
        } else {
          later.append(index)
        }
      }
      require(order.count > before, "fusion made a cycle of \(later.count) groups")
      waiting = later
    }
    return order
  }

  private func fused(_ group: Group, _ consumers: [[Int]], _ results: Set<Graph.ValueID>) -> Graph.Node? {
    let inputs = inputs(of: group.members)
    var register: [Graph.ValueID: Int] = [:]
    for (position, input) in inputs.enumerated() { register[input] = position }
    var steps: [FusedOperation.Step] = []
    for member in group.members where graph.reduction(graph.nodes[member]) == nil {
      let node = graph.nodes[member]
      let operands = node.inputs.map { input -> FusedOperation.Operand in
        if let constant = graph.scalarConstant(input) { return .constant(constant) }
        return .register(register[input]!)
      }
      steps.append(.init(operation: node.operation, operands: operands))
      register[node.outputs[0]] = inputs.count + steps.count - 1
    }
    var outputs: [FusedOperation.Output] = []
    var values: [Graph.ValueID] = []
    for member in group.members {
      let node = graph.nodes[member]
      let value = node.outputs[0]
      let isRead = consumers[value].contains { home[$0] != home[member] }
      guard isRead || results.contains(value) else { continue }
      let reduction = graph.reduction(node)
      guard let source = register[reduction == nil ? value : node.inputs[0]] else { return nil }
      outputs.append(.init(register: source, type: graph.type(value), reduction: reduction))
      values.append(value)
    }
    let fused = FusedOperation(shape: group.shape, inputCount: inputs.count, steps: steps, outputs: outputs)
    var code = BlockCode(fused)
    guard code.lower() else { return nil }
    return Graph.Node(operation: .fused(fused), inputs: inputs, outputs: values)
  }
}

/// A set of small numbers.
private struct Bits {
  private var words: [UInt64]

  init(count: Int) { words = [UInt64](repeating: 0, count: (count + 63) / 64) }

  mutating func insert(_ element: Int) { words[element >> 6] |= 1 << UInt64(element & 63) }

  func contains(_ element: Int) -> Bool { words[element >> 6] & (1 << UInt64(element & 63)) != 0 }

  mutating func formUnion(_ other: Bits) {
    for index in words.indices { words[index] |= other.words[index] }
  }

  func union(_ other: Bits) -> Bits {
    var result = self
    result.formUnion(other)
    return result
  }

  func subtracting(_ other: Bits) -> Bits {
    var result = self
    for index in words.indices { result.words[index] &= ~other.words[index] }
    return result
  }

  func intersects(_ other: Bits) -> Bool {
    for index in words.indices where words[index] & other.words[index] != 0 { return true }
    return false
  }

  var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
}
