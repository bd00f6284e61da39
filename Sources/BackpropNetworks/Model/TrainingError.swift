import BackpropTensors

/// A loss that wasn't finite, and where that began. The weights are as they were before the step.
public struct TrainingError: Error, CustomStringConvertible, Sendable {
  /// Counted from 1, over all epochs of the call.
  public let step: Int
  /// Counted from 1.
  public let epoch: Int
  public let loss: Double
  /// Where the first number that isn't finite was found, as `sequential/dense_1`; nil where it was the loss itself.
  public let path: String?
  /// What was found, in words.
  public let cause: String

  public var description: String {
    let place = path.map { "\($0): " } ?? ""
    return """
      the loss is \(loss.isNaN ? "nan" : "\(loss)") at step \(step) (epoch \(epoch)); \(place)\(cause); training stopped before this step's update
      """
  }
}

/// Runs a failed step again, layer by layer, from the same weights, random counter and batch.
struct Diagnosis {
  let step: TrainingStep

  /// The layer or weight at fault, and what is wrong with it.
  func cause(_ inputs: [Tensor], _ labels: [Tensor], _ sampleWeights: Tensor?) -> (
    path: String?, cause: String
  ) {
    let model = step.model
    let kept =
      model.weights.map { ($0.variable, $0.variable.stored) } + [
        (model.random.state, model.random.state.stored)
      ]
    defer { for (variable, value) in kept { variable.store(value) } }
    for (number, input) in inputs.enumerated() {
      if let found = firstNotFinite(input) {
        return (nil, "\(found.value) in the data: input \(number), row \(found.row) of the batch")
      }
    }
    for label in labels {
      if let found = firstNotFinite(label) {
        return (nil, "\(found.value) in the labels, row \(found.row) of the batch")
      }
    }
    if let sampleWeights, let found = firstNotFinite(sampleWeights) {
      return (nil, "\(found.value) in the sample weights, row \(found.row) of the batch")
    }
    for weight in model.weights {
      if let found = firstNotFinite(weight.value) {
        return (weight.path, "the weight held \(found.value) before the step: an earlier update made it")
      }
    }
    return replay(inputs, labels, sampleWeights)
  }

  private func replay(
    _ inputs: [Tensor], _ labels: [Tensor], _ sampleWeights: Tensor?
  ) -> (path: String?, cause: String) {
    let finding = Finding()
    var context = CallContext(isTraining: true, random: step.model.random)
    context.observer = { layer, results in
      for result in results {
        if let found = firstNotFinite(result.stopGradient()) { finding.note(layer.path, found) }
      }
    }
    let weights = step.model.trainableWeights
    let (loss, gradients) = valueAndGradient(at: weights.map(\.variable)) {
      let outputs = step.model(inputs, context)
      return step.totalLoss(labels, outputs, sampleWeights: sampleWeights, context)
    }
    if let (path, found) = finding.first {
      return (path, "the first \(found.value) is in this layer's output, row \(found.row) of the batch")
    }
    if loss.item().isFinite {
      let bad = zip(weights, gradients).first { $1.flatMap(firstNotFinite) != nil }
      if let bad { return (bad.0.path, "the gradient isn't finite") }
    }
    let names = step.state.losses.all.map(\.name).joined(separator: ", ")
    return (nil, "all layers' outputs are finite: it began in the loss \(names)")
  }
}

/// The first layer that reported something.
private final class Finding: @unchecked Sendable {
  private(set) var first: (path: String, (row: Int, value: String))?

  func note(_ path: String, _ found: (row: Int, value: String)) {
    if first == nil { first = (path, found) }
  }
}

/// The first element that is NaN or infinite, with its position along the first axis.
package func firstNotFinite(_ tensor: Tensor) -> (row: Int, value: String)? {
  guard tensor.dtype.isFloatingPoint, tensor.count > 0 else { return nil }
  let row = max(tensor.count / max(tensor.shape.dimensions.first ?? 1, 1), 1)
  guard let position = firstNotFinitePosition(tensor) else { return nil }
  return tensor.withUnsafeBytes { bytes in
    let value = loadElement(position, from: bytes.baseAddress!, dtype: tensor.dtype)
    // Not every NaN prints alike: its sign bit says nothing.
    return (position / row, value.isNaN ? "nan" : "\(value)")
  }
}
