import BackpropTensors

extension Metric {
  /// What counts for this metric.
  func makeAccumulator() -> any MetricAccumulator {
    guard case .kind(let kind) = form else { return MeanAccumulator(self) }
    do { try kind.check(arguments) } catch { programmerError("\(error)") }
    switch kind {
    case .sum: return SumAccumulator()
    case .truePositives: return counted(.truePositives)
    case .trueNegatives: return counted(.trueNegatives)
    case .falsePositives: return counted(.falsePositives)
    case .falseNegatives: return counted(.falseNegatives)
    case .precision: return ratio(to: .falsePositives)
    case .recall: return ratio(to: .falseNegatives)
    case .precisionAtRecall, .recallAtPrecision, .sensitivityAtSpecificity, .specificityAtSensitivity:
      return bestUnderConstraint(kind)
    case .auc: return areaUnderCurve()
    case .fBetaScore, .f1Score: return FScore(self)
    case .r2Score: return R2Score(self)
    default: return kind.countsConfusion ? ConfusionMatrix(self, kind) : MeanAccumulator(self)
    }
  }

  /// One threshold, several, or the standard.
  private func thresholds(standard: Double) -> [Double] {
    guard let given = arguments["thresholds"], given != .null else { return [standard] }
    return given.double.map { [$0] } ?? given.elements?.compactMap(\.double) ?? [standard]
  }

  private func counted(_ count: ThresholdCounts.Count) -> ThresholdCounts {
    ThresholdCounts(self, thresholds: thresholds(standard: 0.5), counts: [count]) { $0[0] }
  }

  /// True positives over them and `others`: precision or recall.
  private func ratio(to others: ThresholdCounts.Count) -> ThresholdCounts {
    let topK = arguments["top_k"]?.int
    let thresholds = thresholds(standard: topK == nil ? 0.5 : lowest)
    var counts = ThresholdCounts(self, thresholds: thresholds, counts: [.truePositives, others]) { counts in
      zip(counts[0], counts[1]).map { share($0, of: $0 + $1) }
    }
    counts.topK = topK
    counts.classId = arguments["class_id"]?.int
    return counts
  }

  /// `count` thresholds from 0 to 1.
  private func evenThresholds(_ count: Int) -> [Double] {
    count == 1 ? [0.5] : (0..<count).map { Double($0) / Double(count - 1) }
  }

  /// The best of one rate among the thresholds where another is at least as large as asked.
  private func bestUnderConstraint(_ kind: Kind) -> ThresholdCounts {
    let count = arguments["num_thresholds"]?.int ?? 200
    let least = kind.constraint.flatMap { arguments[$0]?.double } ?? 0
    var counts = ThresholdCounts(
      self, thresholds: evenThresholds(count), counts: ThresholdCounts.Count.allCases, isEven: count > 1
    ) { counts in
      let rates = counts[0].indices.map { i -> (constrained: Double, wanted: Double) in
        let (tp, fp, tn, fn) = (counts[0][i], counts[1][i], counts[2][i], counts[3][i])
        let (precision, recall) = (share(tp, of: tp + fp), share(tp, of: tp + fn))
        let specificity = share(tn, of: tn + fp)
        switch kind {
        case .precisionAtRecall: return (recall, precision)
        case .recallAtPrecision: return (precision, recall)
        case .sensitivityAtSpecificity: return (specificity, recall)
        default: return (recall, specificity)
        }
      }
      // Compared as float32, as Keras counts: 0.1f is at least 0.1.
      return [rates.filter { Float($0.constrained) >= Float(least) }.map(\.wanted).max() ?? 0]
    }
    counts.classId = arguments["class_id"]?.int
    return counts
  }

  private func areaUnderCurve() -> ThresholdCounts {
    var inner = evenThresholds(arguments["num_thresholds"]?.int ?? 200).dropFirst().dropLast().map { $0 }
    var isEven = true
    if let given = arguments["thresholds"]?.elements {
      inner = given.compactMap(\.double).sorted()
      isEven = ThresholdCounts.areEven([0] + inner + [1])
    }
    // A little wider, so that predictions of 0 and 1 are inside.
    let thresholds = [-fuzz] + inner + [1 + fuzz]
    let columnWeights = arguments["label_weights"]?.elements?.compactMap(\.double)
    let keepsColumns = arguments["multi_label"]?.bool ?? false
    let area = AreaUnderCurve(
      curve: arguments["curve"]?.text?.uppercased() ?? "ROC",
      summation: arguments["summation_method"]?.text?.lowercased() ?? "interpolation",
      thresholds: thresholds.count, columnWeights: keepsColumns ? columnWeights : nil)
    var counts = ThresholdCounts(
      self, thresholds: thresholds, counts: ThresholdCounts.Count.allCases, isEven: isEven
    ) { [area($0)] }
    counts.fromLogits = arguments["from_logits"]?.bool ?? false
    counts.keepsColumns = keepsColumns
    counts.columnWeights = columnWeights
    return counts
  }
}
