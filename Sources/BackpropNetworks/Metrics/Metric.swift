import BackpropTensors

/// What is counted besides the loss: one of Keras' by name, or a closure of the user's.
///
/// ```swift
/// try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
/// try model.compile(optimizer: Adam(), loss: .mse, metrics: ["mae", .rootMeanSquaredError])
/// ```
///
/// `.accuracy` stands for the one that fits loss and outputs: `model.compiledMetrics` says which it became. Outside of a
/// model ``state()`` gives something to update by hand.
public struct Metric: Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// Keras' classes; the raw value is the class name.
  enum Kind: String, CaseIterable, Sendable {
    case accuracy = "Accuracy"
    case binaryAccuracy = "BinaryAccuracy"
    case categoricalAccuracy = "CategoricalAccuracy"
    case sparseCategoricalAccuracy = "SparseCategoricalAccuracy"
    case topKCategoricalAccuracy = "TopKCategoricalAccuracy"
    case sparseTopKCategoricalAccuracy = "SparseTopKCategoricalAccuracy"
    case meanSquaredError = "MeanSquaredError"
    case meanAbsoluteError = "MeanAbsoluteError"
    case rootMeanSquaredError = "RootMeanSquaredError"
    case meanAbsolutePercentageError = "MeanAbsolutePercentageError"
    case meanSquaredLogarithmicError = "MeanSquaredLogarithmicError"
    case logCoshError = "LogCoshError"
    case cosineSimilarity = "CosineSimilarity"
    case r2Score = "R2Score"
    case pearsonCorrelation = "PearsonCorrelation"
    case concordanceCorrelation = "ConcordanceCorrelation"
    case binaryCrossentropy = "BinaryCrossentropy"
    case categoricalCrossentropy = "CategoricalCrossentropy"
    case sparseCategoricalCrossentropy = "SparseCategoricalCrossentropy"
    case klDivergence = "KLDivergence"
    case poisson = "Poisson"
    case hinge = "Hinge"
    case squaredHinge = "SquaredHinge"
    case categoricalHinge = "CategoricalHinge"
    case truePositives = "TruePositives"
    case trueNegatives = "TrueNegatives"
    case falsePositives = "FalsePositives"
    case falseNegatives = "FalseNegatives"
    case precision = "Precision"
    case recall = "Recall"
    case precisionAtRecall = "PrecisionAtRecall"
    case recallAtPrecision = "RecallAtPrecision"
    case sensitivityAtSpecificity = "SensitivityAtSpecificity"
    case specificityAtSensitivity = "SpecificityAtSensitivity"
    case auc = "AUC"
    case fBetaScore = "FBetaScore"
    case f1Score = "F1Score"
    case iou = "IoU"
    case binaryIoU = "BinaryIoU"
    case meanIoU = "MeanIoU"
    case oneHotIoU = "OneHotIoU"
    case oneHotMeanIoU = "OneHotMeanIoU"
    case mean = "Mean"
    case sum = "Sum"

    /// Keras' name of a metric that was given none.
    var defaultName: String {
      switch self {
      case .logCoshError: "logcosh"
      case .fBetaScore: "fbeta_score"
      default: KerasNaming.snake(rawValue)
      }
    }
  }

  /// How values become one number.
  enum Form: Sendable {
    /// To be replaced by the accuracy that fits.
    case fittingAccuracy
    /// To be replaced by the cross-entropy that fits.
    case fittingCrossentropy
    case kind(Kind)
    case custom(@Sendable (_ labels: Tensor, _ predictions: Tensor) -> Tensor)
    case unknown
  }

  /// The key in logs and history, such as `accuracy`.
  public let name: String
  /// Keras' arguments.
  public let arguments: [String: ConfigValue]
  let form: Form

  init(_ form: Form, name: String, _ arguments: [String: ConfigValue] = [:]) {
    self.form = form
    self.name = name
    self.arguments = arguments
  }

  init(_ kind: Kind, name: String? = nil, _ arguments: [String: ConfigValue] = [:]) {
    self.init(.kind(kind), name: name ?? kind.defaultName, arguments)
  }

  /// A metric of the user's: the mean of the values that `function` gives for each row.
  public init(
    _ name: String, _ function: @escaping @Sendable (_ labels: Tensor, _ predictions: Tensor) -> Tensor
  ) {
    self.init(.custom(function), name: name)
  }

  /// From a name such as `"mae"`; an unknown one is reported by `compile`.
  public init(stringLiteral name: String) {
    self.init(Self.form(named: name), name: name)
  }

  /// - Throws: ``ModelError`` with the nearest name when there is none of this one.
  public init(named name: String) throws {
    self.init(stringLiteral: name)
    try check()
  }

  /// From Keras' class name and configuration.
  package init(className: String, config: [String: ConfigValue]) {
    let form = Self.form(named: className)
    var name = config["name"]?.text ?? KerasNaming.snake(className)
    var arguments = config.filter { !["name", "dtype", "fn"].contains($0.key) }
    if case .kind(let kind) = form {
      name = config["name"]?.text ?? kind.defaultName
      // Whether weights count whole or as they are; of the others the dtype says nothing.
      if kind.countsConfusion, config["dtype"]?.text?.hasPrefix("float") == true {
        arguments["dtype"] = config["dtype"]
      }
    }
    self.init(form, name: name, arguments)
  }

  private static let aliases: [String: Kind] = [
    "mse": .meanSquaredError, "mae": .meanAbsoluteError, "rmse": .rootMeanSquaredError,
    "mape": .meanAbsolutePercentageError, "msle": .meanSquaredLogarithmicError, "bce": .binaryCrossentropy,
  ]

  private static func form(named name: String) -> Form {
    if name == "accuracy" || name == "acc" { return .fittingAccuracy }
    if name == "crossentropy" || name == "ce" { return .fittingCrossentropy }
    if let kind = aliases[name.lowercased()] { return .kind(kind) }
    let kind = Kind.allCases.first { $0.rawValue == name || KerasNaming.snake($0.rawValue) == name }
    return kind.map { .kind($0) } ?? .unknown
  }

  /// - Throws: ``ModelError`` with the nearest name when there is no metric of this one, and for arguments outside
  ///   their range.
  func check() throws {
    if case .kind(let kind) = form { try kind.check(arguments) }
    guard case .unknown = form else { return }
    let names = Kind.allCases.map { KerasNaming.snake($0.rawValue) } + Self.aliases.keys
    throw ModelError.unknown("metric", name, among: names)
  }

  /// Keras' class name, or the user's name.
  public var className: String {
    if case .kind(let kind) = form { return kind.rawValue }
    return name
  }

  public var description: String {
    if case .kind(let kind) = form, name != kind.defaultName { return "\(name) (\(kind.rawValue))" }
    return name
  }

  /// The accuracy or cross-entropy that fits, as Keras chooses it: by the loss where that leaves no choice, else by the
  /// shapes.
  func fitting(loss: Loss?, labels: Shape, predictions: Shape) -> Metric {
    let isAccuracy: Bool
    switch form {
    case .fittingAccuracy: isAccuracy = true
    case .fittingCrossentropy: isAccuracy = false
    case .kind, .custom, .unknown: return self
    }
    let (binary, sparse, categorical): (Kind, Kind, Kind) =
      isAccuracy
      ? (.binaryAccuracy, .sparseCategoricalAccuracy, .categoricalAccuracy)
      : (.binaryCrossentropy, .sparseCategoricalCrossentropy, .categoricalCrossentropy)
    let kind: Kind =
      switch loss?.kind {
      case .sparseCategoricalCrossentropy: sparse
      case .categoricalCrossentropy: categorical
      case .binaryCrossentropy: binary
      default:
        if predictions.dimensions.last == 1 || predictions.rank == 1 {
          binary
        } else if labels.rank < predictions.rank || labels.dimensions.last == 1 {
          sparse
        } else {
          categorical
        }
      }
    return Metric(kind, name: name, arguments)
  }

  /// Counters of this metric, at zero.
  public func state() -> MetricState { MetricState(self) }
}
