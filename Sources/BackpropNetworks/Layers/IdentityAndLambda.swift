import BackpropTensors

/// Passes its input on. Keras' `Identity`.
public final class Identity: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {}

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(name: String? = nil) { self.init(configuration: Configuration(), name: name) }

  public override var supportsMasking: Bool { true }

  public override var inputCounts: ClosedRange<Int> { 1...Int.max }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] { inputs }
}

/// A function of yours without weights.
///
/// ```swift
/// let root = Lambda { $0.abs().sqrt() }
/// let distance = Lambda { inputs, _ in [(inputs[0] - inputs[1]).abs().sum(axes: [-1])] }
/// ```
///
/// For code only: a file can't hold a function, so a model with one can't be saved, and a `Lambda` in a file of Keras', which
/// is Python code, isn't run. Write a ``Layer`` of your own for what has weights. Keras' `Lambda`.
public final class Lambda: Layer, @unchecked Sendable {
  private let function: @Sendable ([Tensor], CallContext) -> [Tensor]

  /// A function of one tensor.
  public convenience init(name: String? = nil, _ function: @escaping @Sendable (Tensor) -> Tensor) {
    self.init(name: name) { inputs, _ in [function(inputs[0])] }
  }

  /// A function of several tensors and of how the layer is called.
  public init(name: String? = nil, _ function: @escaping @Sendable ([Tensor], CallContext) -> [Tensor]) {
    self.function = function
    super.init(name: name)
  }

  public override func build(_ inputs: [Shape]) throws {}

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    function(inputs, context)
  }
}
