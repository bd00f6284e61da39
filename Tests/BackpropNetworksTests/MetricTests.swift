import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

@Suite("Metrics") struct MetricTests {
  static let cases = Golden("metrics").cases + Golden("further_metrics").cases

  @Test("Keras' results over several batches", arguments: cases, [false, true])
  func kerasResults(_ golden: GoldenCase, _ isCompiled: Bool) {
    let metric = Metric(className: golden.text("metric"), config: golden.config("config")).state()
    for update in golden.values["updates"] as! [[String: Any]] {
      let batch = GoldenCase(values: update)
      let weights = batch.has("sample_weight") ? [batch.tensor("sample_weight")] : []
      let hasWeights = !weights.isEmpty
      let isValues = batch.has("values")
      let names = isValues ? ["values"] : ["y_true", "y_pred"]
      @Sendable func count(_ tensors: [Tensor]) {
        let weights = hasWeights ? tensors.last : nil
        if isValues {
          metric.update(values: tensors[0], sampleWeights: weights)
        } else {
          metric.update(labels: tensors[0], predictions: tensors[1], sampleWeights: weights)
        }
      }
      let tensors = names.map { batch.tensor($0) } + weights
      if isCompiled {
        let step = compiled { tensors in
          count(tensors)
          return []
        }
        _ = step(tensors)
      } else {
        count(tensors)
      }
      let expected = batch.tensor("result")
      let results = metric.results.map { Float($0) }
      guard results.count == expected.count else {
        Issue.record("\(results.count) results, expected \(expected.count)")
        return
      }
      expectClose(
        Tensor(results, shape: expected.shape), expected.cast(to: .float32), atol: 1e-6, rtol: 1e-6, "result")
    }
    metric.reset()
    #expect(metric.variables.allSatisfy { $0.stored.doubles.allSatisfy { $0 == 0 } })
  }

  @Test("every one of Keras' metrics has goldens, and a name that means it", arguments: Metric.Kind.allCases)
  func everyKind(_ kind: Metric.Kind) {
    #expect(Self.cases.contains { $0.text("metric") == kind.rawValue })
    guard case .kind(let named) = Metric(stringLiteral: KerasNaming.snake(kind.rawValue)).form else {
      // "accuracy" is the one that fits.
      #expect(kind == .accuracy)
      return
    }
    #expect(named == kind)
  }

  @Test("names in compile, results in evaluate")
  func byName() throws {
    let model = Sequential { Dense(3, activation: .softmax) }
    try model.compile(
      optimizer: "sgd", loss: .categoricalCrossentropy,
      metrics: ["auc", "precision", "crossentropy", .f1Score(), .meanIoU(classCount: 2)],
      weightedMetrics: ["recall"])
    let inputs = RandomGenerator(seed: 1).normal([20, 4])
    let classes = RandomGenerator(seed: 2).integers([20], in: 0..<3)
    let labels = classes.oneHot(classes: 3)
    let weights = RandomGenerator(seed: 3).uniform([20])
    let found = try model.evaluate(inputs, labels, batchSize: 8, sampleWeight: weights)
    #expect(
      found.logs.names == [
        "loss", "auc", "precision", "crossentropy", "f1_score_0", "f1_score_1", "f1_score_2", "mean_io_u",
        "recall",
      ])
    let auc = Metric("auc").state()
    auc.update(labels: labels, predictions: try model.predict(inputs))
    #expect(abs(found["auc"]! - auc.result) < 1e-6)
    let fitted = try model.fit(inputs, labels, epochs: 1, batchSize: 8, verbose: .silent)
    #expect(fitted["f1_score_2"].count == 1)
  }

  private static let refusals: [(Metric, String)] = [
    ("io_u", "IoU needs 'num_classes'"),
    ("precision_at_recall", "PrecisionAtRecall needs 'recall'"),
    (.recall(atPrecision: 2), "RecallAtPrecision: expected a number in 0...1 for 'precision', got 2.0"),
    (
      .precision(thresholds: [0.5, 1.5]),
      "Precision: expected numbers in 0...1 for 'thresholds', got 1.5"
    ),
    (.auc(thresholdCount: 1), "AUC: expected at least 2 for 'num_thresholds', got 1"),
    (
      Metric(className: "AUC", config: ["curve": "RO"]), "AUC: expected ROC, PR, PRGAIN for 'curve', got RO"
    ),
    (
      .iou(classCount: 3, targetClasses: [0, 3]),
      "IoU: expected classes in 0..<3 for 'target_class_ids', got 3"
    ),
    (.fBetaScore(beta: 0), "FBetaScore: expected a positive number for 'beta', got 0.0"),
    (
      .f1Score(threshold: 0), "F1Score: expected a number above 0, at most 1 for 'threshold', got 0.0"
    ),
  ]

  @Test("arguments outside their range are refused by name", arguments: refusals)
  func badArguments(_ metric: Metric, _ expected: String) {
    #expect(message { try metric.check() } == expected)
  }

  private static let misfits: [(Metric, Shape, Shape, String)] = [
    (
      .f1Score(), [4], [4, 1],
      "f1_score: expected labels and predictions of [batch, outputs], got labels of shape [4] against predictions of shape [4, 1]"
    ),
    (
      .recall(classId: 3), [4, 3], [4, 3],
      "recall: expected a class 3 among the predictions' columns, got labels of shape [4, 3] against predictions of shape [4, 3]"
    ),
    (
      .auc(multiLabel: true), [4], [4],
      "auc: expected predictions of [batch, labels], got labels of shape [4] against predictions of shape [4]"
    ),
  ]

  @Test("shapes that can't be counted are refused", arguments: misfits)
  func shapes(_ metric: Metric, _ labels: Shape, _ predictions: Shape, _ expected: String) {
    #expect(message { try metric.check(labels: labels, predictions: predictions) } == expected)
  }

  @Test("fit and evaluate refuse them before anything is computed") func shapesInFit() throws {
    let model = Sequential { Dense(3) }
    try model.compile(optimizer: SGD(), loss: .meanSquaredError, metrics: [.recall(classId: 3)])
    let (x, y) = (Tensor.zeros([4, 2]), Tensor.zeros([4, 3]))
    let expected =
      "recall: expected a class 3 among the predictions' columns, got labels of shape [4, 3] against predictions of shape [4, 3]"
    #expect(message { try model.fit(x, y, epochs: 1, verbose: .silent) }?.hasSuffix(expected) == true)
    #expect(message { _ = try model.evaluate(x, y) }?.hasSuffix(expected) == true)
  }
}
