import BackpropTensors

/// How far predictions are from labels: one of Keras' by name, or a closure of the user's.
///
/// ```swift
/// try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
/// try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy(fromLogits: true))
/// try model.compile(optimizer: Adam(), loss: "mse")
/// try model.compile(optimizer: Adam(), loss: Loss("cubic") { labels, predictions in
///   (labels - predictions).abs().power(3).mean(axes: [-1])
/// })
/// ```
///
/// Numbers are those of Keras on TensorFlow: a cross-entropy that is fed by a softmax or sigmoid works on what went into
/// it; other probabilities are cut to 1e-7…1 − 1e-7 (after being normalised, for categorical ones).
public struct Loss: Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  public enum Reduction: String, Sendable, Codable, CaseIterable {
    /// The sum over the number of values. Keras' default.
    case sumOverBatchSize = "sum_over_batch_size"
    case sum
    /// The same as `sumOverBatchSize`.
    case mean
    /// The sum over the sum of the weights.
    case meanWithSampleWeight = "mean_with_sample_weight"
    /// One value for each row.
    case none
  }

  /// Keras' classes; the raw value is the class name.
  enum Kind: String, CaseIterable, Sendable {
    case meanSquaredError = "MeanSquaredError"
    case meanAbsoluteError = "MeanAbsoluteError"
    case meanAbsolutePercentageError = "MeanAbsolutePercentageError"
    case meanSquaredLogarithmicError = "MeanSquaredLogarithmicError"
    case huber = "Huber"
    case logCosh = "LogCosh"
    case cosineSimilarity = "CosineSimilarity"
    case poisson = "Poisson"
    case hinge = "Hinge"
    case squaredHinge = "SquaredHinge"
    case categoricalHinge = "CategoricalHinge"
    case binaryCrossentropy = "BinaryCrossentropy"
    case binaryFocalCrossentropy = "BinaryFocalCrossentropy"
    case categoricalCrossentropy = "CategoricalCrossentropy"
    case categoricalFocalCrossentropy = "CategoricalFocalCrossentropy"
    case categoricalGeneralizedCrossEntropy = "CategoricalGeneralizedCrossEntropy"
    case sparseCategoricalCrossentropy = "SparseCategoricalCrossentropy"
    case klDivergence = "KLDivergence"
    case dice = "Dice"
    case tversky = "Tversky"
    case circle = "Circle"
    case ctc = "CTC"
  }

  /// Keras' name, such as `mean_squared_error`.
  public let name: String
  public let reduction: Reduction
  /// Keras' arguments besides name and reduction.
  public let arguments: [String: ConfigValue]
  private let className: String
  private let custom: (@Sendable (_ labels: Tensor, _ predictions: Tensor) -> Tensor)?

  init(_ kind: Kind, _ arguments: [String: ConfigValue] = [:], reduction: Reduction = .sumOverBatchSize) {
    className = kind.rawValue
    name = KerasNaming.snake(kind.rawValue)
    self.arguments = arguments
    self.reduction = reduction
    custom = nil
  }

  /// A loss of the user's: one value for each row, from labels and predictions.
  public init(
    _ name: String, reduction: Reduction = .sumOverBatchSize,
    _ function: @escaping @Sendable (_ labels: Tensor, _ predictions: Tensor) -> Tensor
  ) {
    self.name = name
    className = name
    arguments = [:]
    self.reduction = reduction
    custom = function
  }

  /// From a name such as `"mse"`; an unknown one is reported by `compile`.
  public init(stringLiteral name: String) {
    self.init(className: Self.kind(named: name)?.rawValue ?? name, config: [:])
  }

  /// - Throws: ``ModelError`` with the nearest name when there is none of this one.
  public init(named name: String) throws {
    self.init(stringLiteral: name)
    _ = try resolved()
  }

  /// From Keras' class name and configuration.
  package init(className: String, config: [String: ConfigValue]) {
    self.className = className
    name = Self.kind(named: className).map { KerasNaming.snake($0.rawValue) } ?? className
    reduction = config["reduction"]?.text.flatMap(Reduction.init) ?? .sumOverBatchSize
    arguments = config.filter { !["name", "reduction", "dtype", "fn"].contains($0.key) }
    custom = nil
  }

  static let aliases = [
    "mse": "MeanSquaredError", "mae": "MeanAbsoluteError", "bce": "BinaryCrossentropy",
    "mape": "MeanAbsolutePercentageError", "msle": "MeanSquaredLogarithmicError",
    "kld": "KLDivergence", "kullback_leibler_divergence": "KLDivergence", "logcosh": "LogCosh",
  ]

  private static func kind(named name: String) -> Kind? {
    if let full = aliases[name.lowercased()] { return Kind(rawValue: full) }
    return Kind.allCases.first { $0.rawValue == name || KerasNaming.snake($0.rawValue) == name }
  }

  /// The kind (nil for the user's own), or what is wrong with the name.
  func resolved() throws -> Kind? {
    if custom != nil { return nil }
    if let kind = Self.kind(named: className) {
      try kind.check(arguments)
      return kind
    }
    let names = Kind.allCases.map { KerasNaming.snake($0.rawValue) } + Self.aliases.keys
    throw ModelError.unknown("loss", className, among: names)
  }

  var kind: Kind? { custom == nil ? Self.kind(named: className) : nil }

  public var description: String { name }

  // MARK: Value

  /// The loss: a scalar, or with `.none` one value for each row.
  ///
  /// - Parameters:
  ///   - labels: for sparse cross-entropy class numbers [batch] or [batch, 1], else of the predictions' shape.
  ///   - sampleWeights: [batch], or one weight for each value.
  public func callAsFunction(_ labels: Tensor, _ predictions: Tensor, sampleWeights: Tensor? = nil) -> Tensor
  {
    do { try check(labels: labels.type, predictions: predictions.type) } catch { programmerError("\(error)") }
    let (values, mask) = rowValues(labels, predictions)
    // Steps that don't count in the predictions don't count in the loss.
    let steps = predictions.mask.map { given in mask.map { $0.cast(to: .bool).and(given) } ?? given } ?? mask
    return reduced(values, sampleWeights, steps)
  }

  func rowValues(_ labels: Tensor, _ predictions: Tensor) -> (Tensor, mask: Tensor?) {
    let predictions = predictions.dtype.isFloatingPoint ? predictions : predictions.cast(to: .float32)
    if let custom { return (custom(labels, predictions), nil) }
    guard let kind else { programmerError("unknown loss '\(className)'") }
    return kind.values(labels, predictions, arguments)
  }

  private func reduced(_ values: Tensor, _ sampleWeights: Tensor?, _ mask: Tensor?) -> Tensor {
    var values = values
    var weights = sampleWeights?.cast(to: values.dtype)
    if let mask {
      var share = mask.cast(to: values.dtype)
      if reduction == .sumOverBatchSize || reduction == .mean {
        // So that dividing by all rows below is dividing by those that count.
        share = share * (Double(share.count) / (share.sum() + 1e-7))
      }
      weights = weights.map { fitted($0, to: share) * share } ?? share
    }
    if let given = weights {
      // Keras: one value for each row beside weights [rows, 1] becomes [rows, 1] too.
      if values.rank == 1, given.rank == 2, given.shape[-1] == 1, mask == nil {
        values = values.expanded(axis: -1)
      }
      let fitted = fitted(given, to: values)
      values = values * fitted
      weights = fitted
    }
    switch reduction {
    case .none: return values
    case .sum: return values.sum()
    case .sumOverBatchSize, .mean: return values.sum() / Double(max(values.count, 1))
    case .meanWithSampleWeight:
      guard let weights else { return values.sum() / Double(max(values.count, 1)) }
      let (total, divisor) = (values.sum(), weights.sum())
      let safe = Tensor.select(divisor .== 0, Tensor.ones(like: divisor), divisor)
      return Tensor.select(divisor .== 0, Tensor.zeros(like: total), total / safe)
    }
  }

  /// Weights with the rank of the values: a last axis of 1 comes or goes, and missing axes stretch.
  private func fitted(_ weights: Tensor, to values: Tensor) -> Tensor {
    if weights.rank == values.rank + 1, weights.shape[-1] == 1 { return weights.squeezed(axes: [-1]) }
    var weights = weights
    while weights.rank < values.rank { weights = weights.expanded(axis: -1) }
    return weights
  }
}
