import COneDNN

/// A convolution bound to addresses: `run(context)` executes it.
package final class ConvolutionExecution {
  private let convolution: Convolution
  private let sequence: ExecutionSequence
  /// Brings weights that last into the primitives' layout, in memory of its own: to run before the first call, and
  /// again when the weights have changed. nil where each call does what is needed.
  package let preparation: Execution?
  private let lasting: LastingMemory?

  /// Src, weights and dst are what the direction reads and writes at those places, gradients included. `bias` is needed
  /// when the description has one; `scratchpad` has `convolution.scratchpadSize` bytes (aligned to 64) and may be nil
  /// when that is 0. The memory stays the caller's. `weightsLast`: they change seldom, and the caller then runs
  /// ``preparation``.
  package init(
    _ convolution: Convolution, source: UnsafeMutableRawPointer, weights: UnsafeMutableRawPointer,
    bias: UnsafeMutableRawPointer? = nil, destination: UnsafeMutableRawPointer,
    scratchpad: UnsafeMutableRawPointer?, weightsLast: Bool = false, failure: Execution.Failure = .init()
  ) throws(OneDNNError) {
    let described = convolution.description
    if described.bias != (bias != nil) || (scratchpad == nil && convolution.scratchpadSize > 0) {
      throw OneDNNError(
        call: "ConvolutionExecution", status: dnnl_invalid_arguments,
        request: "\(described): bias \(bias == nil ? "missing" : "given"), "
          + "scratchpad \(scratchpad == nil ? "missing" : "given") (\(convolution.scratchpadSize) bytes needed)"
      )
    }
    let scratch = convolution.scratch
    let readsWeights = described.direction != .weights
    let lasting =
      weightsLast && readsWeights && convolution.reorder != nil
      ? LastingMemory(convolution.weights.size) : nil
    /// The weights as part `index` sees them.
    func primitiveWeights(_ index: Int) -> UnsafeMutableRawPointer {
      if let lasting { return lasting.bytes }
      guard let scratchpad, !scratch.weights.isEmpty else { return weights }
      return scratchpad + scratch.weights[min(index, scratch.weights.count - 1)]
    }
    let reorderScratch = scratchpad.map { $0 + scratch.reorder }
    var executions: [Execution] = []
    var preparation: Execution?
    if readsWeights, let reorder = convolution.reorder {
      let arranging = try reorder.execution(
        from: weights, to: primitiveWeights(0), scratchpad: reorderScratch, failure)
      if lasting == nil { executions.append(arranging) } else { preparation = arranging }
    }
    var stages: [Execution.Stage] = []
    for (index, part) in convolution.parts.enumerated() {
      stages.append(
        try convolution.stage(
          index, source: source + part.source, weights: primitiveWeights(index), bias: bias,
          destination: destination + part.destination,
          scratchpad: scratchpad.map { $0 + scratch.parts[index] }))
    }
    executions.append(Execution(stages, lanes: stages.count, failure: failure))
    if !readsWeights, let reorder = convolution.reorder {
      executions.append(
        try reorder.execution(from: primitiveWeights(0), to: weights, scratchpad: reorderScratch, failure))
      for index in convolution.parts.indices.dropFirst() {
        executions.append(
          try convolution.addingReorder!.execution(
            from: primitiveWeights(index), to: weights, scratchpad: reorderScratch, failure))
      }
    }
    self.convolution = convolution
    self.preparation = preparation
    self.lasting = lasting
    sequence = ExecutionSequence(executions, failure: failure)
  }

  /// The function to call with `context`.
  package var run: @convention(c) (UnsafeMutableRawPointer?) -> Void { sequence.run }
  /// Valid as long as this object.
  package var context: UnsafeMutableRawPointer { sequence.context }

  /// Runs now and throws if that fails.
  package func callAsFunction() throws(OneDNNError) { try sequence("\(convolution.description)") }
}

extension Convolution {
  /// One part with its arguments: the addresses are those of the part's own images or rows, the weights as the primitive sees
  /// them.
  func stage(
    _ index: Int, source: UnsafeMutableRawPointer, weights: UnsafeMutableRawPointer,
    bias: UnsafeMutableRawPointer?, destination: UnsafeMutableRawPointer, scratchpad: UnsafeMutableRawPointer?
  ) throws(OneDNNError) -> Execution.Stage {
    let primitive = primitives[index]
    let numbers = description.direction.arguments
    var arguments = [
      (numbers.source, try Memory(sources[index], at: source)),
      (numbers.weights, try Memory(self.weights, at: weights)),
      (numbers.destination, try Memory(destinations[index], at: destination)),
      (DNNL_ARG_SCRATCHPAD, try Memory(primitive.scratchpad, at: scratchpad)),
    ]
    if let descriptor = self.bias { arguments.append((DNNL_ARG_BIAS, try Memory(descriptor, at: bias))) }
    return Execution.Stage(primitive: primitive, arguments: arguments)
  }
}

extension Reorder {
  /// The reorder alone, as a part of a sequence.
  func execution(
    from source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer,
    scratchpad: UnsafeMutableRawPointer?, _ failure: Execution.Failure
  ) throws(OneDNNError) -> Execution {
    let stage = try stage(
      from: Memory(self.source, at: source), to: Memory(destination, at: target), scratchpad: scratchpad)
    return Execution([stage], failure: failure)
  }
}

extension Convolution.Direction {
  /// oneDNN's numbers for what is passed at each place.
  fileprivate var arguments: (source: Int32, weights: Int32, destination: Int32) {
    switch self {
    case .forward: (DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST)
    case .data: (DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST)
    case .weights: (DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST)
    }
  }
}
