import CKernels
import OneDNN

/// One step of a program, for profiles.
package struct PlannedKernel: Sendable {
  package var name: String
  package var implementation: String
  package var flops: Int
  package var bytes: Int
}

/// Calls with their addresses fixed.
struct BoundGraph {
  var calls: [ck_call] = []
  /// What kernels make of inputs that the program never writes.
  var preparations: [ck_call] = []
  var kernels: [PlannedKernel] = []
  var owners: [AnyObject] = []
  /// Calls before this one run before the guarded loss is looked at.
  var firstWriterCall = 0
}

extension Graph {
  /// A flat list of bound kernels: oneDNN primitives are made now, pointers fixed now.
  func bound(to plan: MemoryPlan, arena: Storage) -> BoundGraph {
    var binder = Binder(graph: self, plan: plan, arena: arena)
    binder.bind()
    return binder.result
  }
}

private struct Binder {
  let graph: Graph
  let plan: MemoryPlan
  let arena: Storage
  var result = BoundGraph()
  private let written: Set<ObjectIdentifier>

  init(graph: Graph, plan: MemoryPlan, arena: Storage) {
    self.graph = graph
    self.plan = plan
    self.arena = arena
    written = Set(graph.writes.map { ObjectIdentifier($0.variable) })
  }

  mutating func bind() {
    for (root, place) in plan.snapshots {
      add(
        copy(from: address(of: plan.places[root]!), to: address(of: place), graph.type(root)), "snapshot",
        graph.type(root))
    }
    var position = 0
    while position < graph.nodes.count {
      if position >= plan.firstWriter, result.firstWriterCall == 0 {
        result.firstWriterCall = result.calls.count
      }
      let run = independentPrograms(from: position)
      if run.count > 1 {
        addTogether(run)
        position += run.count
      } else {
        add(graph.nodes[position], at: position)
        position += 1
      }
    }
    if result.firstWriterCall == 0 { result.firstWriterCall = result.calls.count }
    for (value, variable) in plan.copies {
      let source = plan.snapshots[value] ?? plan.places[value]!
      let type = graph.type(value)
      add(copy(from: address(of: source), to: variable.pin().bytes, type), "write \(variable.name)", type)
    }
  }

  private func address(of place: MemoryPlan.Place) -> UnsafeMutableRawPointer {
    switch place {
    case .arena(let offset): arena.bytes + offset
    case .constant(let tensor): tensor.storage().bytes
    case .variable(let variable): variable.pin().bytes
    }
  }

  private func buffer(_ id: Graph.ValueID) -> Buffer {
    let place = plan.places[id]!
    var buffer = Buffer(address(of: place), graph.type(id), inParts: graph.inParts.contains(id))
    buffer.isLasting =
      switch place {
      case .arena: false
      case .constant: true
      case .variable(let variable): !written.contains(ObjectIdentifier(variable))
      }
    return buffer
  }

  private mutating func add(_ node: Graph.Node, at position: Int) {
    let rule = node.operation.rule
    if rule.isAlias { return }
    let outputs = node.outputs.map(buffer)
    if outputs.allSatisfy({ $0.count == 0 }) { return }
    let scratch = plan.scratch[position].map { arena.bytes + $0 }
    guard let kernel = Kernels.bind(rule, inputs: node.inputs.map(buffer), outputs: outputs, scratch: scratch)
    else {
      programmerError("the compiler has no kernel for \(rule.name) of \(node.inputs.map(graph.type))")
    }
    add(kernel, rule.name, cost(of: [node]))
  }

  private mutating func add(_ kernel: BoundKernel, _ name: String, _ type: TensorType) {
    add(kernel, name, (0, 2 * type.byteCount))
  }

  private mutating func add(_ kernel: BoundKernel, _ name: String, _ cost: (flops: Int, bytes: Int)) {
    result.calls.append(kernel.call)
    if let preparation = kernel.preparation { result.preparations.append(preparation) }
    if let owner = kernel.owner { result.owners.append(owner) }
    result.kernels.append(
      PlannedKernel(name: name, implementation: kernel.implementation, flops: cost.flops, bytes: cost.bytes))
  }

  private func cost(of nodes: [Graph.Node]) -> (flops: Int, bytes: Int) {
    var cost = (flops: 0, bytes: 0)
    for node in nodes {
      let inputs = node.inputs.map(graph.type)
      let outputs = node.outputs.map(graph.type)
      cost.flops += node.operation.rule.flops?(inputs, outputs) ?? outputs.first?.shape.elementCount ?? 0
      let all = (inputs + outputs).reduce(0) { $0 + $1.byteCount }
      cost.bytes += node.operation.rule.bytes?(inputs, outputs) ?? all
    }
    return cost
  }

  private func copy(
    from source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer, _ type: TensorType
  ) -> BoundKernel {
    StridedCopy(
      from: Buffer(source, type), strides: type.shape.strides, offset: 0, to: Buffer(target, type),
      shape: type.shape,
      targetStrides: type.shape.strides, targetOffset: 0
    ).kernel("copy")!
  }

  // MARK: Side by side

  /// Neighbouring block programs of which none needs another run in one parallel region: one start for all weights'
  /// updates.
  private func independentPrograms(from start: Int) -> [Graph.Node] {
    var run: [Graph.Node] = []
    var made = Set<Graph.ValueID>()
    var position = start
    while position < graph.nodes.count, run.count < 256 {
      let node = graph.nodes[position]
      guard case .fused = node.operation, node.inputs.allSatisfy({ !made.contains($0) }) else { break }
      // The guarded loss is looked at between two calls.
      if position == plan.firstWriter, position > start { break }
      if sharesMemory(node, with: run) { break }
      run.append(node)
      made.formUnion(node.outputs)
      position += 1
    }
    return run
  }

  /// Values whose lives don't overlap in the plan's order may share memory; side by side they can't.
  private func sharesMemory(_ node: Graph.Node, with run: [Graph.Node]) -> Bool {
    let written = node.outputs.map(range)
    let read = node.inputs.map(range)
    for other in run {
      let otherWritten = other.outputs.map(range)
      let otherRead = other.inputs.map(range)
      for range in written where (otherWritten + otherRead).contains(where: { $0.overlaps(range) }) {
        return true
      }
      for range in read where otherWritten.contains(where: { $0.overlaps(range) }) { return true }
    }
    return false
  }

  private func range(_ id: Graph.ValueID) -> Range<Int> {
    let start = Int(bitPattern: address(of: plan.places[id]!))
    return start..<start + graph.type(id).byteCount
  }

  private mutating func addTogether(_ nodes: [Graph.Node]) {
    var boxes: [ProgramBox] = []
    for node in nodes {
      guard case .fused(let fused) = node.operation,
        let box = BlockProgram.program(fused, node.inputs.map(buffer), node.outputs.map(buffer))
      else { programmerError("the compiler has no kernel for \(node.operation.rule.name)") }
      boxes.append(box)
    }
    let list = ProgramListBox(boxes)
    let kernel = BoundKernel(
      "block programs side by side", ck_program_list(programs: list.pointers, count: Int64(boxes.count)),
      keeping: list, run: ck_program_list_run)
    let name = "\(nodes.count) × " + nodes[0].operation.rule.name
    add(kernel, name, cost(of: nodes))
  }
}

private final class ProgramListBox {
  let pointers: UnsafeMutablePointer<UnsafeMutablePointer<ck_program>?>
  private let boxes: [ProgramBox]

  init(_ boxes: [ProgramBox]) {
    self.boxes = boxes
    pointers = .allocate(capacity: boxes.count)
    for (position, box) in boxes.enumerated() { pointers[position] = box.program }
  }

  deinit { pointers.deallocate() }
}
