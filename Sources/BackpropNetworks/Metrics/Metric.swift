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
    case mean = "Mean"
  }

  /// How values become one number.
  enum Form: Sendable {
    /// To be replaced by the accuracy that fits.
    case fittingAccuracy
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
    self.init(.kind(kind), name: name ?? KerasNaming.snake(kind.rawValue), arguments)
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
    let name = config["name"]?.text ?? KerasNaming.snake(className)
    self.init(Self.form(named: className), name: name, config.filter { !["name", "dtype"].contains($0.key) })
  }

  private static let aliases: [String: Kind] = [
    "mse": .meanSquaredError, "mae": .meanAbsoluteError, "rmse": .rootMeanSquaredError,
  ]

  private static func form(named name: String) -> Form {
    if name == "accuracy" || name == "acc" { return .fittingAccuracy }
    if let kind = aliases[name.lowercased()] { return .kind(kind) }
    let kind = Kind.allCases.first { $0.rawValue == name || KerasNaming.snake($0.rawValue) == name }
    return kind.map { .kind($0) } ?? .unknown
  }

  /// - Throws: ``ModelError`` with the nearest name when there is no metric of this one.
  func check() throws {
    guard case .unknown = form else { return }
    let names = Kind.allCases.map { KerasNaming.snake($0.rawValue) } + Self.aliases.keys
    throw ModelError.unknown("metric", name, among: names)
  }

  /// Keras' class name, or the user's name.
  public var className: String {
    if case .kind(let kind) = form { return kind.rawValue }
    return name
  }

  public var description: String { name == KerasNaming.snake(className) ? name : "\(name) (\(className))" }

  /// The accuracy that fits, as Keras chooses it: by the loss where that leaves no choice, else by the shapes.
  func fitting(loss: Loss?, labels: Shape, predictions: Shape) -> Metric {
    guard case .fittingAccuracy = form else { return self }
    let kind: Kind =
      switch loss?.kind {
      case .sparseCategoricalCrossentropy: .sparseCategoricalAccuracy
      case .categoricalCrossentropy: .categoricalAccuracy
      case .binaryCrossentropy: .binaryAccuracy
      default:
        if predictions.dimensions.last == 1 || predictions.rank == 1 {
          .binaryAccuracy
        } else if labels.rank < predictions.rank || labels.dimensions.last == 1 {
          .sparseCategoricalAccuracy
        } else {
          .categoricalAccuracy
        }
      }
    return Metric(kind, name: name, arguments)
  }

  /// Counters of this metric, at zero.
  public func state() -> MetricState { MetricState(self) }
}

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
}
