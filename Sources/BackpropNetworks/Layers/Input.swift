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
/// Keras' `InputLayer`. The batch axis isn't part of `shape`.
public final class Input: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// With the batch axis, which is nil.
    public var batchShape: [Int?]
    public var dtype: DType
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DType = .float32
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ shape: Shape, dtype: DType = .float32, name: String? = nil) {
    self.init(configuration: Configuration(batchShape: [nil] + shape.dimensions, dtype: dtype), name: name)
  }

  /// The shape of one sample.
  public var shape: Shape { Shape(configuration.batchShape.dropFirst().map { $0 ?? 1 }) }

  public override class var className: String { "InputLayer" }

  public override func check(_ inputs: [Shape]) throws {
    let sample = Shape(inputs[0].dimensions.dropFirst())
    guard sample != shape else { return }
    let wayOut = sample.elementCount == shape.elementCount ? "; reshape the samples" : ""
    throw ModelError(.shape, at: path, "expected samples of shape \(shape), got \(sample)\(wayOut)")
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor { input }
}
