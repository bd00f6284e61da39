import COneDNN

/// A matmul bound to addresses: `run(context)` executes it.
package final class MatmulExecution {
  private let matmul: Matmul
  private let memories: [(operand: Matmul.Operand, memory: Memory)]
  private let execution: Execution

  /// `bias` is needed when the description has one; `scratchpad` has `matmul.scratchpadSize` bytes (aligned to 64) and
  /// may be nil when that is 0; `postOperands` are the operands of binary post-operations, in their order. The memory
  /// stays the caller's. Executions that share a scratchpad must not run at the same time.
  package init(
    _ matmul: Matmul, source: UnsafeMutableRawPointer, weights: UnsafeMutableRawPointer,
    bias: UnsafeMutableRawPointer? = nil, destination: UnsafeMutableRawPointer,
    scratchpad: UnsafeMutableRawPointer? = nil, postOperands: [UnsafeMutableRawPointer] = [],
    failure: Execution.Failure = .init()
  ) throws(OneDNNError) {
    let described = matmul.description
    let operandCount = described.postOperations.count { if case .binary = $0 { true } else { false } }
    if described.bias != (bias != nil) || postOperands.count != operandCount
      || (scratchpad == nil && matmul.scratchpadSize > 0)
    {
      throw OneDNNError(
        call: "MatmulExecution", status: dnnl_invalid_arguments,
        request: "\(described): bias \(bias == nil ? "missing" : "given"), "
          + "\(postOperands.count) of \(operandCount) post-operands, "
          + "scratchpad \(scratchpad == nil ? "missing" : "given") (\(matmul.scratchpadSize) bytes needed)")
    }
    func address(_ operand: Matmul.Operand) -> UnsafeMutableRawPointer? {
      let base: UnsafeMutableRawPointer? =
        switch operand.role {
        case .source: source
        case .weights: weights
        case .bias: bias
        case .destination: destination
        case .postOperand(let index): postOperands[index]
        case .scratch: scratchpad
        }
      return base.map { $0 + operand.offset }
    }
    var memories: [(operand: Matmul.Operand, memory: Memory)] = []
    var stages: [Execution.Stage] = []
    for step in matmul.steps {
      var arguments: [(number: Int32, memory: Memory)] = []
      for operand in step.operands {
        let memory = try Memory(operand.descriptor, at: address(operand))
        memories.append((operand, memory))
        arguments.append((operand.number, memory))
      }
      stages.append(.init(primitive: step.primitive, arguments: arguments))
    }
    self.matmul = matmul
    self.memories = memories
    execution = Execution(stages, lanes: matmul.parts, failure: failure)
  }

  /// The function to call with `context`.
  package var run: @convention(c) (UnsafeMutableRawPointer?) -> Void { execution.run }
  /// Valid as long as this object.
  package var context: UnsafeMutableRawPointer { execution.context }

  /// Points the same operation at other memory; what isn't given stays.
  package func setPointers(
    source: UnsafeMutableRawPointer? = nil, weights: UnsafeMutableRawPointer? = nil,
    bias: UnsafeMutableRawPointer? = nil, destination: UnsafeMutableRawPointer? = nil,
    scratchpad: UnsafeMutableRawPointer? = nil
  ) throws(OneDNNError) {
    for (operand, memory) in memories {
      let address: UnsafeMutableRawPointer? =
        switch operand.role {
        case .source: source
        case .weights: weights
        case .bias: bias
        case .destination: destination
        case .postOperand: nil
        case .scratch: scratchpad
        }
      if let address { try memory.setData(address + operand.offset) }
    }
  }

  /// Runs now and throws if that fails.
  package func callAsFunction() throws(OneDNNError) { try execution("\(matmul.description)") }
}
