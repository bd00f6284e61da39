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
  private let accumulator: any MetricAccumulator

  init(_ metric: Metric) {
    self.metric = metric
    accumulator = metric.makeAccumulator()
  }

  public var name: String { metric.name }

  /// Counts a batch.
  ///
  /// - Parameter sampleWeights: [batch], or one weight for each value.
  public func update(labels: Tensor, predictions: Tensor, sampleWeights: Tensor? = nil) {
    accumulator.update(labels, predictions, sampleWeights)
  }

  /// Counts values that are already computed. Stops the program for a metric that isn't a mean or a sum.
  public func update(values: Tensor, sampleWeights: Tensor? = nil) {
    switch accumulator {
    case let mean as MeanAccumulator: mean.update(values: values, sampleWeights)
    case let sum as SumAccumulator: sum.update(values: values, sampleWeights)
    default: programmerError("\(name) counts labels and predictions: call update(labels:predictions:)")
    }
  }

  /// Counts a mean of `weight` samples.
  func update(mean: Tensor, weight: Int) {
    guard let accumulator = accumulator as? MeanAccumulator else { programmerError("\(name) isn't a mean") }
    accumulator.update(mean: mean, weight: weight)
  }

  /// The metric of everything since the last ``reset()``; 0 of nothing. Where it is several numbers their mean:
  /// ``results`` has them all.
  public var result: Double {
    let results = results
    return results.count == 1 ? results[0] : results.reduce(0, +) / Double(max(results.count, 1))
  }

  /// One number, or one for each threshold, class or output that the metric keeps apart.
  public var results: [Double] { accumulator.results }

  /// The numbers by the names they have in logs: `name`, with a position where there are several.
  func entries(named name: String) -> [(name: String, value: Double)] {
    let results = results
    if results.count == 1 { return [(name, results[0])] }
    return results.enumerated().map { ("\(name)_\($0)", $1) }
  }

  /// Back to zero.
  public func reset() {
    for variable in variables { variable.store(Tensor.zeros(variable.shape, dtype: variable.dtype)) }
  }

  var variables: [Variable] { accumulator.variables }
}
