import BackpropTensors

/// The weighted harmonic mean of precision and recall. Keras' `FBetaScore` and `F1Score`.
///
/// Without a threshold a row's largest predictions are its positives.
struct FScore: MetricAccumulator {
  private let metric: Metric
  private let average: String?
  private let counters: Counters

  init(_ metric: Metric) {
    self.metric = metric
    average = metric.arguments["average"]?.text
    let names = ["true_positives", "false_positives", "false_negatives", "intermediate_weights"]
    counters = Counters(of: metric.name, names)
  }

  var variables: [Variable] { counters.variables }

  func update(_ labels: Tensor, _ predictions: Tensor, _ sampleWeights: Tensor?) {
    require(
      labels.rank == 2 && predictions.rank == 2,
      "\(metric.name): expected labels and predictions of [batch, classes], got \(labels.shape) and \(predictions.shape)"
    )
    let (truth, scores) = (labels.cast(to: .float32), predictions.cast(to: .float32))
    let isPositive: Tensor
    if let threshold = metric.arguments["threshold"]?.double {
      isPositive = scores .> threshold
    } else {
      isPositive = (scores .>= scores.max(axes: [-1], keepDims: true)).and(scores.abs() .> 1e-9)
    }
    let guess = isPositive.cast(to: .float32)
    let weights = sampleWeights.map { $0.cast(to: .float32).reshaped(to: [-1, 1]) }
    func sum(_ x: Tensor) -> Tensor {
      (weights.map { x * $0 } ?? x).sum(axes: average == "micro" ? nil : [0])
    }
    let changes = [sum(guess * truth), sum(guess * (1 - truth)), sum((1 - guess) * truth), sum(truth)]
    for (variable, change) in zip(counters(changes[0].shape), changes) {
      variable.value = variable.value + change
    }
  }

  var results: [Double] {
    guard let counts = counters.values else { return [0] }
    let beta = metric.arguments["beta"]?.double ?? 1
    let scores = counts[0].indices.map { i -> Double in
      let precision = counts[0][i] / (counts[0][i] + counts[1][i] + fuzz)
      let recall = counts[0][i] / (counts[0][i] + counts[2][i] + fuzz)
      return precision * recall / (beta * beta * precision + recall + fuzz) * (1 + beta * beta)
    }
    switch average {
    case "weighted":
      let total = counts[3].reduce(0, +) + fuzz
      return [zip(scores, counts[3]).reduce(0) { $0 + $1.0 * ($1.1 / total) }]
    case nil: return scores
    default: return [scores.reduce(0, +) / Double(scores.count)]
    }
  }
}
