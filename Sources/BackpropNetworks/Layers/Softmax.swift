import BackpropTensors

/// Positive numbers that add up to 1 along an axis, or along several together. Keras' `Softmax`.
///
/// The context's mask, where there is one, says which inputs count; the others give 0.
public final class Softmax: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var axis: OneOrMany<Int>
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(axis: OneOrMany<Int> = -1, name: String? = nil) {
    self.init(configuration: Configuration(axis: axis), name: name)
  }

  public override var supportsMasking: Bool { true }

  private var axes: [Int] { configuration.axis.values }

  public override func check(_ inputs: [Shape]) throws {
    guard !axes.isEmpty else { throw ModelError(.argument, at: path, "expected an axis, got none") }
    _ = try inputs[0].positions(of: axes, path: path)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let x = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    // A mask of steps says nothing of the elements along the axis, and is passed on alone.
    guard let mask = context.mask, Shape.broadcast(mask.shape, x.shape) == x.shape else {
      return normalised(x)
    }
    // Keras: far below everything else before, and 0 after, also where the whole axis is masked.
    let kept = normalised(Tensor.select(mask, x, Tensor(repeating: -1e9, shape: [], dtype: x.dtype)))
    return Tensor.select(mask, kept, Tensor(repeating: 0, shape: [], dtype: x.dtype))
  }

  private func normalised(_ x: Tensor) -> Tensor {
    axes.count == 1 ? x.softmax(axis: axes[0]) : (x - x.logSumExp(axes: axes, keepDims: true)).exp()
  }
}
