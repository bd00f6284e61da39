import BackpropTensors
import Synchronization

/// How a metric counts: what it keeps, and what it makes of that.
protocol MetricAccumulator: Sendable {
  /// What is kept: zeros after a reset.
  var variables: [Variable] { get }
  /// Counts a batch. Tensor operations alone, so that compiled steps count.
  func update(_ labels: Tensor, _ predictions: Tensor, _ sampleWeights: Tensor?)
  /// The metric so far: one number, or one for each threshold, class or output.
  var results: [Double] { get }
}

/// Variables whose shape is known with the first batch.
final class Counters: Sendable {
  private let metric: String
  private let names: [String]
  private let made = Mutex<[Variable]>([])

  init(of metric: String, _ names: [String]) {
    self.metric = metric
    self.names = names
  }

  /// One for each name, all of this shape.
  func callAsFunction(_ shape: Shape, dtype: DType = .float32) -> [Variable] {
    made.withLock { variables in
      if variables.isEmpty {
        variables = names.map { Variable(Tensor.zeros(shape, dtype: dtype), name: $0) }
      }
      require(
        variables[0].shape == shape,
        "metric \(metric): counted \(variables[0].shape) numbers so far, the batch needs \(shape); reset() it first"
      )
      return variables
    }
  }

  var variables: [Variable] { made.withLock { $0 } }

  /// What each holds; nil before the first batch.
  var values: [[Double]]? {
    let variables = variables
    return variables.isEmpty ? nil : variables.map { $0.stored.doubles }
  }
}

/// The mean of values, each row once or by its weight. Keras' `Mean`.
struct MeanAccumulator: MetricAccumulator {
  let metric: Metric
  private let total = Variable(Tensor.zeros([], dtype: DTypePolicy.floatx), name: "total")
  private let count = Variable(Tensor.zeros([], dtype: DTypePolicy.floatx), name: "count")

  init(_ metric: Metric) { self.metric = metric }

  var variables: [Variable] { [total, count] }

  func update(_ labels: Tensor, _ predictions: Tensor, _ sampleWeights: Tensor?) {
    let (values, mask) = metric.values(labels, predictions)
    var weights = sampleWeights
    if let mask, let given = weights {
      weights = given.cast(to: .float32) * mask.cast(to: .float32)
    }
    update(values: values, weights)
  }

  func update(values: Tensor, _ sampleWeights: Tensor?) {
    let values = values.cast(to: total.dtype)
    guard let given = sampleWeights else { return update(unweighted: values) }
    // Values keep the weights' axes; further ones are averaged first.
    let (reduced, spread) = weighted(values, by: given) { $0.mean(axes: $1) }
    let perSample = Double(reduced.shape.dimensions.dropFirst().reduce(1, *))
    total.value = total.value + (reduced * spread).sum() / perSample
    count.value = count.value + spread.sum() / perSample
  }

  private func update(unweighted values: Tensor) {
    let perSample = Double(values.shape.dimensions.dropFirst().reduce(1, *))
    let sum = values.sum()
    total.value = total.value + (perSample == 1 ? sum : sum / perSample)
    count.value = count.value + Double(values.shape.dimensions.first ?? 1)
  }

  /// Counts a mean of `weight` samples.
  func update(mean: Tensor, weight: Int) {
    total.value = total.value + mean.cast(to: total.dtype) * Double(weight)
    count.value = count.value + Double(weight)
  }

  var results: [Double] {
    let (total, count) = (total.stored.item(), count.stored.item())
    let mean = count == 0 ? 0 : total / count
    if case .kind(.rootMeanSquaredError) = metric.form { return [mean.squareRoot()] }
    return [mean]
  }
}

/// The sum of values times their weights. Keras' `Sum`.
struct SumAccumulator: MetricAccumulator {
  private let total = Variable(Tensor.zeros([], dtype: DTypePolicy.floatx), name: "total")

  var variables: [Variable] { [total] }

  func update(_ labels: Tensor, _ predictions: Tensor, _ sampleWeights: Tensor?) {
    update(values: predictions, sampleWeights)
  }

  func update(values: Tensor, _ sampleWeights: Tensor?) {
    var values = values.cast(to: total.dtype)
    if let sampleWeights {
      let (reduced, spread) = weighted(values, by: sampleWeights) { $0.sum(axes: $1) }
      values = reduced * spread
    }
    total.value = total.value + values.sum()
  }

  var results: [Double] { [total.stored.item()] }
}

/// Values without the axes that the weights don't have, and the weights stretched over the rest.
private func weighted(
  _ values: Tensor, by weights: Tensor, reducing reduce: (Tensor, [Int]) -> Tensor
) -> (values: Tensor, weights: Tensor) {
  var weights = weights.cast(to: values.dtype)
  if weights.rank == values.rank + 1, weights.shape[-1] == 1 { weights = weights.squeezed(axes: [-1]) }
  let extra = Array(weights.rank..<max(values.rank, weights.rank))
  let reduced = extra.isEmpty ? values : reduce(values, extra)
  return (reduced, weights.broadcast(to: reduced.shape))
}
