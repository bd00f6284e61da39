/// What ``Tensor/recurrence(_:recurrentKernel:recurrentBias:initialStates:mask:goBackwards:file:line:)`` gives.
public struct Recurrence: Sendable {
  /// [batch, time, units], in the order in which the steps were taken. Where the mask is false, the output before; 0 where
  /// there was none.
  public var outputs: Tensor
  /// The last of the outputs, [batch, units]. Costs nothing beside ``outputs``; where `outputs` isn't read, a compiled
  /// program doesn't make it.
  public var last: Tensor
  /// After the last step that counts, [batch, units] each: h, and the LSTM's c.
  public var states: [Tensor]
}

extension Tensor {
  /// Takes a recurrent cell along the time axis of projected inputs: what LSTM, GRU and SimpleRNN layers do at their
  /// default activations, as one operation with kernels of its own.
  ///
  /// ```swift
  /// let projected = x.matmul(kernel) + bias       // [batch, time, 4 · units]
  /// let result = projected.recurrence(.lstm, recurrentKernel: recurrentKernel)
  /// result.last                                   // [batch, units]
  /// ```
  ///
  /// `self` has shape [batch, time, gates · units]: the product of the inputs and the layer's kernel, with its bias, gates
  /// in Keras' order (``RecurrentCell``).
  ///
  /// - Parameters:
  ///   - recurrentKernel: [units, gates · units].
  ///   - recurrentBias: [gates · units], for `.gru(resetAfter: true)` alone; the others' bias belongs to `self`.
  ///   - initialStates: [batch, units] each: h, and the LSTM's c; nil: zeros.
  ///   - mask: [batch, time]; where it is false (0), the states stay as they are and the output is the one before.
  ///   - goBackwards: from the last step to the first; the outputs are in that order too, as in Keras.
  public func recurrence(
    _ cell: RecurrentCell, recurrentKernel: Tensor, recurrentBias: Tensor? = nil,
    initialStates: [Tensor]? = nil, mask: Tensor? = nil, goBackwards: Bool = false,
    file: StaticString = #fileID, line: UInt = #line
  ) -> Recurrence {
    require(
      rank == 3 && recurrentKernel.rank == 2,
      "\(cell.name): expected projected inputs of shape [batch, time, gates · units] and a recurrent kernel of shape "
        + "[units, gates · units], got \(shape) and \(recurrentKernel.shape)", file: file, line: line)
    require(
      recurrentBias == nil || cell.takesBias,
      "\(cell.name): only a GRU that resets after the recurrent product has a recurrent bias; add it to the projected "
        + "inputs", file: file, line: line)
    require(
      initialStates.map { $0.count == cell.stateCount } ?? true,
      "\(cell.name): expected \(cell.stateCount) initial states, got \(initialStates?.count ?? 0)",
      file: file,
      line: line)
    var options = RecurrentOptions(cell)
    options.goesBackwards = goBackwards
    options.hasBias = recurrentBias != nil
    options.isMasked = mask != nil
    let zero = Tensor.zeros([shape[0], recurrentKernel.shape[0]], dtype: dtype)
    let states = initialStates ?? Array(repeating: zero, count: cell.stateCount)
    let inputs =
      [self] + states + [recurrentKernel] + [recurrentBias, mask?.cast(to: .bool)].compactMap { $0 }
    let results = apply(.recurrent(.forward(options)), inputs, file: file, line: line)
    var result = Recurrence(
      outputs: results[0], last: results[1], states: Array(results[1...cell.stateCount]))
    // Before the first step that counts there is no output, but a state, unless that is 0 too.
    if let mask, initialStates != nil {
      result.last = result.last * mask.cast(to: .bool).any(axes: [1], keepDims: true).cast(to: dtype)
      result.outputs = result.outputs * Tensor.begun(mask, backwards: goBackwards).cast(to: dtype)
    }
    return result
  }

  /// Whether a step that counts has been taken, for each step in the order in which they are taken: [batch, time, 1].
  private static func begun(_ mask: Tensor, backwards: Bool) -> Tensor {
    let counts = mask.cast(to: .bool).cast(to: .int32)
    return ((backwards ? counts.flipped(axes: [1]) : counts).cumulativeSum(axis: 1) .> 0).expanded(axis: -1)
  }
}
