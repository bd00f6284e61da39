import BackpropTensors

/// What becomes of numbers of categories.
public enum CategoryOutput: String, Codable, Hashable, Sendable, CaseIterable {
  /// The numbers as they are.
  case int
  /// A row of zeros with a one for each number.
  case oneHot = "one_hot"
  /// One row for all numbers of a sample, one where a category occurs.
  case multiHot = "multi_hot"
  /// One row for all numbers of a sample: how often each category occurs.
  case count
  /// Counts times how rare a category is among samples.
  case tfIDF = "tf_idf"

  public init(from decoder: Decoder) throws {
    let container = try decoder.singleValueContainer()
    let name = try container.decode(String.self)
    // Keras' older names.
    let names = ["binary": "multi_hot", "tf-idf": "tf_idf"]
    guard let mode = CategoryOutput(rawValue: names[name] ?? name) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "there is no output mode '\(name)'")
    }
    self = mode
  }
}

extension Tensor {
  /// Numbers of categories as rows, as Keras' `encode_categorical_inputs` has them. Numbers outside of 0..<depth make no
  /// mark.
  ///
  /// - Parameter weights: of this shape: what each number counts.
  func encoded(_ mode: CategoryOutput, depth: Int, weights: Tensor? = nil, dtype: DType) -> Tensor {
    if mode == .int { return cast(to: dtype) }
    var numbers = cast(to: .int64)
    if numbers.rank == 0 { numbers = numbers.reshaped(to: [1]) }
    if mode == .oneHot, numbers.rank > 1, numbers.shape[-1] == 1 { numbers = numbers.squeezed(axes: [-1]) }
    let marks = (numbers.expanded(axis: -1) .== Tensor.range(to: depth, dtype: .int64)).cast(to: dtype)
    let axis = numbers.rank > 1 ? 1 : 0
    switch mode {
    case .int, .oneHot: return marks
    case .multiHot: return marks.max(axes: [axis])
    case .count, .tfIDF:
      guard let weights else { return marks.sum(axes: [axis]) }
      let share = weights.reshaped(to: numbers.shape).expanded(axis: -1).cast(to: dtype)
      return (marks * share).sum(axes: [axis])
    }
  }

  /// The first element that isn't a whole number of `range`.
  func firstOutside(_ range: Range<Int>) -> (position: Int, value: Double)? {
    for (position, value) in doubles.enumerated() {
      let isInside = value == value.rounded() && value >= Double(range.lowerBound)
      if !isInside || value >= Double(range.upperBound) { return (position, value) }
    }
    return nil
  }

  /// Whether the elements can be looked at now: neither traced nor recorded.
  var isReadable: Bool { !isTraced }
}

/// `3`, `2.5`
func plain(_ value: Double) -> String { Int(exactly: value).map { "\($0)" } ?? "\(value)" }

/// Numbers of categories as one-hot, multi-hot or count rows. Keras' `CategoryEncoding`.
///
/// ```swift
/// CategoryEncoding(4, output: .oneHot)(Tensor([3, 0]))      // [[0, 0, 0, 1], [1, 0, 0, 0]]
/// ```
///
/// A number outside of 0..<`tokenCount` stops the program, naming it; ``encode(_:countWeights:)`` throws instead. Inside
/// of a compiled step, where numbers can't be looked at, it makes no mark.
public final class CategoryEncoding: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var numTokens: Int
    public var outputMode: CategoryOutput
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ tokenCount: Int, output: CategoryOutput = .multiHot, name: String? = nil) {
    let configuration = Configuration(numTokens: tokenCount, outputMode: output)
    self.init(configuration: configuration, name: name)
  }

  private func checkOptions() throws {
    if configuration.numTokens < 1 {
      throw ModelError(.argument, at: path, "needs at least 1 token, got \(configuration.numTokens)")
    }
    if configuration.outputMode == .int || configuration.outputMode == .tfIDF {
      throw ModelError(
        .argument, at: path,
        "expected the output mode one_hot, multi_hot or count, got \(configuration.outputMode.rawValue)")
    }
  }

  package override func checkData(_ column: Column) throws {
    try DataChecks.numbers(column, below: configuration.numTokens, path: path)
  }

  public override func build(_ input: Shape) throws { try checkOptions() }

  /// Rows for numbers that can be looked at.
  ///
  /// - Parameter countWeights: what each number counts, in the mode `count` alone.
  /// - Throws: ``ModelError`` naming the first number that is no category.
  public func encode(_ numbers: Tensor, countWeights: Tensor? = nil) throws -> Tensor {
    try checkOptions()
    if let (position, value) = numbers.firstOutside(0..<configuration.numTokens) {
      throw ModelError(
        .data, at: path,
        "expected categories in 0..<\(configuration.numTokens), got \(plain(value)) at position \(position)")
    }
    if countWeights != nil, configuration.outputMode != .count {
      throw ModelError(.argument, at: path, "count weights need the output mode count")
    }
    return numbers.encoded(
      configuration.outputMode, depth: configuration.numTokens, weights: countWeights, dtype: dtype)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    if input.isReadable {
      do { return try encode(input) } catch { programmerError("\(error)") }
    }
    return input.encoded(configuration.outputMode, depth: configuration.numTokens, dtype: dtype)
  }
}
