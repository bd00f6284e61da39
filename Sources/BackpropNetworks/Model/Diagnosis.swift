import BackpropTensors
import Foundation

/// Runs a failed step again, operation by operation, from the same weights, random counter and batch, to find where the
/// first number that isn't finite came from.
struct Diagnosis {
  struct Result {
    var path: String?
    var operation: String?
    var rows: [Int] = []
    var cause: String
  }

  let step: TrainingStep

  /// The data, weight, layer or gradient at fault, and what is wrong with it.
  func find(_ inputs: [Tensor], _ labels: [Tensor], _ sampleWeights: Tensor?) -> Result {
    let model = step.model
    let kept =
      model.weights.map { ($0.variable, $0.variable.stored) } + [
        (model.random.state, model.random.state.stored)
      ]
    defer { for (variable, value) in kept { variable.store(value) } }
    for (number, input) in inputs.enumerated() {
      if let result = Self.bad(input, { "\($0) in the data: input \(number), \($1)" }) { return result }
    }
    for label in labels {
      if let result = Self.bad(label, { "\($0) in the labels, \($1)" }) { return result }
    }
    if let sampleWeights, let result = Self.bad(sampleWeights, { "\($0) in the sample weights, \($1)" }) {
      return result
    }
    for weight in model.weights {
      guard let found = firstNotFinite(weight.value) else { continue }
      return Result(
        path: weight.path,
        cause: "the weight held \(found.value) before the step: an earlier update made it ("
          + "\(Self.words(weight.value.type, TensorStatistics(weight.value)))); try TerminateOnNaN(), which stops "
          + "before such an update, a smaller learning rate, or clipNorm")
    }
    return replay(inputs, labels, sampleWeights)
  }

  private func replay(_ inputs: [Tensor], _ labels: [Tensor], _ sampleWeights: Tensor?) -> Result {
    let outputs = LayerOutputs()
    var context = CallContext(isTraining: true, random: step.model.random)
    context.observer = { outputs.note($0, $1) }
    let weights = step.model.trainableWeights
    let watch = OperationWatch()
    let (loss, gradients) = watch.whileRunning {
      valueAndGradient(at: weights.map(\.variable)) {
        let results = step.model(inputs, context)
        return step.totalLoss(labels, results, sampleWeights: sampleWeights, context)
      }
    }
    let rowCount = inputs.first?.shape.dimensions.first
    if let path = outputs.firstBad {
      // Inside a layer there may be infinities on purpose, as in masks: what counts is the layer whose result is bad.
      let inside = watch.findings.first { !$0.isBackward && $0.places.contains(path) }
      return Self.result(
        inside, path: path, rowCount, "result", otherwise: "this layer's result isn't finite")
    }
    let names = step.state.losses.all.map(\.name).joined(separator: ", ")
    if !loss.item().isFinite {
      let inLoss = watch.findings.first { !$0.isBackward && $0.places.isEmpty }
      return Self.result(
        inLoss, path: nil, rowCount, "result",
        in: "; all layers' results are finite: it began in the loss \(names)",
        otherwise: "all layers' results are finite: it began in the loss \(names)")
    }
    guard let bad = Array(zip(weights, gradients)).last(where: { $1.flatMap(firstNotFinite) != nil }) else {
      return Result(cause: "run again operation by operation, everything is finite")
    }
    // Backward, the layers come last first: the last weight whose gradient is bad is nearest to where it began.
    let gradient = "; the gradient of \(bad.0.path) isn't finite"
    guard let origin = watch.findings.first(where: \.isBackward) else {
      return Result(path: bad.0.path, cause: "the gradient isn't finite")
    }
    return Self.result(
      origin, path: origin.places.last, rowCount, "gradient",
      in: origin.places.isEmpty ? "; it began in the loss \(names)\(gradient)" : gradient,
      otherwise: "")
  }

  private static func result(
    _ finding: OperationWatch.Finding?, path: String?, _ rowCount: Int?, _ what: String,
    in place: String = "",
    otherwise: String
  ) -> Result {
    guard let finding else { return Result(path: path, cause: otherwise) }
    // A tensor whose first axis isn't the batch's has no rows of it.
    let rows = rowCount != nil && finding.type.shape.dimensions.first == rowCount ? finding.rows : []
    let value = finding.statistics.nanCount > 0 ? "nan" : "infinity"
    let at = rows.isEmpty ? "" : ", \(Self.rowWords(rows))"
    return Result(
      path: path, operation: finding.operation, rows: rows,
      cause: "the first \(value) is in the \(what) of \(finding.operation)\(at): "
        + "\(words(finding.type, finding.statistics))\(place)")
  }

  private static func bad(_ tensor: Tensor, _ sentence: (String, String) -> String) -> Result? {
    guard let found = firstNotFinite(tensor) else { return nil }
    let rows = OperationWatch.rows(of: tensor)
    let statistics = words(tensor.type, TensorStatistics(tensor))
    return Result(rows: rows, cause: "\(sentence(found.value, rowWords(rows))) (\(statistics))")
  }

  /// "row 4 of the batch", "rows 1, 5 of the batch".
  private static func rowWords(_ rows: [Int]) -> String {
    "row\(rows.count == 1 ? "" : "s") \(rows.map(String.init).joined(separator: ", ")) of the batch"
  }

  /// "float32[4, 3]: 3 nan, 0 infinite, the others min 1, max 2.5, mean 1.25".
  private static func words(_ type: TensorType, _ statistics: TensorStatistics) -> String {
    let counts = "\(type): \(statistics.nanCount) nan, \(statistics.infiniteCount) infinite"
    if statistics.minimum.isNaN { return counts }
    let others = [("min", statistics.minimum), ("max", statistics.maximum), ("mean", statistics.mean)]
    return counts + ", the others "
      + others.map { "\($0) \(String(format: "%.4g", $1))" }.joined(separator: ", ")
  }
}

/// The first layer whose result isn't finite.
private final class LayerOutputs: @unchecked Sendable {
  private(set) var firstBad: String?

  func note(_ layer: Layer, _ results: [Tensor]) {
    guard firstBad == nil else { return }
    if results.contains(where: { firstNotFinite($0.stopGradient()) != nil }) { firstBad = layer.path }
  }
}
