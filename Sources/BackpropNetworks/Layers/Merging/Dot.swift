import BackpropTensors

/// Sums of products of two inputs along an axis of each, sample by sample.
///
/// ```swift
/// let scores = Dot(axes: [2, 2])([queries, keys])      // [batch, m, d] and [batch, n, d] → [batch, m, n]
/// let similarity = Dot(axes: 1, normalize: true)([x, y])      // [batch, d] twice → [batch, 1], the cosine
/// ```
///
/// Keras' `Dot`.
public final class Dot: Merge, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var axes: OneOrMany<Int>
    public var normalize: Bool
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - axes: one for both inputs, or one for each; the batch axis isn't among them.
  ///   - normalize: the inputs are first scaled to length 1 along the axis.
  public convenience init(axes: OneOrMany<Int>, normalize: Bool = false, name: String? = nil) {
    self.init(configuration: Configuration(axes: axes, normalize: normalize), name: name)
  }

  override var inputCount: Int? { 2 }

  private func positions(_ inputs: [Shape]) throws -> [Int] {
    let axes = configuration.axes
    guard axes.isSingle || axes.values.count == 2 else {
      throw ModelError(.argument, at: path, "expected one axis or two, got \(axes.values.count)")
    }
    return try inputs.enumerated().map { number, shape in
      let axis = axes.isSingle ? axes.values[0] : axes.values[number]
      guard shape.rank >= 2, let position = shape.position(of: axis), position > 0 else {
        throw ModelError(
          .shape, at: path,
          "expected an axis after the batch, there is no axis \(axis) of input \(number) of shape \(shape)")
      }
      return position
    }
  }

  public override func check(_ inputs: [Shape]) throws {
    try checkCount(inputs)
    let axes = try positions(inputs)
    guard inputs[0][axes[0]] == inputs[1][axes[1]], inputs[0][0] == inputs[1][0] else {
      throw ModelError(
        .shape, at: path,
        "the inputs don't fit: axis \(axes[0]) of input 0 of shape \(inputs[0]) has \(inputs[0][axes[0]]) elements, axis \(axes[1]) of input 1 of shape \(inputs[1]) has \(inputs[1][axes[1]])"
      )
    }
  }

  public override func call(_ inputs: [Tensor], _ context: CallContext) -> [Tensor] {
    guard let axes = try? positions(inputs.map(\.shape)) else { programmerError("\(path): unchecked inputs") }
    let (x, y) = (prepared(inputs[0], axes[0]), prepared(inputs[1], axes[1]))
    // [batch, others, k] · [batch, k, others]
    let batch = x.shape[0], size = inputs[0].shape[axes[0]]
    let xOthers = inputs[0].shape.dimensions.enumerated().filter { $0.offset > 0 && $0.offset != axes[0] }
      .map(\.element)
    let yOthers = inputs[1].shape.dimensions.enumerated().filter { $0.offset > 0 && $0.offset != axes[1] }
      .map(\.element)
    let left = moved(x, axes[0]).reshaped(to: [batch, xOthers.reduce(1, *), size])
    let right = moved(y, axes[1]).reshaped(to: [batch, yOthers.reduce(1, *), size])
    let product = left.matmul(right, transposeOther: true)
    let others = xOthers + yOthers
    return [product.reshaped(to: Shape([batch] + (others.isEmpty ? [1] : others)))]
  }

  private func prepared(_ x: Tensor, _ axis: Int) -> Tensor {
    configuration.normalize ? normalized(x, axis) : x
  }

  /// With the axis last.
  private func moved(_ x: Tensor, _ axis: Int) -> Tensor {
    axis == x.rank - 1 ? x : x.transposed((0..<x.rank).filter { $0 != axis } + [axis])
  }

  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] { [nil] }
}
