import COneDNN

/// A convolution bound to addresses: `run(context)` executes it.
package final class ConvolutionExecution {
  private let convolution: Convolution
  private let executions: [Execution]
  private let sequence: UnsafeMutablePointer<odn_sequence>

  /// Src, weights and dst are what the direction reads and writes at those places, gradients included. `bias` is needed
  /// when the description has one; `scratchpad` has `convolution.scratchpadSize` bytes (aligned to 64) and may be nil
  /// when that is 0. The memory stays the caller's.
  package init(
    _ convolution: Convolution, source: UnsafeMutableRawPointer, weights: UnsafeMutableRawPointer,
    bias: UnsafeMutableRawPointer? = nil, destination: UnsafeMutableRawPointer,
    scratchpad: UnsafeMutableRawPointer?, failure: Execution.Failure = .init()
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
    /// The weights as part `index` sees them.
    func primitiveWeights(_ index: Int) -> UnsafeMutableRawPointer {
      guard let scratchpad, !scratch.weights.isEmpty else { return weights }
      return scratchpad + scratch.weights[min(index, scratch.weights.count - 1)]
    }
    let reorderScratch = scratchpad.map { $0 + scratch.reorder }
    var executions: [Execution] = []
    func add(_ reorder: Reorder, from source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer)
      throws(OneDNNError)
    {
      let stage = try reorder.stage(
        from: Memory(reorder.source, at: source), to: Memory(reorder.destination, at: target),
        scratchpad: reorderScratch)
      executions.append(Execution([stage], failure: failure))
    }

    if described.direction != .weights, let reorder = convolution.reorder {
      try add(reorder, from: weights, to: primitiveWeights(0))
    }
    let biasMemory = try convolution.bias.map { (descriptor) throws(OneDNNError) in
      try Memory(descriptor, at: bias)
    }
    let inputStride = described.input.reduce(described.inputChannels * 4, *)
    let outputStride = described.output.reduce(described.outputChannels * 4, *)
    var stages: [Execution.Stage] = []
    for (index, part) in convolution.parts.enumerated() {
      let primitive = convolution.primitives[index]
      let numbers = described.direction.arguments
      var arguments = [
        (
          numbers.source,
          try Memory(convolution.sources[index], at: source + part.lowerBound * inputStride)
        ),
        (numbers.weights, try Memory(convolution.weights, at: primitiveWeights(index))),
        (
          numbers.destination,
          try Memory(convolution.destinations[index], at: destination + part.lowerBound * outputStride)
        ),
        (
          DNNL_ARG_SCRATCHPAD,
          try Memory(primitive.scratchpad, at: scratchpad.map { $0 + scratch.parts[index] })
        ),
      ]
      if let biasMemory { arguments.append((DNNL_ARG_BIAS, biasMemory)) }
      stages.append(.init(primitive: primitive, arguments: arguments))
    }
    executions.append(Execution(stages, lanes: stages.count, failure: failure))
    if described.direction == .weights, let reorder = convolution.reorder {
      try add(reorder, from: primitiveWeights(0), to: weights)
      if let adding = convolution.addingReorder {
        for index in convolution.parts.indices.dropFirst() {
          try add(adding, from: primitiveWeights(index), to: weights)
        }
      }
    }

    self.convolution = convolution
    self.executions = executions
    sequence = .allocate(capacity: 1)
    let contexts = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: executions.count)
    for (index, execution) in executions.enumerated() {
      (contexts + index).initialize(to: execution.context)
    }
    sequence.initialize(to: odn_sequence(count: Int32(executions.count), executions: contexts))
    self.failure = failure
  }

  private let failure: Execution.Failure

  deinit {
    sequence.pointee.executions.deallocate()
    sequence.deallocate()
  }

  /// The function to call with `context`.
  package var run: @convention(c) (UnsafeMutableRawPointer?) -> Void { odn_sequence_run }
  /// Valid as long as this object.
  package var context: UnsafeMutableRawPointer { UnsafeMutableRawPointer(sequence) }

  /// Runs now and throws if that fails.
  package func callAsFunction() throws(OneDNNError) {
    odn_sequence_run(context)
    try failure.check { [convolution] _ in "\(convolution.description)" }
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
