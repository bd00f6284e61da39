import BackpropTensors

extension Loss.Kind {
  /// Dice and Tversky: 1 − the share that labels and predictions have in common, over `axis` or over everything.
  func overlapValues(
    _ labels: Tensor, _ predictions: Tensor, _ arguments: [String: ConfigValue]
  ) -> Tensor {
    let axes = arguments["axis"].flatMap { axis in axis.int.map { [$0] } ?? axis.elements?.compactMap(\.int) }
    func sum(_ x: Tensor) -> Tensor { x.sum(axes: axes) }
    let common = sum(labels * predictions)
    if self == .dice { return 1 - common * 2 / (sum(labels) + sum(predictions) + fuzz) }
    let alpha = arguments["alpha"]?.double ?? 0.5
    let beta = arguments["beta"]?.double ?? 0.5
    // Keras weighs missed labels by alpha and predictions without one by beta.
    let missed = sum((1 - predictions) * labels)
    let unfounded = sum(predictions * (1 - labels))
    return 1 - common / (common + missed * alpha + unfounded * beta + fuzz)
  }
}

/// Circle loss (Sun et al., 2020) between all rows of a batch, rows being unit vectors and labels their classes.
///
/// Each pair of rows is weighed by how far its cosine is from where it should be. Rows whose loss is 0 don't count.
func circleValues(
  _ labels: Tensor, _ predictions: Tensor, _ arguments: [String: ConfigValue]
) -> (Tensor, mask: Tensor?) {
  let gamma = arguments["gamma"]?.double ?? 80
  let margin = arguments["margin"]?.double ?? 0.4
  let rows = predictions.shape[0]
  let classes = labels.cast(to: .int32).flattened()
  let distances = (1 - predictions.matmul(predictions.transposed())).maximum(0)
  let isSame = classes.expanded(axis: 1) .== classes.expanded(axis: 0)
  let isOther = isSame.not()
  var isPositive = isSame
  if arguments["remove_diagonal"]?.bool ?? true {
    isPositive = isSame.and(Tensor.eye(rows).cast(to: .bool).not())
  }
  // The weights are 0 where the mask is; what they multiply there is left out below.
  let positiveWeights = (distances + margin) * isPositive.cast(to: distances.dtype)
  let negativeWeights = ((1 + margin) - distances) * isOther.cast(to: distances.dtype)
  let positive = positiveWeights.maximum(0) * (margin - distances) * -gamma
  let negative = negativeWeights.maximum(0) * ((1 - margin) - distances) * gamma
  // So low that e to it is 0 beside anything else, and finite, so that a row without a pair has a gradient of 0.
  let nothing = Tensor(repeating: -1e9, shape: distances.shape, dtype: distances.dtype)
  let sum =
    Tensor.select(isPositive, positive, nothing).logSumExp(axes: [1])
    + Tensor.select(isOther, negative, nothing).logSumExp(axes: [1])
  let values = sum.softplus()
  return (values, values .> 0)
}
