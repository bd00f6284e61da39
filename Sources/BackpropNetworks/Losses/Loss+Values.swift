import BackpropTensors

/// Keras' epsilon: probabilities are cut to this distance from 0 and 1.
private let fuzz = 1e-7

extension Loss.Kind {
  /// One value for each row, and which rows count where some don't.
  func values(
    _ labels: Tensor, _ predictions: Tensor, _ arguments: [String: ConfigValue]
  ) -> (Tensor, mask: Tensor?) {
    func argument(_ name: String) -> ConfigValue? { arguments[name] }
    if self == .sparseCategoricalCrossentropy {
      return sparseValues(
        labels, predictions, fromLogits: argument("from_logits")?.bool ?? false,
        ignoring: argument("ignore_class")?.int,
        axis: argument("axis")?.int ?? -1)
    }
    let (labels, predictions) = sameRank(labels.cast(to: predictions.dtype), predictions)
    switch self {
    case .meanSquaredError: return ((labels - predictions).squared().mean(axes: [-1]), nil)
    case .meanAbsoluteError: return ((labels - predictions).abs().mean(axes: [-1]), nil)
    case .huber: return (huberValues(labels, predictions, argument("delta")?.double ?? 1), nil)
    case .klDivergence:
      let (p, q) = (labels.clipped(to: fuzz...1), predictions.clipped(to: fuzz...1))
      return ((p * (p / q).log()).sum(axes: [-1]), nil)
    case .binaryCrossentropy, .categoricalCrossentropy:
      let smoothing = argument("label_smoothing")?.double ?? 0
      let axis = argument("axis")?.int ?? -1
      let fromLogits = argument("from_logits")?.bool ?? false
      if self == .binaryCrossentropy {
        let target = smoothing == 0 ? labels : labels * (1 - smoothing) + 0.5 * smoothing
        return (binaryValues(target, predictions, fromLogits).mean(axes: [axis]), nil)
      }
      // Keras divides by the last axis' size, whatever `axis` is.
      let classes = Double(labels.shape[-1])
      let target = smoothing == 0 ? labels : labels * (1 - smoothing) + smoothing / classes
      return (categoricalValues(target, predictions, fromLogits, axis), nil)
    case .sparseCategoricalCrossentropy: return (predictions, nil)
    }
  }
}

/// Labels and predictions of one rank: a last axis of 1 that only one of them has is dropped, or added to a vector.
func sameRank(_ labels: Tensor, _ predictions: Tensor) -> (Tensor, Tensor) {
  if labels.rank == predictions.rank + 1, labels.shape[-1] == 1 {
    if predictions.rank == 1 { return (labels, predictions.expanded(axis: -1)) }
    return (labels.squeezed(axes: [-1]), predictions)
  }
  if predictions.rank == labels.rank + 1, predictions.shape[-1] == 1 {
    if labels.rank == 1 { return (labels.expanded(axis: -1), predictions) }
    return (labels, predictions.squeezed(axes: [-1]))
  }
  return (labels, predictions)
}

private func huberValues(_ labels: Tensor, _ predictions: Tensor, _ delta: Double) -> Tensor {
  let error = (predictions - labels).abs()
  let values = Tensor.select(error .<= delta, error.squared() * 0.5, error * delta - 0.5 * delta * delta)
  return values.mean(axes: [-1])
}

/// What a sigmoid or softmax made `predictions` from, given that this is what the loss asks for.
private func logits(of predictions: Tensor, _ kind: Tensor.Logits.Kind) -> Tensor? {
  guard let logits = predictions.logits, logits.kind == kind else { return nil }
  return logits.tensor
}

private func binaryValues(_ target: Tensor, _ predictions: Tensor, _ fromLogits: Bool) -> Tensor {
  if let z = fromLogits ? predictions : logits(of: predictions, .sigmoid) {
    // max(z, 0) − z·t + log(1 + e^−|z|): no overflow on either side.
    return z.relu() - z * target + (-z.abs()).exp().log1p()
  }
  let p = predictions.clipped(to: fuzz...(1 - fuzz))
  return -(target * p.log() + (1 - target) * (1 - p).log())
}

private func categoricalValues(
  _ target: Tensor, _ predictions: Tensor, _ fromLogits: Bool, _ axis: Int
) -> Tensor {
  let position = axis < 0 ? axis + predictions.rank : axis
  if let z = fromLogits ? predictions : logits(of: predictions, .softmax(axis: position)) {
    return softmaxCrossentropy(target, logits: z, axis)
  }
  let p = (predictions / predictions.sum(axes: [axis], keepDims: true)).clipped(to: fuzz...(1 - fuzz))
  return -(target * p.log()).sum(axes: [axis])
}

/// −Σ t · log softmax(z), with TensorFlow's gradient: g · (softmax(z) − t), which takes it that the targets add up to 1.
private func softmaxCrossentropy(_ target: Tensor, logits: Tensor, _ axis: Int) -> Tensor {
  withCustomGradient(
    [target, logits],
    forward: { [-($0[0] * $0[1].logSoftmax(axis: axis)).sum(axes: [axis])] },
    backward: { gradients, inputs, _ in
      guard let g = gradients[0]?.expanded(axis: axis) else { return [nil, nil] }
      return [-g * inputs[1].logSoftmax(axis: axis), g * (inputs[1].softmax(axis: axis) - inputs[0])]
    })[0]
}

private func sparseValues(
  _ labels: Tensor, _ predictions: Tensor, fromLogits: Bool, ignoring ignored: Int?, axis: Int
) -> (Tensor, mask: Tensor?) {
  let position = axis < 0 ? axis + predictions.rank : axis
  // Probabilities become logits: normalising their logarithms again changes nothing but rounding.
  var z =
    fromLogits
    ? predictions
    : logits(of: predictions, .softmax(axis: position)) ?? predictions.clipped(to: fuzz...(1 - fuzz)).log()
  if position != z.rank - 1 {
    var order = Array(0..<z.rank)
    order.remove(at: position)
    z = z.transposed(order + [position])
  }
  var labels = labels
  if labels.rank == z.rank, labels.shape[-1] == 1 { labels = labels.squeezed(axes: [-1]) }
  if !labels.dtype.isInteger { labels = labels.cast(to: .int32) }
  var mask: Tensor?
  if let ignored {
    let counts = labels.cast(to: .int32) .!= Double(ignored)
    labels = labels.cast(to: .int32) * counts.cast(to: .int32)
    mask = counts
  }
  let rowShape = Shape(z.shape.dimensions.dropLast())
  var values = z.reshaped(to: [-1, z.shape[-1]]).sparseCrossentropy(labels: labels.flattened()).reshaped(
    to: rowShape)
  if let mask { values = Tensor.select(mask, values, Tensor.zeros(like: values)) }
  return (values, mask)
}
