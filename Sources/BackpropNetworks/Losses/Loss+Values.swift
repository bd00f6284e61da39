import BackpropTensors

/// Keras' epsilon: probabilities are cut to this distance from 0 and 1.
let fuzz = 1e-7

extension Loss.Kind {
  /// One value for each row, and which rows count where some don't.
  func values(
    _ labels: Tensor, _ predictions: Tensor, _ arguments: [String: ConfigValue]
  ) -> (Tensor, mask: Tensor?) {
    switch self {
    case .sparseCategoricalCrossentropy:
      return sparseValues(
        labels, predictions, fromLogits: arguments["from_logits"]?.bool ?? false,
        ignoring: arguments["ignore_class"]?.int, axis: arguments["axis"]?.int ?? -1)
    case .ctc: return (ctcLoss(labels: labels, logits: predictions), nil)
    case .circle: return circleValues(labels, predictions, arguments)
    case .categoricalGeneralizedCrossEntropy:
      let q = arguments["q"]?.double ?? 0.5
      let classes = classNumbers(labels, beside: predictions)
      let chosen = classes.oneHot(classes: predictions.shape[-1], dtype: predictions.dtype)
      let p = (predictions * chosen).sum(axes: [-1])
      return ((1 - p.power(q)) / q, nil)
    default:
      let (labels, predictions) = sameRank(labels.cast(to: predictions.dtype), predictions)
      return (elementValues(labels, predictions, arguments), nil)
    }
  }

  /// Of the losses that compare labels and predictions place by place.
  private func elementValues(
    _ labels: Tensor, _ predictions: Tensor, _ arguments: [String: ConfigValue]
  ) -> Tensor {
    let axis = arguments["axis"]?.int ?? -1
    switch self {
    case .meanSquaredError: return (labels - predictions).squared().mean(axes: [-1])
    case .meanAbsoluteError: return (labels - predictions).abs().mean(axes: [-1])
    case .meanAbsolutePercentageError:
      return ((labels - predictions) / labels.abs().maximum(fuzz)).abs().mean(axes: [-1]) * 100
    case .meanSquaredLogarithmicError:
      let logarithm = (predictions.maximum(fuzz) + 1).log()
      return (logarithm - (labels.maximum(fuzz) + 1).log()).squared().mean(axes: [-1])
    case .huber: return huberValues(labels, predictions, arguments["delta"]?.double ?? 1)
    case .logCosh:
      let error = predictions - labels
      // log cosh x = x + log(1 + e^−2x) − log 2, which doesn't overflow.
      return (error + (error * -2).softplus() - 0.693147180559945309).mean(axes: [-1])
    case .cosineSimilarity:
      return -(normalized(labels, axis) * normalized(predictions, axis)).sum(axes: [axis])
    case .poisson: return (predictions - labels * (predictions + fuzz).log()).mean(axes: [-1])
    case .hinge: return hingeValues(labels, predictions).mean(axes: [-1])
    case .squaredHinge: return hingeValues(labels, predictions).squared().mean(axes: [-1])
    case .categoricalHinge:
      let right = (labels * predictions).sum(axes: [-1])
      let wrong = ((1 - labels) * predictions).max(axes: [-1])
      return (wrong - right + 1).maximum(0)
    case .klDivergence:
      let (p, q) = (labels.clipped(to: fuzz...1), predictions.clipped(to: fuzz...1))
      return (p * (p / q).log()).sum(axes: [-1])
    case .binaryCrossentropy, .categoricalCrossentropy, .binaryFocalCrossentropy,
      .categoricalFocalCrossentropy:
      return crossentropyValues(labels, predictions, arguments)
    case .dice, .tversky: return overlapValues(labels, predictions, arguments)
    case .sparseCategoricalCrossentropy, .categoricalGeneralizedCrossEntropy, .circle, .ctc:
      programmerError("\(rawValue) doesn't compare place by place")
    }
  }

  /// - Throws: ``ModelError`` for an argument outside its range.
  func check(_ arguments: [String: ConfigValue]) throws {
    if self == .categoricalGeneralizedCrossEntropy, let q = arguments["q"]?.double, !(q > 0 && q < 1) {
      throw ModelError(.argument, "\(rawValue): expected 'q' between 0 and 1, got \(q)")
    }
    if let smoothing = arguments["label_smoothing"]?.double, !(0...1).contains(smoothing) {
      throw ModelError(.argument, "\(rawValue): expected label smoothing in 0...1, got \(smoothing)")
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

/// x / ‖x‖ along an axis, as Keras does it: a row of zeros stays one, its gradient finite.
func normalized(_ x: Tensor, _ axis: Int) -> Tensor {
  x * x.squared().sum(axes: [axis], keepDims: true).maximum(fuzz * fuzz).rsqrt()
}

/// max(1 − t · p, 0). Labels that are all 0 or 1 are taken for −1 and 1.
private func hingeValues(_ labels: Tensor, _ predictions: Tensor) -> Tensor {
  let isBinary = (labels .== 0).or(labels .== 1).all()
  let signs = Tensor.select(isBinary, labels * 2 - 1, labels)
  return (1 - signs * predictions).maximum(0)
}

/// int32 class numbers, one for each row of predictions.
func classNumbers(_ labels: Tensor, beside predictions: Tensor) -> Tensor {
  let isColumn = labels.rank == predictions.rank && labels.shape[-1] == 1
  let rows = isColumn ? labels.squeezed(axes: [-1]) : labels
  return rows.cast(to: .int32)
}
