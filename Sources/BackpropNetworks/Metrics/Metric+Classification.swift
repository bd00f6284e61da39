import BackpropTensors

/// Metrics of yes or no at thresholds, and of classes.
extension Metric {
  /// Of what is predicted, how much is right, at each of `thresholds` (0.5 when nil).
  ///
  /// - Parameters:
  ///   - topK: only the k largest predictions of a row are positive.
  ///   - classId: only this column counts.
  public static func precision(thresholds: [Double]? = nil, topK: Int? = nil, classId: Int? = nil) -> Metric {
    Metric(.precision, ["thresholds": thresholds.config, "top_k": topK.config, "class_id": classId.config])
  }

  /// Of what is there, how much is predicted; arguments as for precision.
  public static func recall(thresholds: [Double]? = nil, topK: Int? = nil, classId: Int? = nil) -> Metric {
    Metric(.recall, ["thresholds": thresholds.config, "top_k": topK.config, "class_id": classId.config])
  }

  /// How many predictions above each threshold (0.5 when nil) are right.
  public static func truePositives(thresholds: [Double]? = nil) -> Metric {
    Metric(.truePositives, ["thresholds": thresholds.config])
  }
  /// How many predictions that aren't above each threshold are right.
  public static func trueNegatives(thresholds: [Double]? = nil) -> Metric {
    Metric(.trueNegatives, ["thresholds": thresholds.config])
  }
  /// How many predictions above each threshold are wrong.
  public static func falsePositives(thresholds: [Double]? = nil) -> Metric {
    Metric(.falsePositives, ["thresholds": thresholds.config])
  }
  /// How many predictions that aren't above each threshold are wrong.
  public static func falseNegatives(thresholds: [Double]? = nil) -> Metric {
    Metric(.falseNegatives, ["thresholds": thresholds.config])
  }

  private static func best(
    _ kind: Kind, _ least: Double, _ thresholdCount: Int, _ classId: Int?
  ) -> Metric {
    let arguments: [String: ConfigValue] = [
      kind.constraint!: .number(least), "num_thresholds": .integer(thresholdCount),
      "class_id": classId.config,
    ]
    return Metric(kind, arguments)
  }

  /// The best precision at a threshold where recall is at least `recall`.
  public static func precision(
    atRecall recall: Double, thresholdCount: Int = 200, classId: Int? = nil
  ) -> Metric {
    best(.precisionAtRecall, recall, thresholdCount, classId)
  }
  /// The best recall at a threshold where precision is at least `precision`.
  public static func recall(
    atPrecision precision: Double, thresholdCount: Int = 200, classId: Int? = nil
  ) -> Metric {
    best(.recallAtPrecision, precision, thresholdCount, classId)
  }
  /// The best true-positive rate at a threshold where the true-negative rate is at least `specificity`.
  public static func sensitivity(
    atSpecificity specificity: Double, thresholdCount: Int = 200, classId: Int? = nil
  ) -> Metric {
    best(.sensitivityAtSpecificity, specificity, thresholdCount, classId)
  }
  /// The best true-negative rate at a threshold where the true-positive rate is at least `sensitivity`.
  public static func specificity(
    atSensitivity sensitivity: Double, thresholdCount: Int = 200, classId: Int? = nil
  ) -> Metric {
    best(.specificityAtSensitivity, sensitivity, thresholdCount, classId)
  }

  public enum Curve: String, Sendable {
    /// True-positive rate over false-positive rate.
    case roc = "ROC"
    /// Precision over recall.
    case pr = "PR"
    /// Precision gain over recall gain (Flach and Kull, 2015).
    case prGain = "PRGAIN"
  }

  public enum Summation: String, Sendable {
    /// Trapezoids; for precision over recall interpolated true positives.
    case interpolation
    case minoring, majoring
  }

  /// The area under a curve, from counts at `thresholdCount` thresholds, or at 0, `thresholds` and 1.
  ///
  /// - Parameters:
  ///   - multiLabel: an area for each column, then their mean by `labelWeights`; otherwise these weigh the columns'
  ///     elements.
  ///   - fromLogits: predictions go through a sigmoid first.
  public static func auc(
    curve: Curve = .roc, summation: Summation = .interpolation, thresholdCount: Int = 200,
    thresholds: [Double]? = nil, multiLabel: Bool = false, labelWeights: [Double]? = nil,
    fromLogits: Bool = false
  ) -> Metric {
    var arguments: [String: ConfigValue] = [
      "num_thresholds": .integer(thresholdCount), "curve": .string(curve.rawValue),
      "summation_method": .string(summation.rawValue), "multi_label": .bool(multiLabel),
      "label_weights": labelWeights.config, "from_logits": .bool(fromLogits),
    ]
    if let thresholds { arguments["thresholds"] = .array(thresholds.map { .number($0) }) }
    return Metric(.auc, arguments)
  }

  public enum Average: String, Sendable {
    /// Of the counts of all classes.
    case micro
    /// Of the classes' scores.
    case macro
    /// Of the classes' scores by how often each class occurs.
    case weighted
  }

  /// The harmonic mean of precision and recall, recall counting `beta` times as much; one for each class without
  /// `average`.
  ///
  /// - Parameter threshold: nil: a row's largest predictions are positive.
  public static func fBetaScore(
    beta: Double = 1, average: Average? = nil, threshold: Double? = nil
  ) -> Metric {
    let arguments: [String: ConfigValue] = [
      "average": average.map { .string($0.rawValue) } ?? .null, "beta": .number(beta),
      "threshold": threshold.config,
    ]
    return Metric(.fBetaScore, arguments)
  }

  /// The harmonic mean of precision and recall.
  public static func f1Score(average: Average? = nil, threshold: Double? = nil) -> Metric {
    let average: ConfigValue = average.map { .string($0.rawValue) } ?? .null
    return Metric(.f1Score, ["average": average, "threshold": threshold.config])
  }

  public enum Aggregation: String, Sendable {
    case uniform = "uniform_average"
    case byVariance = "variance_weighted_average"
  }

  /// The share of the labels' variance that predictions explain; one for each output where `aggregation` is nil.
  ///
  /// - Parameter regressorCount: adjusts the score for this many independent regressors.
  public static func r2Score(aggregation: Aggregation? = .uniform, regressorCount: Int = 0) -> Metric {
    let aggregation: ConfigValue = aggregation.map { .string($0.rawValue) } ?? .null
    return Metric(
      .r2Score, ["class_aggregation": aggregation, "num_regressors": .integer(regressorCount)])
  }

  /// Intersection over union of class numbers, the mean of the target classes that occur.
  ///
  /// - Parameters:
  ///   - labelsAreClasses: false: labels have an axis of classes, of which the largest counts.
  ///   - predictionsAreClasses: the same for predictions.
  public static func iou(
    classCount: Int, targetClasses: [Int], ignoreClass: Int? = nil, labelsAreClasses: Bool = true,
    predictionsAreClasses: Bool = true, axis: Int = -1
  ) -> Metric {
    let arguments: [String: ConfigValue] = [
      "num_classes": .integer(classCount), "target_class_ids": Optional(targetClasses).config,
      "ignore_class": ignoreClass.config, "sparse_y_true": .bool(labelsAreClasses),
      "sparse_y_pred": .bool(predictionsAreClasses), "axis": .integer(axis),
    ]
    return Metric(.iou, arguments)
  }

  /// Intersection over union of all classes.
  public static func meanIoU(
    classCount: Int, ignoreClass: Int? = nil, labelsAreClasses: Bool = true,
    predictionsAreClasses: Bool = true, axis: Int = -1
  ) -> Metric {
    let arguments: [String: ConfigValue] = [
      "num_classes": .integer(classCount), "ignore_class": ignoreClass.config,
      "sparse_y_true": .bool(labelsAreClasses), "sparse_y_pred": .bool(predictionsAreClasses),
      "axis": .integer(axis),
    ]
    return Metric(.meanIoU, arguments)
  }

  /// Intersection over union of yes and no, `threshold` or more being yes.
  public static func binaryIoU(targetClasses: [Int] = [0, 1], threshold: Double = 0.5) -> Metric {
    let targets = Optional(targetClasses).config
    return Metric(.binaryIoU, ["target_class_ids": targets, "threshold": .number(threshold)])
  }

  /// Intersection over union of one-hot labels and, unless `predictionsAreClasses`, predictions for each class.
  public static func oneHotIoU(
    classCount: Int, targetClasses: [Int], ignoreClass: Int? = nil, predictionsAreClasses: Bool = false,
    axis: Int = -1
  ) -> Metric {
    let arguments: [String: ConfigValue] = [
      "num_classes": .integer(classCount), "target_class_ids": Optional(targetClasses).config,
      "ignore_class": ignoreClass.config, "sparse_y_pred": .bool(predictionsAreClasses),
      "axis": .integer(axis),
    ]
    return Metric(.oneHotIoU, arguments)
  }

  /// The same of all classes.
  public static func oneHotMeanIoU(
    classCount: Int, ignoreClass: Int? = nil, predictionsAreClasses: Bool = false, axis: Int = -1
  ) -> Metric {
    let arguments: [String: ConfigValue] = [
      "num_classes": .integer(classCount), "ignore_class": ignoreClass.config,
      "sparse_y_pred": .bool(predictionsAreClasses), "axis": .integer(axis),
    ]
    return Metric(.oneHotMeanIoU, arguments)
  }
}
