import BackpropTensors

/// The shape of a model's samples, so that it is built before it sees data.
///
/// ```swift
/// Sequential {
///   Input([28, 28])
///   Flatten()
///   Dense(10, activation: .softmax)
/// }
/// ```
///
/// or so that layers can be called on it: what they give says how a ``Functional`` model computes its outputs.
///
/// ```swift
/// let image = Input([28, 28]), age = Input([1])
/// let features = Dense(64, activation: .relu)(Flatten()(image))
/// let model = try Model(inputs: [image, age], outputs: [Dense(10)(Concatenate()([features, age]))])
/// ```
///
/// Keras' `InputLayer`. The batch axis isn't part of `shape`.
public final class Input: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// With the batch axis, which is nil.
    public var batchShape: [Int?]
    public var dtype: DType
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ shape: Shape, dtype: DType? = nil, name: String? = nil) {
    self.init(sizes: shape.dimensions, dtype: dtype, name: name)
  }

  /// Samples of which some sizes are open: nil, such as the number of steps.
  public convenience init(sizes: [Int?], dtype: DType? = nil, name: String? = nil) {
    let dtype = dtype ?? DTypePolicy.floatx
    self.init(configuration: Configuration(batchShape: [nil] + sizes, dtype: dtype), name: name)
  }

  /// The shape of one sample; 1 for a size that is open.
  public var shape: Shape { Shape(sizes.map { $0 ?? 1 }) }

  /// The sizes of one sample, nil where they are open.
  public var sizes: [Int?] { Array(configuration.batchShape.dropFirst()) }

  package override class var savesTrainable: Bool { false }

  /// The one call of an input layer.
  let symbol = SymbolCell()

  public override var supportsMasking: Bool { true }
  public override var castsInputs: Bool { false }

  public override class var className: String { "InputLayer" }

  public override func check(_ inputs: [Shape]) throws {
    let sample = Shape(inputs[0].dimensions.dropFirst())
    let fits = sample.rank == sizes.count && zip(sizes, sample).allSatisfy { $0 == nil || $0 == $1 }
    if fits { return }
    let wayOut = sample.elementCount == shape.elementCount ? "; reshape the samples" : ""
    throw ModelError(
      .shape, at: path, "expected samples of shape \(described(sizes)), got \(sample)\(wayOut)")
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor { input }
}
