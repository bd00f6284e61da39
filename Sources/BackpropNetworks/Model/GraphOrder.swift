import BackpropTensors

/// The calls and layers between inputs and outputs, in the order in which Keras lists them: files number weights by it.
///
/// Source: `map_graph` of keras/src/ops/function.py. A layer's depth is its longest way to an output; layers stand deepest
/// first, those of one depth as a walk from the outputs to the inputs meets them.
struct GraphOrder {
  /// Each after those it needs.
  private(set) var calls: [LayerCall] = []
  private(set) var layers: [Layer] = []

  private var met: [ObjectIdentifier: Int] = [:]

  init(inputs: [SymbolicTensor], outputs: [SymbolicTensor]) {
    var finished = Set<ObjectIdentifier>()
    for output in outputs { walk(output.call, &finished) }
    orderLayers(inputs)
  }

  /// Depth first without recursion: graphs may be deeper than the stack.
  private mutating func walk(_ root: LayerCall, _ finished: inout Set<ObjectIdentifier>) {
    var stack: [(call: LayerCall, next: Int)] = []
    func isNew(_ call: LayerCall) -> Bool { !finished.contains(ObjectIdentifier(call)) }
    func enter(_ call: LayerCall, _ met: inout [ObjectIdentifier: Int]) {
      let layer = ObjectIdentifier(call.layer)
      if met[layer] == nil { met[layer] = met.count }
      stack.append((call, 0))
    }
    if isNew(root) { enter(root, &met) }
    while let (call, next) = stack.last {
      if next < call.inputs.count {
        stack[stack.count - 1].next += 1
        let parent = call.inputs[next].call
        if isNew(parent) { enter(parent, &met) }
      } else {
        stack.removeLast()
        if finished.insert(ObjectIdentifier(call)).inserted { calls.append(call) }
      }
    }
  }

  private mutating func orderLayers(_ inputs: [SymbolicTensor]) {
    var callDepth: [ObjectIdentifier: Int] = [:]
    var layerDepth: [ObjectIdentifier: Int] = [:]
    var found: [Layer] = []
    for call in calls.reversed() {
      let layer = ObjectIdentifier(call.layer)
      if layerDepth[layer] == nil { found.append(call.layer) }
      let depth = max(callDepth[ObjectIdentifier(call)] ?? 0, layerDepth[layer] ?? 0)
      layerDepth[layer] = depth
      callDepth[ObjectIdentifier(call)] = depth
      for input in call.inputs {
        let parent = ObjectIdentifier(input.call)
        callDepth[parent] = max(depth + 1, callDepth[parent] ?? 0)
      }
    }
    // Inputs that no output needs.
    for input in inputs where layerDepth[ObjectIdentifier(input.call.layer)] == nil {
      layerDepth[ObjectIdentifier(input.call.layer)] = 0
      met[ObjectIdentifier(input.call.layer)] = -1
      found.append(input.call.layer)
      calls.insert(input.call, at: 0)
    }
    layers = found.enumerated().sorted { a, b in
      let (x, y) = (ObjectIdentifier(a.element), ObjectIdentifier(b.element))
      if layerDepth[x] != layerDepth[y] { return layerDepth[x]! > layerDepth[y]! }
      return (met[x]!, a.offset) < (met[y]!, b.offset)
    }.map(\.element)
  }
}
