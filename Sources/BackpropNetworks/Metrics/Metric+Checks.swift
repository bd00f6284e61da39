import BackpropTensors

extension Metric.Kind {
  /// The argument that names the least rate that must be kept.
  var constraint: String? {
    switch self {
    case .precisionAtRecall: "recall"
    case .recallAtPrecision: "precision"
    case .sensitivityAtSpecificity: "specificity"
    case .specificityAtSensitivity: "sensitivity"
    default: nil
    }
  }

  /// Arguments without which the metric can't count.
  private var requiredArguments: [String] {
    switch self {
    case .iou, .oneHotIoU: ["num_classes", "target_class_ids"]
    case .meanIoU, .oneHotMeanIoU: ["num_classes"]
    default: constraint.map { [$0] } ?? []
    }
  }

  /// Arguments that must be one of a few words; nil stands for null.
  private var choices: [String: [String?]] {
    switch self {
    case .auc:
      ["curve": ["ROC", "PR", "PRGAIN"], "summation_method": ["interpolation", "majoring", "minoring"]]
    case .fBetaScore, .f1Score: ["average": [nil, "micro", "macro", "weighted"]]
    case .r2Score: ["class_aggregation": [nil, "uniform_average", "variance_weighted_average"]]
    default: [:]
    }
  }

  /// - Throws: ``ModelError`` for an argument that is missing or outside its range.
  func check(_ arguments: [String: ConfigValue]) throws {
    func refuse(_ name: String, _ expected: String, _ found: some CustomStringConvertible) -> ModelError {
      ModelError(.argument, "\(rawValue): expected \(expected) for '\(name)', got \(found)")
    }
    for name in requiredArguments where (arguments[name] ?? .null) == .null {
      throw ModelError(.argument, "\(rawValue) needs '\(name)'")
    }
    for (name, words) in choices {
      guard let given = arguments[name] else { continue }
      if words.contains(where: { $0?.lowercased() == given.text?.lowercased() }) { continue }
      throw refuse(name, words.map { $0 ?? "null" }.joined(separator: ", "), given.text ?? given.kindName)
    }
    let thresholds = arguments["thresholds"].map { $0.elements ?? [$0] } ?? []
    for threshold in thresholds where threshold != .null {
      guard let value = threshold.double, (0...1).contains(value) else {
        throw refuse("thresholds", "numbers in 0...1", threshold.double.map { "\($0)" } ?? threshold.kindName)
      }
    }
    if let name = constraint, let value = arguments[name]?.double, !(0...1).contains(value) {
      throw refuse(name, "a number in 0...1", value)
    }
    if let count = arguments["num_thresholds"]?.int, count < (self == .auc ? 2 : 1) {
      throw refuse("num_thresholds", "at least \(self == .auc ? 2 : 1)", count)
    }
    if self == .fBetaScore, let beta = arguments["beta"]?.double, beta <= 0 {
      throw refuse("beta", "a positive number", beta)
    }
    if self == .fBetaScore || self == .f1Score, let limit = arguments["threshold"]?.double,
      !(limit > 0 && limit <= 1)
    {
      throw refuse("threshold", "a number above 0, at most 1", limit)
    }
    if countsConfusion { try checkClasses(arguments) }
  }

  private func checkClasses(_ arguments: [String: ConfigValue]) throws {
    let classes = self == .binaryIoU ? 2 : arguments["num_classes"]?.int ?? 0
    guard classes > 0 else {
      throw ModelError(.argument, "\(rawValue): expected a positive number for 'num_classes', got \(classes)")
    }
    for target in arguments["target_class_ids"]?.elements ?? [] {
      if let number = target.int, (0..<classes).contains(number) { continue }
      let found = target.int.map { "\($0)" } ?? target.kindName
      throw ModelError(
        .argument, "\(rawValue): expected classes in 0..<\(classes) for 'target_class_ids', got \(found)")
    }
  }
}

extension Metric {
  /// Whether labels and predictions of these shapes can be counted.
  ///
  /// - Throws: ``ModelError`` with both shapes.
  func check(labels: Shape, predictions: Shape) throws {
    guard case .kind(let kind) = form else { return }
    func refuse(_ expected: String) -> ModelError {
      ModelError(
        .shape,
        "\(name): expected \(expected), got labels of shape \(labels) against predictions of shape \(predictions)"
      )
    }
    switch kind {
    case .fBetaScore, .f1Score, .r2Score:
      if labels.rank != 2 || predictions.rank != 2 {
        throw refuse("labels and predictions of [batch, outputs]")
      }
    case .auc where arguments["multi_label"]?.bool == true:
      if predictions.rank != 2 { throw refuse("predictions of [batch, labels]") }
    case .precision, .recall, .precisionAtRecall, .recallAtPrecision, .sensitivityAtSpecificity,
      .specificityAtSensitivity:
      guard let number = arguments["class_id"]?.int else { return }
      let classes = predictions.rank > 1 ? predictions[-1] : 0
      if !(0..<classes).contains(number) { throw refuse("a class \(number) among the predictions' columns") }
    default: return
    }
  }
}
