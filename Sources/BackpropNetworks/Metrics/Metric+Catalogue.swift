import BackpropTensors

extension Metric {
  public static let accuracy = Metric(.fittingAccuracy, name: "accuracy")
  public static let categoricalAccuracy = Metric(.categoricalAccuracy)
  public static let sparseCategoricalAccuracy = Metric(.sparseCategoricalAccuracy)
  public static let meanSquaredError = Metric(.meanSquaredError)
  public static let meanAbsoluteError = Metric(.meanAbsoluteError)
  public static let rootMeanSquaredError = Metric(.rootMeanSquaredError)
  public static let mse = Metric(.meanSquaredError, name: "mse")
  public static let mae = Metric(.meanAbsoluteError, name: "mae")
  /// The mean of given values; see ``MetricState/update(values:sampleWeights:)``.
  public static let mean = Metric(.mean)
  /// How often predictions equal labels exactly.
  public static let exactAccuracy = Metric(.accuracy, name: "accuracy")
  public static let binaryAccuracy = Metric(.binaryAccuracy)

  /// How often predictions are on the label's side of `threshold`.
  public static func binaryAccuracy(threshold: Double) -> Metric {
    Metric(.binaryAccuracy, ["threshold": .number(threshold)])
  }

  /// How often the label is among the `k` largest predictions; labels are one-hot.
  public static func topKCategoricalAccuracy(k: Int = 5) -> Metric {
    Metric(.topKCategoricalAccuracy, ["k": .integer(k)])
  }

  /// How often the label is among the `k` largest predictions; labels are class numbers.
  ///
  /// - Parameter fromSortedIds: predictions are class numbers already, the likeliest first.
  public static func sparseTopKCategoricalAccuracy(k: Int = 5, fromSortedIds: Bool = false) -> Metric {
    Metric(.sparseTopKCategoricalAccuracy, ["k": .integer(k), "from_sorted_ids": .bool(fromSortedIds)])
  }

  public static let meanAbsolutePercentageError = Metric(.meanAbsolutePercentageError)
  public static let meanSquaredLogarithmicError = Metric(.meanSquaredLogarithmicError)
  public static let logCoshError = Metric(.logCoshError)
  public static let klDivergence = Metric(.klDivergence)
  public static let poisson = Metric(.poisson)
  /// Labels −1 and 1, or 0 and 1.
  public static let hinge = Metric(.hinge)
  public static let squaredHinge = Metric(.squaredHinge)
  /// Labels one-hot.
  public static let categoricalHinge = Metric(.categoricalHinge)
  /// The cross-entropy that fits loss and outputs.
  public static let crossentropy = Metric(.fittingCrossentropy, name: "crossentropy")
  /// The sum of given values; see ``MetricState/update(values:sampleWeights:)``.
  public static let sum = Metric(.sum)

  /// The mean of the loss' values, whatever its reduction.
  public init(_ loss: Loss, name: String? = nil) {
    self.init(name ?? loss.name) { labels, predictions in loss.rowValues(labels, predictions).0 }
  }

  /// The cosine of the angle between label and prediction.
  public static func cosineSimilarity(axis: Int = -1) -> Metric {
    Metric(.cosineSimilarity, ["axis": .integer(axis)])
  }

  /// Pearson's correlation of labels and predictions along `axis`.
  public static func pearsonCorrelation(axis: Int = -1) -> Metric {
    Metric(.pearsonCorrelation, ["axis": .integer(axis)])
  }

  /// The concordance correlation (Lin, 1989) of labels and predictions along `axis`, as Keras computes it.
  public static func concordanceCorrelation(axis: Int = -1) -> Metric {
    Metric(.concordanceCorrelation, ["axis": .integer(axis)])
  }

  public static func binaryCrossentropy(fromLogits: Bool = false, labelSmoothing: Double = 0) -> Metric {
    Metric(
      .binaryCrossentropy, ["from_logits": .bool(fromLogits), "label_smoothing": .number(labelSmoothing)])
  }

  public static func categoricalCrossentropy(
    fromLogits: Bool = false, labelSmoothing: Double = 0, axis: Int = -1
  ) -> Metric {
    let arguments: [String: ConfigValue] = [
      "from_logits": .bool(fromLogits), "label_smoothing": .number(labelSmoothing), "axis": .integer(axis),
    ]
    return Metric(.categoricalCrossentropy, arguments)
  }

  public static func sparseCategoricalCrossentropy(
    fromLogits: Bool = false, ignoreClass: Int? = nil, axis: Int = -1
  ) -> Metric {
    let arguments: [String: ConfigValue] = [
      "from_logits": .bool(fromLogits), "ignore_class": ignoreClass.config, "axis": .integer(axis),
    ]
    return Metric(.sparseCategoricalCrossentropy, arguments)
  }
}
