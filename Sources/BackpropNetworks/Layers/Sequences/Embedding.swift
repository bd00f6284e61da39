import BackpropTensors

/// A row of a trained table for each whole number: [batch, steps] → [batch, steps, outputDim].
///
/// ```swift
/// Embedding(20_000, 128, maskZero: true)      // number 0 stands for "nothing here"
/// ```
///
/// The gradient adds up in the rows that were looked up. A number outside 0..<inputDim stops eager code with its position;
/// `fit`, `evaluate` and `predict` look for one in the data before they start. Keras' `Embedding`.
public final class Embedding: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var inputDim: Int
    public var outputDim: Int
    public var embeddingsInitializer: Initializer
    public var embeddingsRegularizer: Regularizer?
    public var activityRegularizer: Regularizer?
    public var embeddingsConstraint: Constraint?
    public var maskZero: Bool
  }

  public let configuration: Configuration
  private var embeddings: Weight!

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - inputDim: how many numbers there are, 0 included.
  ///   - outputDim: the elements of a row.
  ///   - maskZero: steps with number 0 don't count in the layers after this one.
  public convenience init(
    _ inputDim: Int, _ outputDim: Int, embeddingsInitializer: Initializer = .randomUniform(),
    embeddingsRegularizer: Regularizer? = nil, activityRegularizer: Regularizer? = nil,
    embeddingsConstraint: Constraint? = nil, maskZero: Bool = false, name: String? = nil,
    trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    let configuration = Configuration(
      inputDim: inputDim, outputDim: outputDim, embeddingsInitializer: embeddingsInitializer,
      embeddingsRegularizer: embeddingsRegularizer, activityRegularizer: activityRegularizer,
      embeddingsConstraint: embeddingsConstraint, maskZero: maskZero)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  package override func checkData(_ column: Column) throws {
    try DataChecks.numbers(column, below: configuration.inputDim, path: path)
  }

  package override var sampleInputs: [TensorType]? { [TensorType([2, 3], .int32)] }

  public override func build(_ input: Shape) throws {
    let c = configuration
    guard c.inputDim > 0, c.outputDim > 0 else {
      throw ModelError(
        .argument, at: path, "inputDim and outputDim must be positive, got \(c.inputDim) and \(c.outputDim)")
    }
    embeddings = addWeight(
      "embeddings", shape: [c.inputDim, c.outputDim], initializer: c.embeddingsInitializer,
      regularizer: c.embeddingsRegularizer, constraint: c.embeddingsConstraint)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let numbers = input.dtype == .int32 || input.dtype == .int64 ? input : input.cast(to: .int32)
    let result = embeddings.value.gathered(numbers)
    if let regularizer = configuration.activityRegularizer {
      context.addLoss(regularizer(result) / Double(max(result.shape[0], 1)))
    }
    return result
  }

  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    [configuration.maskZero ? inputs[0] .!= 0 : nil]
  }
}
