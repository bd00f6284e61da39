import BackpropTensors

/// The inputs one after the other along an axis.
///
/// ```swift
/// let both = Concatenate()([x, y])      // [batch, 3] and [batch, 4] → [batch, 7]
/// ```
///
/// Keras' `Concatenate`.
public final class Concatenate: Merge, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var axis: Int
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(axis: Int = -1, name: String? = nil) {
    self.init(configuration: Configuration(axis: axis), name: name)
  }

  public override func check(_ inputs: [Shape]) throws {
    try checkCount(inputs)
    let axis = configuration.axis
    guard let position = inputs[0].position(of: axis) else {
      throw ModelError(.shape, at: path, "there is no axis \(axis) in input 0 of shape \(inputs[0])")
    }
    for (number, input) in inputs.enumerated().dropFirst() {
      var (a, b) = (inputs[0].dimensions, input.dimensions)
      guard a.count == b.count else {
        throw ModelError(
          .shape, at: path,
          "the inputs have different ranks: input 0 is \(inputs[0]), input \(number) is \(input); Flatten() or Reshape one of them"
        )
      }
      a[position] = 0
      b[position] = 0
      guard a == b else {
        throw ModelError(
          .shape, at: path,
          "the inputs may differ along axis \(axis) only: input 0 is \(inputs[0]), input \(number) is \(input)"
        )
      }
    }
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    [Tensor.concatenate(inputs, axis: configuration.axis)]
  }

  /// Inputs without a mask count everywhere.
  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    guard inputs.contains(where: { $0.mask != nil }) else { return [nil] }
    let masks = inputs.map { input -> Tensor in
      guard var mask = input.mask else { return Tensor.ones(input.shape, dtype: .bool) }
      if mask.rank < input.rank { mask = mask.expanded(axis: -1).broadcast(to: input.shape) }
      return mask
    }
    return [Tensor.concatenate(masks, axis: configuration.axis).any(axes: [-1])]
  }
}
