/// How a result's gradient becomes the inputs' gradients, written with tensor operations, and what the backward pass
/// keeps for it. The case is the declaration: what isn't kept can't be read.
package enum Gradient: Sendable {
  /// No input has one: integers, comparisons, positions.
  case none
  /// Needs shapes only.
  case constant(@Sendable (Backward) -> [Tensor?])
  /// Keeps the inputs at these positions.
  case ofInputs(keeping: [Int], @Sendable (Backward) -> [Tensor?])
  /// Keeps the results at these positions, and the inputs.
  case ofOutputs(keeping: [Int], inputs: [Int] = [], @Sendable (Backward) -> [Tensor?])
  /// Keeps all inputs and results.
  case everything(@Sendable (Backward) -> [Tensor?])
  /// The smaller operations of ``Rule/Value/composed(_:)`` are recorded in its place.
  case composed
}

/// What a gradient's closure may read.
package struct Backward: Sendable {
  /// One for each result; nil where nothing depends on it.
  package var outputGradients: [Tensor?]
  /// Whether the gradient of each input is asked for: a nil for the others saves their work.
  package var wanted: [Bool]
  package var inputTypes: [TensorType]
  package var outputTypes: [TensorType]
  fileprivate var inputs: [Tensor?]
  fileprivate var outputs: [Tensor?]

  package init(
    outputGradients: [Tensor?], wanted: [Bool], inputTypes: [TensorType], outputTypes: [TensorType],
    inputs: [Tensor?], outputs: [Tensor?]
  ) {
    self.outputGradients = outputGradients
    self.wanted = wanted
    self.inputTypes = inputTypes
    self.outputTypes = outputTypes
    self.inputs = inputs
    self.outputs = outputs
  }

  /// The gradient of the first result.
  package var gradient: Tensor {
    outputGradients[0] ?? Tensor.zeros(outputTypes[0].shape, dtype: outputTypes[0].dtype)
  }

  package func input(_ position: Int) -> Tensor {
    guard let tensor = inputs[position] else {
      programmerError("the gradient's rule doesn't keep input \(position)")
    }
    return tensor
  }

  package func output(_ position: Int) -> Tensor {
    guard let tensor = outputs[position] else {
      programmerError("the gradient's rule doesn't keep result \(position)")
    }
    return tensor
  }
}
