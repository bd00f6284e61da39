import BackpropTensors

extension Loss.Kind {
  /// Of labels that say how probable each class is.
  func crossentropyValues(
    _ labels: Tensor, _ predictions: Tensor, _ arguments: [String: ConfigValue]
  ) -> Tensor {
    let smoothing = arguments["label_smoothing"]?.double ?? 0
    let axis = arguments["axis"]?.int ?? -1
    let fromLogits = arguments["from_logits"]?.bool ?? false
    let isBinary = self == .binaryCrossentropy || self == .binaryFocalCrossentropy
    var target = labels
    if smoothing != 0 {
      // Keras divides by the last axis' size, whatever `axis` is.
      let share = isBinary ? 0.5 : 1 / Double(labels.shape[-1])
      target = labels * (1 - smoothing) + smoothing * share
    }
    switch self {
    case .binaryCrossentropy: return binaryValues(target, predictions, fromLogits).mean(axes: [axis])
    case .binaryFocalCrossentropy:
      return binaryFocalValues(target, predictions, arguments, fromLogits).mean(axes: [axis])
    case .categoricalFocalCrossentropy:
      return categoricalFocalValues(target, predictions, arguments, fromLogits, axis)
    default: return categoricalValues(target, predictions, fromLogits, axis)
    }
  }
}

/// Focal loss (Lin et al., 2017): easy examples count less, by (1 − the probability of what is right)^γ.
private func binaryFocalValues(
  _ target: Tensor, _ predictions: Tensor, _ arguments: [String: ConfigValue], _ fromLogits: Bool
) -> Tensor {
  let p = fromLogits ? predictions.sigmoid() : predictions
  let right = target * p + (1 - target) * (1 - p)
  var values = (1 - right).power(arguments["gamma"]?.double ?? 2)
  values = values * binaryValues(target, predictions, fromLogits)
  guard arguments["apply_class_balancing"]?.bool ?? false else { return values }
  let alpha = arguments["alpha"]?.double ?? 0.25
  return (target * alpha + (1 - target) * (1 - alpha)) * values
}

private func categoricalFocalValues(
  _ target: Tensor, _ predictions: Tensor, _ arguments: [String: ConfigValue], _ fromLogits: Bool, _ axis: Int
) -> Tensor {
  var p = fromLogits ? predictions.softmax(axis: axis) : predictions
  p = (p / p.sum(axes: [axis], keepDims: true)).clipped(to: fuzz...(1 - fuzz))
  let share = (1 - p).power(arguments["gamma"]?.double ?? 2) * (arguments["alpha"]?.double ?? 0.25)
  return -(share * target * p.log()).sum(axes: [axis])
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

func sparseValues(
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
