/// Where each value of an ordered graph lies.
package struct MemoryPlan: Sendable {
  package enum Place: Sendable {
    /// In the arena, at this byte.
    case arena(Int)
    case constant(Tensor)
    /// In a variable's own memory.
    case variable(Variable)
  }

  /// One for each value that a kernel touches; values that are another's memory have the other's place.
  package var places: [Graph.ValueID: Place] = [:]
  /// Offset of each node's scratch memory.
  package var scratch: [Int?] = []
  package var arenaBytes = 0
  /// Bytes that values would take without sharing.
  package var unsharedBytes = 0
  /// Writes that a kernel didn't do in place: copied at the end.
  package var copies: [(value: Graph.ValueID, variable: Variable)] = []
  /// Results that are a variable's old value: copied before anything is written.
  package var snapshots: [Graph.ValueID: Place] = [:]
  /// Nodes before this position run before the guarded loss is looked at, the others after it.
  package var firstWriter = 0
}

private let alignment = 64

extension Graph {
  /// Liveness → one arena. State is updated in place where nothing reads the old value later.
  package func planned() -> MemoryPlan {
    var planner = MemoryPlanner(self)
    planner.run()
    return planner.plan
  }
}

private struct MemoryPlanner {
  private struct Interval {
    var root: Graph.ValueID
    var first: Int
    var last: Int
    var bytes: Int
  }

  private let graph: Graph
  private let producers: [Int]
  private(set) var plan = MemoryPlan()
  /// The value whose memory each value is.
  private var roots: [Graph.ValueID]
  private var intervals: [Graph.ValueID: Interval] = [:]

  init(_ graph: Graph) {
    self.graph = graph
    producers = graph.producers()
    roots = Array(graph.values.indices)
    for node in graph.nodes where node.operation.rule.isAlias {
      roots[node.outputs[0]] = roots[node.inputs[0]]
    }
  }

  mutating func run() {
    placeFixed()
    findFirstWriter()
    updateInPlace()
    snapshotOldValues()
    measureLives()
    reuseDyingInputs()
    allocate()
    spreadToAliases()
  }

  /// Constants and variables lie where they are.
  private mutating func placeFixed() {
    for (id, value) in graph.values.enumerated() {
      switch value.origin {
      case .constant(let tensor): plan.places[id] = .constant(tensor)
      case .state(let variable): plan.places[id] = .variable(variable)
      case .input, .node: break
      }
    }
  }

  /// The first node that may write a variable: after the guarded loss, in the tail that `ordered()` made.
  private mutating func findFirstWriter() {
    let guardPosition = graph.guarded.map { producers[roots[$0]] } ?? -1
    let writers = graph.writes.map { producers[roots[$0.value]] }.filter { $0 > guardPosition }
    plan.firstWriter = writers.min() ?? graph.nodes.count
    if graph.guarded == nil { plan.firstWriter = graph.nodes.count }
  }

  /// The last node that reads each value, through any alias; -1 when none does.
  private func lastReads() -> [Graph.ValueID: Int] {
    var last: [Graph.ValueID: Int] = [:]
    for (position, node) in graph.nodes.enumerated() where !node.operation.rule.isAlias {
      for input in node.inputs { last[roots[input]] = position }
    }
    return last
  }

  private mutating func updateInPlace() {
    let lastRead = lastReads()
    var stateValue: [ObjectIdentifier: Graph.ValueID] = [:]
    for (id, value) in graph.values.enumerated() {
      if case .state(let variable) = value.origin { stateValue[ObjectIdentifier(variable)] = id }
    }
    var taken = Set<Graph.ValueID>()
    let guardPosition = graph.guarded.map { producers[roots[$0]] } ?? -1
    for write in graph.writes {
      let root = roots[write.value]
      let position = producers[root]
      let old = stateValue[ObjectIdentifier(write.variable)]
      if let old, root == old { continue }  // written with what it held
      let isOutput = graph.outputs.contains { roots[$0] == root }
      let oldIsOutput =
        old.map { old in graph.outputs.contains { roots[$0] == old } || otherWriteReads(old, write.variable) }
        ?? false
      guard position > guardPosition, position >= 0, !taken.contains(root), !isOutput, !oldIsOutput,
        graph.guarded == nil || position >= plan.firstWriter,
        old.map({ canOverwrite($0, at: position, by: root, lastRead) }) ?? true
      else {
        plan.copies.append((root, write.variable))
        continue
      }
      taken.insert(root)
      plan.places[root] = .variable(write.variable)
    }
  }

  private func otherWriteReads(_ old: Graph.ValueID, _ variable: Variable) -> Bool {
    graph.writes.contains { $0.variable !== variable && roots[$0.value] == old }
  }

  /// Nothing reads the old value after `position`, and the node there reads it element by element, if at all.
  private func canOverwrite(
    _ old: Graph.ValueID, at position: Int, by root: Graph.ValueID, _ lastRead: [Graph.ValueID: Int]
  ) -> Bool {
    let last = lastRead[old] ?? -1
    if last < position { return true }
    return last == position && worksInPlace(graph.nodes[position], input: old, output: root)
  }

  private func worksInPlace(_ node: Graph.Node, input: Graph.ValueID, output: Graph.ValueID) -> Bool {
    guard let place = node.outputs.firstIndex(of: output), graph.type(input).dtype == graph.type(output).dtype
    else {
      return false
    }
    let rule = node.operation.rule
    let types = node.inputs.map(graph.type)
    return node.inputs.indices.allSatisfy {
      roots[node.inputs[$0]] != input || rule.mayOverwrite($0, place, types)
    }
  }

  private mutating func snapshotOldValues() {
    let written = Set(graph.writes.map { ObjectIdentifier($0.variable) })
    let wanted = graph.outputs + plan.copies.map(\.value)
    for value in wanted {
      let root = roots[value]
      if case .state(let variable) = graph.values[root].origin, written.contains(ObjectIdentifier(variable)) {
        plan.snapshots[root] = .arena(0)
      }
    }
  }

  // MARK: Lives

  private mutating func measureLives() {
    let end = graph.nodes.count
    func grow(_ id: Graph.ValueID, to position: Int, in intervals: inout [Graph.ValueID: Interval]) {
      intervals[roots[id]]?.last = position
    }
    for id in graph.inputs where roots[id] == id {
      intervals[id] = Interval(root: id, first: -1, last: end, bytes: graph.type(id).byteCount)
    }
    for (position, node) in graph.nodes.enumerated() {
      for input in node.inputs { grow(input, to: position, in: &intervals) }
      for output in node.outputs where roots[output] == output && plan.places[output] == nil {
        let bytes = graph.type(output).byteCount
        intervals[output] = Interval(root: output, first: position, last: position, bytes: bytes)
      }
    }
    for result in graph.outputs + plan.copies.map(\.value) + (graph.guarded.map { [$0] } ?? []) {
      grow(result, to: end, in: &intervals)
    }
    for id in graph.inputs { intervals[id]?.last = end }
    plan.unsharedBytes = intervals.values.reduce(0) { $0 + $1.bytes }
  }

  /// A block program's output takes over the memory of an input that dies there.
  private mutating func reuseDyingInputs() {
    for (position, node) in graph.nodes.enumerated() {
      var used = Set<Graph.ValueID>()
      for output in node.outputs {
        guard roots[output] == output, intervals[output] != nil else { continue }
        let candidate = node.inputs.first { input in
          let root = roots[input]
          guard let life = intervals[root], life.last == position, life.first >= 0, !used.contains(root)
          else { return false }
          return life.bytes == graph.type(output).byteCount && worksInPlace(node, input: root, output: output)
        }
        guard let candidate else { continue }
        let root = roots[candidate]
        used.insert(root)
        intervals[root]!.last = intervals[output]!.last
        intervals[output] = nil
        for id in roots.indices where roots[id] == output { roots[id] = root }
      }
    }
  }

  // MARK: Addresses

  /// Largest first, each at the lowest address that is free during its life.
  private mutating func allocate() {
    var requests = intervals.values.map { (life: $0, node: -1) }
    plan.scratch = [Int?](repeating: nil, count: graph.nodes.count)
    for (position, node) in graph.nodes.enumerated() {
      let rule = node.operation.rule
      let bytes = rule.kernel == nil ? 0 : rule.scratch(node.inputs.map(graph.type))
      if bytes > 0 {
        let life = Interval(root: -1, first: position, last: position, bytes: bytes)
        requests.append((life, position))
      }
    }
    for root in plan.snapshots.keys {
      let life = Interval(root: root, first: -1, last: graph.nodes.count, bytes: graph.type(root).byteCount)
      requests.append((life, -2))
    }
    requests.sort {
      ($0.life.bytes, $1.life.first, $1.life.root) > ($1.life.bytes, $0.life.first, $0.life.root)
    }
    var placed: [(life: Interval, offset: Int)] = []
    for request in requests {
      let bytes = (max(request.life.bytes, 1) + alignment - 1) / alignment * alignment
      let offset = lowestFree(bytes, request.life, placed)
      placed.append((request.life, offset))
      placed.sort { $0.offset < $1.offset }
      plan.arenaBytes = max(plan.arenaBytes, offset + bytes)
      switch request.node {
      case -1: plan.places[request.life.root] = .arena(offset)
      case -2: plan.snapshots[request.life.root] = .arena(offset)
      default: plan.scratch[request.node] = offset
      }
    }
  }

  private func lowestFree(_ bytes: Int, _ life: Interval, _ placed: [(life: Interval, offset: Int)]) -> Int {
    var offset = 0
    for other in placed where other.life.first <= life.last && life.first <= other.life.last {
      if offset + bytes <= other.offset { break }
      let size = (max(other.life.bytes, 1) + alignment - 1) / alignment * alignment
      offset = max(offset, other.offset + size)
    }
    return offset
  }

  private mutating func spreadToAliases() {
    for id in roots.indices where roots[id] != id { plan.places[id] = plan.places[roots[id]] }
  }
}
