import BackpropTensors

extension Loss {
  public static let meanSquaredError = Loss(.meanSquaredError)
  public static let meanAbsoluteError = Loss(.meanAbsoluteError)
  public static let mse = Loss(.meanSquaredError)
  public static let mae = Loss(.meanAbsoluteError)
  public static let huber = Loss(.huber)
  public static let binaryCrossentropy = Loss(.binaryCrossentropy)
  public static let categoricalCrossentropy = Loss(.categoricalCrossentropy)
  public static let sparseCategoricalCrossentropy = Loss(.sparseCategoricalCrossentropy)
  public static let klDivergence = Loss(.klDivergence)
  public static let meanAbsolutePercentageError = Loss(.meanAbsolutePercentageError)
  public static let meanSquaredLogarithmicError = Loss(.meanSquaredLogarithmicError)
  public static let mape = Loss(.meanAbsolutePercentageError)
  public static let msle = Loss(.meanSquaredLogarithmicError)
  public static let logCosh = Loss(.logCosh)
  public static let cosineSimilarity = Loss(.cosineSimilarity)
  public static let poisson = Loss(.poisson)
  public static let hinge = Loss(.hinge)
  public static let squaredHinge = Loss(.squaredHinge)
  public static let categoricalHinge = Loss(.categoricalHinge)
  public static let binaryFocalCrossentropy = Loss(.binaryFocalCrossentropy)
  public static let categoricalFocalCrossentropy = Loss(.categoricalFocalCrossentropy)
  public static let categoricalGeneralizedCrossEntropy = Loss(.categoricalGeneralizedCrossEntropy)
  public static let dice = Loss(.dice)
  public static let tversky = Loss(.tversky)
  public static let circle = Loss(.circle)
  public static let ctc = Loss(.ctc)

  /// The mean of (label − prediction)² over the last axis.
  public static func meanSquaredError(reduction: Reduction) -> Loss {
    Loss(.meanSquaredError, reduction: reduction)
  }
  /// The mean of |label − prediction| over the last axis.
  public static func meanAbsoluteError(reduction: Reduction) -> Loss {
    Loss(.meanAbsoluteError, reduction: reduction)
  }
  /// Σ label · log(label / prediction) over the last axis.
  public static func klDivergence(reduction: Reduction) -> Loss { Loss(.klDivergence, reduction: reduction) }

  /// Squared up to an error of `delta`, linear beyond.
  public static func huber(delta: Double = 1, reduction: Reduction = .sumOverBatchSize) -> Loss {
    Loss(.huber, ["delta": .number(delta)], reduction: reduction)
  }

  /// For yes or no, one output for each question.
  public static func binaryCrossentropy(
    fromLogits: Bool = false, labelSmoothing: Double = 0, axis: Int = -1,
    reduction: Reduction = .sumOverBatchSize
  ) -> Loss {
    let arguments: [String: ConfigValue] = [
      "from_logits": .bool(fromLogits), "label_smoothing": .number(labelSmoothing), "axis": .integer(axis),
    ]
    return Loss(.binaryCrossentropy, arguments, reduction: reduction)
  }

  /// For one class out of many, labels one-hot or probabilities.
  public static func categoricalCrossentropy(
    fromLogits: Bool = false, labelSmoothing: Double = 0, axis: Int = -1,
    reduction: Reduction = .sumOverBatchSize
  ) -> Loss {
    let arguments: [String: ConfigValue] = [
      "from_logits": .bool(fromLogits), "label_smoothing": .number(labelSmoothing), "axis": .integer(axis),
    ]
    return Loss(.categoricalCrossentropy, arguments, reduction: reduction)
  }

  /// For one class out of many, labels being the classes' numbers.
  ///
  /// - Parameter ignoreClass: rows with this label don't count.
  public static func sparseCategoricalCrossentropy(
    fromLogits: Bool = false, ignoreClass: Int? = nil, axis: Int = -1,
    reduction: Reduction = .sumOverBatchSize
  ) -> Loss {
    let arguments: [String: ConfigValue] = [
      "from_logits": .bool(fromLogits), "ignore_class": ignoreClass.config, "axis": .integer(axis),
    ]
    return Loss(.sparseCategoricalCrossentropy, arguments, reduction: reduction)
  }

  /// log cosh (prediction − label): squared for small errors, linear for large ones.
  public static func logCosh(reduction: Reduction) -> Loss { Loss(.logCosh, reduction: reduction) }

  /// The mean of |label − prediction| / |label| in percent.
  public static func meanAbsolutePercentageError(reduction: Reduction) -> Loss {
    Loss(.meanAbsolutePercentageError, reduction: reduction)
  }

  /// The mean of (log(label + 1) − log(prediction + 1))².
  public static func meanSquaredLogarithmicError(reduction: Reduction) -> Loss {
    Loss(.meanSquaredLogarithmicError, reduction: reduction)
  }

  /// −cos of the angle between label and prediction: −1 where they point the same way.
  public static func cosineSimilarity(axis: Int = -1, reduction: Reduction = .sumOverBatchSize) -> Loss {
    Loss(.cosineSimilarity, ["axis": .integer(axis)], reduction: reduction)
  }

  /// The mean of prediction − label · log prediction, for counts.
  public static func poisson(reduction: Reduction) -> Loss { Loss(.poisson, reduction: reduction) }

  /// The mean of max(1 − label · prediction, 0), labels being −1 and 1, or 0 and 1.
  public static func hinge(reduction: Reduction) -> Loss { Loss(.hinge, reduction: reduction) }

  /// The mean of max(1 − label · prediction, 0)².
  public static func squaredHinge(reduction: Reduction) -> Loss { Loss(.squaredHinge, reduction: reduction) }

  /// max(0, 1 + the best wrong class' prediction − the right one's); labels are one-hot.
  public static func categoricalHinge(reduction: Reduction) -> Loss {
    Loss(.categoricalHinge, reduction: reduction)
  }

  /// Binary cross-entropy times (1 − the probability of what is right)^`gamma` (Lin et al., 2017).
  ///
  /// - Parameter applyClassBalancing: ones count `alpha`, zeros 1 − `alpha`.
  public static func binaryFocalCrossentropy(
    applyClassBalancing: Bool = false, alpha: Double = 0.25, gamma: Double = 2, fromLogits: Bool = false,
    labelSmoothing: Double = 0, axis: Int = -1, reduction: Reduction = .sumOverBatchSize
  ) -> Loss {
    let arguments: [String: ConfigValue] = [
      "apply_class_balancing": .bool(applyClassBalancing), "alpha": .number(alpha), "gamma": .number(gamma),
      "from_logits": .bool(fromLogits), "label_smoothing": .number(labelSmoothing), "axis": .integer(axis),
    ]
    return Loss(.binaryFocalCrossentropy, arguments, reduction: reduction)
  }

  /// Categorical cross-entropy times `alpha` · (1 − probability)^`gamma`, class by class.
  public static func categoricalFocalCrossentropy(
    alpha: Double = 0.25, gamma: Double = 2, fromLogits: Bool = false, labelSmoothing: Double = 0,
    axis: Int = -1, reduction: Reduction = .sumOverBatchSize
  ) -> Loss {
    let arguments: [String: ConfigValue] = [
      "alpha": .number(alpha), "gamma": .number(gamma), "from_logits": .bool(fromLogits),
      "label_smoothing": .number(labelSmoothing), "axis": .integer(axis),
    ]
    return Loss(.categoricalFocalCrossentropy, arguments, reduction: reduction)
  }

  /// (1 − pᵠ) / q with p the probability of the right class (Zhang and Sabuncu, 2018): labels that are wrong at times
  /// do less harm. Labels are class numbers.
  ///
  /// - Parameter q: between 0 (cross-entropy) and 1 (absolute error).
  public static func categoricalGeneralizedCrossEntropy(
    q: Double = 0.5, reduction: Reduction = .sumOverBatchSize
  ) -> Loss {
    Loss(.categoricalGeneralizedCrossEntropy, ["q": .number(q)], reduction: reduction)
  }

  /// 1 − 2 · the overlap / the sum of both, for segmentation.
  ///
  /// - Parameter axes: to sum over; nil: everything, the batch too.
  public static func dice(axes: [Int]? = nil, reduction: Reduction = .sumOverBatchSize) -> Loss {
    Loss(.dice, ["axis": axes.config], reduction: reduction)
  }

  /// Dice with a weight of its own for missed labels (`alpha`) and for predictions without one (`beta`).
  public static func tversky(
    alpha: Double = 0.5, beta: Double = 0.5, axes: [Int]? = nil, reduction: Reduction = .sumOverBatchSize
  ) -> Loss {
    let arguments: [String: ConfigValue] = [
      "alpha": .number(alpha), "beta": .number(beta), "axis": axes.config,
    ]
    return Loss(.tversky, arguments, reduction: reduction)
  }

  /// Circle loss (Sun et al., 2020): draws rows of one class together and others apart. Predictions are unit vectors,
  /// labels class numbers.
  public static func circle(
    gamma: Double = 80, margin: Double = 0.4, removeDiagonal: Bool = true,
    reduction: Reduction = .sumOverBatchSize
  ) -> Loss {
    let arguments: [String: ConfigValue] = [
      "gamma": .number(gamma), "margin": .number(margin), "remove_diagonal": .bool(removeDiagonal),
    ]
    return Loss(.circle, arguments, reduction: reduction)
  }

  /// Connectionist temporal classification (Graves et al., 2006) of logits [batch, frames, classes] against labels
  /// [batch, longest] that are filled up with 0; class 0 is the blank.
  public static func ctc(reduction: Reduction) -> Loss { Loss(.ctc, reduction: reduction) }
}
