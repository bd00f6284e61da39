import BackpropTensors

/// The share of the labels' variance that predictions explain. Keras' `R2Score`.
struct R2Score: MetricAccumulator {
  private let metric: Metric
  private let samples = Variable(Tensor(0 as Float), name: "num_samples")
  private let counters: Counters

  init(_ metric: Metric) {
    self.metric = metric
    counters = Counters(of: metric.name, ["squared_sum", "sum", "residual", "count"])
  }

  var variables: [Variable] { [samples] + counters.variables }

  func update(_ labels: Tensor, _ predictions: Tensor, _ sampleWeights: Tensor?) {
    let (truth, guess) = sameRank(labels.cast(to: .float32), predictions.cast(to: .float32))
    require(
      truth.rank == 2 && guess.rank == 2,
      "\(metric.name): expected labels and predictions of [batch, outputs], got \(labels.shape) and \(predictions.shape)"
    )
    var weights = sampleWeights?.cast(to: .float32) ?? Tensor.ones([truth.shape[0], 1])
    if weights.rank == 1 { weights = weights.expanded(axis: 1) }
    weights = weights.broadcast(to: truth.shape)
    let weighted = truth * weights
    func sum(_ x: Tensor) -> Tensor { x.sum(axes: [0]) }
    let residual = sum((truth - guess).squared() * weights)
    let changes = [sum(truth * weighted), sum(weighted), residual, sum(weights)]
    for (variable, change) in zip(counters(changes[0].shape), changes) {
      variable.value = variable.value + change
    }
    samples.value = samples.value + Double(truth.count)
  }

  var results: [Double] {
    guard let counts = counters.values?.map({ $0.map { Float($0) } }) else { return [0] }
    // In float32, as Keras does it: the difference of two large numbers has its rounding.
    let totals = counts[0].indices.map { i in counts[0][i] - counts[1][i] * (counts[1][i] / counts[3][i]) }
    let scores = totals.indices.map { i -> Float in
      let score = 1 - counts[2][i] / totals[i]
      return score.isInfinite ? 0 : score
    }
    switch metric.arguments["class_aggregation"] {
    case .null?: return scores.map(adjusted)
    case .string("variance_weighted_average")?:
      let sum = zip(totals, scores).reduce(Float(0)) { $0 + $1.0 * $1.1 }
      return [adjusted(sum / totals.reduce(0, +))]
    default: return [adjusted(scores.reduce(0, +) / Float(scores.count))]
    }
  }

  /// For the number of independent regressors, where there are more samples than those.
  private func adjusted(_ score: Float) -> Double {
    let regressors = Double(metric.arguments["num_regressors"]?.int ?? 0)
    let count = samples.stored.item()
    guard regressors > 0, regressors < count - 1 else { return Double(score) }
    return 1 - (1 - Double(score)) * (count - 1) / (count - regressors - 1)
  }
}
