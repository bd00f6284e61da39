import BackpropTensors

/// A metric's counters. They are variables, so that compiled steps count without anyone reading a tensor.
///
/// ```swift
/// let mae = Metric.mae.state()
/// mae.update(labels: Tensor([1, 2] as [Float]), predictions: Tensor([1, 4] as [Float]))
/// mae.result      // 1.0
/// ```
public final class MetricState: Sendable {
  public let metric: Metric
  private let total = Variable(Tensor(0 as Float), name: "total")
  private let count = Variable(Tensor(0 as Float), name: "count")

  init(_ metric: Metric) { self.metric = metric }

  public var name: String { metric.name }

  /// Counts a batch.
  ///
  /// - Parameter sampleWeights: [batch], or one weight for each value.
  public func update(labels: Tensor, predictions: Tensor, sampleWeights: Tensor? = nil) {
    update(values: metric.values(labels, predictions), sampleWeights: sampleWeights)
  }

  /// Counts values that are already computed.
  public func update(values: Tensor, sampleWeights: Tensor? = nil) {
    let values = values.cast(to: .float32)
    guard let given = sampleWeights else { return update(unweighted: values) }
    // Values keep the weights' axes; further ones are averaged first.
    var weights = given.cast(to: .float32)
    if weights.rank == values.rank + 1, weights.shape[-1] == 1 { weights = weights.squeezed(axes: [-1]) }
    let extra = Array(weights.rank..<max(values.rank, weights.rank))
    let reduced = extra.isEmpty ? values : values.mean(axes: extra)
    let spread = weights.broadcast(to: reduced.shape)
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
    total.value = total.value + mean.cast(to: .float32) * Double(weight)
    count.value = count.value + Double(weight)
  }

  /// The metric of everything since the last ``reset()``; 0 of nothing.
  public var result: Double { metric.result(total: total.stored.item(), count: count.stored.item()) }

  /// Back to zero.
  public func reset() {
    total.store(Tensor(0 as Float))
    count.store(Tensor(0 as Float))
  }

  var variables: [Variable] { [total, count] }
}
