import BackpropTensors

/// How many labels are on which side of each threshold: true and false positives and negatives.
///
/// Evenly spaced thresholds are counted in one pass by the interval that a prediction is in, others by comparing each
/// with each, as Keras does it: the two differ where a prediction is on a threshold.
struct ThresholdCounts: MetricAccumulator {
  enum Count: String, CaseIterable { case truePositives, falsePositives, trueNegatives, falseNegatives }

  /// What a prediction must be above.
  let thresholds: [Double]
  let counts: [Count]
  private let counters: Counters
  /// Only the k largest predictions of a row can be positive.
  var topK: Int?
  /// Only this class counts.
  var classId: Int?
  var fromLogits = false
  /// Each column has counts of its own.
  var keepsColumns = false
  var columnWeights: [Double]?
  /// From what was counted, each by threshold (and column), to the metric.
  let result: @Sendable ([[Double]]) -> [Double]

  /// Whether they are so evenly spaced that counting by intervals will do.
  private let isEven: Bool
  private let isWidened: Bool

  init(
    _ metric: Metric, thresholds: [Double], counts: [Count], isEven: Bool? = nil,
    result: @escaping @Sendable ([[Double]]) -> [Double]
  ) {
    self.thresholds = thresholds
    self.counts = counts
    self.result = result
    counters = Counters(of: metric.name, counts.map { KerasNaming.snake($0.rawValue) })
    self.isEven = isEven ?? Self.areEven(thresholds)
    isWidened = thresholds[0] < 0 || thresholds[thresholds.count - 1] > 1
  }

  static func areEven(_ thresholds: [Double]) -> Bool {
    let last = Double(thresholds.count - 1)
    return thresholds.count > 2
      && thresholds.enumerated().allSatisfy {
        let even = Double($0) / last
        return abs($1 - even) <= 1e-7 + 1e-5 * even
      }
  }

  var variables: [Variable] { counters.variables }
  var results: [Double] {
    result(counters.values ?? counts.map { _ in [Double](repeating: 0, count: thresholds.count) })
  }

  func update(_ labels: Tensor, _ predictions: Tensor, _ sampleWeights: Tensor?) {
    let scores = predictions.cast(to: .float32)
    var (labels, predictions) = sameRank(labels.cast(to: .float32), fromLogits ? scores.sigmoid() : scores)
    var weights = sampleWeights.map { $0.cast(to: .float32).expanded(axis: -1) }
    if let given = weights, given.rank == labels.rank + 1, given.shape[-1] == 1 {
      weights = given.squeezed(axes: [-1])
    }
    if let topK { predictions = largest(topK, predictions) }
    if let classId {
      labels = labels.sliced(axis: -1, from: classId, count: 1)
      predictions = predictions.sliced(axis: -1, from: classId, count: 1)
    }
    var share = weights.map { $0.broadcast(to: predictions.shape) } ?? Tensor.ones(like: predictions)
    if let columnWeights, !keepsColumns { share = share * Tensor(columnWeights.map { Float($0) }) }
    let isTrue = (labels .!= 0).cast(to: .float32)
    let (positives, negatives) = (isTrue * share, (1 - isTrue) * share)
    // [rows, columns], one column unless they are kept apart.
    let columns = keepsColumns ? predictions.shape[-1] : 1
    func table(_ x: Tensor) -> Tensor { x.reshaped(to: [-1, columns]) }
    let changes =
      isEven
      ? byInterval(table(predictions), table(positives), table(negatives))
      : byComparison(table(predictions), table(positives), table(negatives))
    let shape: Shape = keepsColumns ? [thresholds.count, columns] : [thresholds.count]
    for (variable, change) in zip(counters(shape), changes) {
      variable.value = variable.value + change.reshaped(to: shape)
    }
  }

  /// Predictions beside the k largest of their row become as low as can be.
  private func largest(_ k: Int, _ predictions: Tensor) -> Tensor {
    let classes = predictions.shape[-1]
    let chosen = predictions.topK(min(k, classes)).positions.oneHot(classes: classes).sum(axes: [-2])
    return predictions * chosen + (1 - chosen) * lowest
  }

  /// [thresholds, columns] for each count.
  private func byInterval(_ predictions: Tensor, _ positives: Tensor, _ negatives: Tensor) -> [Tensor] {
    let (rows, columns) = (predictions.shape[0], predictions.shape[1])
    let last = Double(thresholds.count - 1)
    let interval = (predictions.clipped(to: 0...1) * last).ceil() - 1
    // A prediction of exactly 0 is above no threshold but a widened one.
    let isInside = (interval .>= (isWidened ? -1.0 : 0.0)).cast(to: .float32)
    let column = Tensor.range(to: columns, dtype: .int32).expanded(axis: 0)
    let place = interval.maximum(0).cast(to: .int32) * Tensor(Int32(columns)) + column
    let pair = Tensor.stack([positives * isInside, negatives * isInside], axis: -1)
    let counted = pair.reshaped(to: [rows * columns, 2]).scatterAdded(
      rows: thresholds.count * columns, at: place.flattened())
    let above = counted.reshaped(to: [thresholds.count, columns, 2]).cumulativeSum(axis: 0, reverse: true)
    let parts = above.split(2, axis: -1).map { $0.squeezed(axes: [-1]) }
    return counts.map { count in
      switch count {
      case .truePositives: parts[0]
      case .falsePositives: parts[1]
      case .falseNegatives: positives.sum(axes: [0]) - parts[0]
      case .trueNegatives: negatives.sum(axes: [0]) - parts[1]
      }
    }
  }

  /// [thresholds, columns] for each count.
  private func byComparison(_ predictions: Tensor, _ positives: Tensor, _ negatives: Tensor) -> [Tensor] {
    let limits = Tensor(thresholds.map { Float($0) }).reshaped(to: [-1, 1, 1])
    let isAbove = (predictions.expanded(axis: 0) .> limits).cast(to: .float32)
    return counts.map { count in
      let isWanted = count == .truePositives || count == .falsePositives ? isAbove : 1 - isAbove
      let isTrue = count == .truePositives || count == .falseNegatives
      return (isWanted * (isTrue ? positives : negatives)).sum(axes: [1])
    }
  }
}

/// Lower than any prediction.
let lowest = -1e10

/// 0 where there is nothing to divide by.
func share(_ part: Double, of whole: Double) -> Double { whole == 0 ? 0 : part / whole }
