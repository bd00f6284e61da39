import BackpropTensors

/// How often each class was taken for each, for intersection over union.
///
/// Weights count whole, cut to integers, unless the metric's dtype is a float; labels and predictions outside of the
/// classes don't count. Keras' `IoU`, `BinaryIoU`, `MeanIoU`, `OneHotIoU` and `OneHotMeanIoU`.
struct ConfusionMatrix: MetricAccumulator {
  private let kind: Metric.Kind
  private let arguments: [String: ConfigValue]
  private let classes: Int
  private let counters: Counters
  private let dtype: DType

  init(_ metric: Metric, _ kind: Metric.Kind) {
    self.kind = kind
    arguments = metric.arguments
    classes = kind == .binaryIoU ? 2 : metric.arguments["num_classes"]?.int ?? 0
    counters = Counters(of: metric.name, ["total_confusion_matrix"])
    dtype = metric.arguments["dtype"] == nil ? .int64 : .float32
  }

  var variables: [Variable] { counters.variables }

  func update(_ labels: Tensor, _ predictions: Tensor, _ sampleWeights: Tensor?) {
    let isOneHot = kind == .oneHotIoU || kind == .oneHotMeanIoU
    let labelsAreClasses = arguments["sparse_y_true"]?.bool ?? !isOneHot
    let predictionsAreClasses = arguments["sparse_y_pred"]?.bool ?? !isOneHot
    let axis = arguments["axis"]?.int ?? -1
    let truth = labelsAreClasses ? labels : labels.argMax(axis: axis)
    var guess = predictionsAreClasses ? predictions : predictions.argMax(axis: axis)
    if kind == .binaryIoU { guess = guess.cast(to: .float32) .>= (arguments["threshold"]?.double ?? 0.5) }
    let (row, column) = (truth.cast(to: .int32).flattened(), guess.cast(to: .int32).flattened())
    var counts = isClass(row).and(isClass(column))
    if let ignored = arguments["ignore_class"]?.int { counts = counts.and(row .!= Double(ignored)) }
    let whole = counts.cast(to: .int32)
    let weights = sampleWeights.map { $0.cast(to: dtype).flattened().broadcast(to: row.shape) }
    let share = counts.cast(to: dtype)
    let place = row * whole * Tensor(Int32(classes)) + column * whole
    let change = (weights.map { $0 * share } ?? share).scatterAdded(rows: classes * classes, at: place)
    let matrix = counters([classes, classes], dtype: dtype)[0]
    matrix.value = matrix.value + change.reshaped(to: [classes, classes])
  }

  private func isClass(_ numbers: Tensor) -> Tensor { (numbers .>= 0).and(numbers .< Double(classes)) }

  /// The mean over the target classes that occurred.
  var results: [Double] {
    guard let matrix = counters.values?[0] else { return [0] }
    let targets = arguments["target_class_ids"]?.elements?.compactMap(\.int) ?? Array(0..<classes)
    let present = targets.compactMap { target -> Double? in
      let row = (0..<classes).reduce(0) { $0 + matrix[target * classes + $1] }
      let column = (0..<classes).reduce(0) { $0 + matrix[$1 * classes + target] }
      let both = matrix[target * classes + target]
      let union = row + column - both
      return union > 1e-9 ? both / (union + fuzz) : nil
    }
    return [present.reduce(0, +) / (Double(present.count) + fuzz)]
  }
}

extension Metric.Kind {
  /// Whether it is made from a confusion matrix.
  var countsConfusion: Bool {
    switch self {
    case .iou, .binaryIoU, .meanIoU, .oneHotIoU, .oneHotMeanIoU: true
    default: false
    }
  }
}
