import BackpropTensors

extension Metric {
  /// The values whose mean the metric is, for labels and predictions.
  /// Also which rows count where some don't.
  func values(_ labels: Tensor, _ predictions: Tensor) -> (Tensor, mask: Tensor?) {
    switch form {
    case .custom(let function): return (function(labels, predictions), nil)
    case .kind(let kind):
      // Keras weighs these by their mask; without weights ignored rows count as 0.
      if kind == .sparseCategoricalCrossentropy {
        return Loss.Kind.sparseCategoricalCrossentropy.values(labels, predictions, arguments)
      }
      return (values(kind, labels, predictions), nil)
    case .fittingAccuracy, .fittingCrossentropy, .unknown:
      programmerError("metric '\(name)' isn't one yet: compile and run a model with it")
    }
  }

  private func values(_ kind: Kind, _ labels: Tensor, _ predictions: Tensor) -> Tensor {
    switch kind {
    case .mean, .sum: return predictions
    case .accuracy:
      let (labels, predictions) = sameRank(labels, predictions)
      return labels .== predictions
    case .binaryAccuracy:
      let (labels, predictions) = sameRank(labels, predictions)
      let isPositive = predictions .> (arguments["threshold"]?.double ?? 0.5)
      return labels .== isPositive.cast(to: labels.dtype)
    case .categoricalAccuracy: return labels.argMax(axis: -1) .== predictions.argMax(axis: -1)
    case .sparseCategoricalAccuracy:
      // Compared as floats (exact up to 2²⁴ classes), which fuses with the sum that follows into one small kernel.
      let chosen = predictions.argMax(axis: -1).cast(to: .float32)
      return column(labels, predictions).cast(to: .float32) .== chosen
    case .topKCategoricalAccuracy: return isInTopK(labels.argMax(axis: -1), predictions)
    case .sparseTopKCategoricalAccuracy where arguments["from_sorted_ids"]?.bool == true:
      // Predictions are class numbers, the likeliest first.
      let first = predictions.sliced(axis: -1, from: 0, count: min(topCount, predictions.shape[-1]))
      return (column(labels, predictions).expanded(axis: -1).cast(to: first.dtype) .== first).any(axes: [-1])
    case .sparseTopKCategoricalAccuracy:
      return isInTopK(column(labels, predictions).cast(to: .int32), predictions)
    case .meanAbsoluteError, .meanSquaredError, .rootMeanSquaredError:
      let (labels, predictions) = sameRank(labels.cast(to: predictions.dtype), predictions)
      let error = labels - predictions
      return kind == .meanAbsoluteError ? error.abs() : error.squared()
    case .cosineSimilarity, .pearsonCorrelation, .concordanceCorrelation:
      return similarity(kind, labels, predictions)
    default:
      guard let loss = kind.loss else { programmerError("\(kind.rawValue) isn't a mean of values") }
      let predictions = predictions.dtype.isFloatingPoint ? predictions : predictions.cast(to: .float32)
      return loss.values(labels, predictions, arguments).0
    }
  }

  /// Labels, one for each row of predictions.
  private func column(_ labels: Tensor, _ predictions: Tensor) -> Tensor {
    labels.rank == predictions.rank && labels.shape[-1] == 1 ? labels.squeezed(axes: [-1]) : labels
  }

  private var topCount: Int { arguments["k"]?.int ?? 5 }

  /// Whether fewer than k predictions of the row are larger than the label's.
  private func isInTopK(_ labels: Tensor, _ predictions: Tensor) -> Tensor {
    let ofLabel = labels.oneHot(classes: predictions.shape[-1], dtype: predictions.dtype)
    let value = (ofLabel * predictions).sum(axes: [-1], keepDims: true)
    let larger = (predictions .> value).cast(to: .int32).sum(axes: [-1])
    return larger .< Double(topCount)
  }

  private func similarity(_ kind: Kind, _ labels: Tensor, _ predictions: Tensor) -> Tensor {
    let axis = arguments["axis"]?.int ?? -1
    let (t, p) = sameRank(labels.cast(to: predictions.dtype), predictions)
    if kind == .cosineSimilarity { return (normalized(t, axis) * normalized(p, axis)).sum(axes: [axis]) }
    func mean(_ x: Tensor) -> Tensor { x.mean(axes: [axis], keepDims: true) }
    let (labelMean, predictionMean) = (mean(t), mean(p))
    let (a, b) = (t - labelMean, p - predictionMean)
    func variance(_ x: Tensor) -> Tensor { x.variance(axes: [axis], keepDims: true) }
    if kind == .pearsonCorrelation {
      return (a / variance(a).sqrt() * (b / variance(b).sqrt())).mean(axes: [axis])
    }
    // Keras takes the predictions' mean off the labels too; the mean of the product is the covariance all the same.
    let product = (t - predictionMean) * b
    let norm = variance(a) + variance(b) + (labelMean - predictionMean).squared()
    return (product * 2 / (norm + fuzz)).mean(axes: [axis])
  }
}

extension Metric.Kind {
  /// The loss whose values a metric is the mean of.
  var loss: Loss.Kind? { self == .logCoshError ? .logCosh : Loss.Kind(rawValue: rawValue) }
}
