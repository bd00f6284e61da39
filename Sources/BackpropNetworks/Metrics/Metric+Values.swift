import BackpropTensors

extension Metric {
  /// The values whose mean the metric is, for labels and predictions.
  func values(_ labels: Tensor, _ predictions: Tensor) -> Tensor {
    switch form {
    case .custom(let function): return function(labels, predictions)
    case .kind(let kind): return values(kind, labels, predictions)
    case .fittingAccuracy, .unknown:
      programmerError("metric '\(name)' isn't one yet: compile and run a model with it")
    }
  }

  private func values(_ kind: Kind, _ labels: Tensor, _ predictions: Tensor) -> Tensor {
    switch kind {
    case .mean: return predictions
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

  /// Values of the form that ``MetricState`` sums: of several for a row the mean.
  func result(total: Double, count: Double) -> Double {
    let mean = count == 0 ? 0 : total / count
    if case .kind(.rootMeanSquaredError) = form { return mean.squareRoot() }
    return mean
  }
}
