import BackpropTensors

/// (x − mean) / √variance along `axis`, each from ``adapt(_:)`` or given. Keras' `Normalization`.
///
/// ```swift
/// let normalize = Normalization()
/// try normalize.adapt(train)      // [rows, features]: a mean and a variance for each feature
/// ```
public final class Normalization: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// The axes that keep statistics of their own; none or nil: one mean for everything.
    public var axis: OneOrMany<Int>?
    /// Whether to go back from normalised values.
    public var invert: Bool
    public var mean: OneOrMany<Double>?
    public var variance: OneOrMany<Double>?
  }

  public let configuration: Configuration
  private var mean: Weight?
  private var variance: Weight?
  private var count: Weight?

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - axis: the axes that keep statistics of their own; nil: one mean for everything.
  ///   - mean: with `variance` in place of what ``adapt(_:)`` finds.
  public convenience init(
    axis: OneOrMany<Int>? = -1, mean: OneOrMany<Double>? = nil, variance: OneOrMany<Double>? = nil,
    invert: Bool = false, name: String? = nil
  ) {
    let configuration = Configuration(axis: axis, invert: invert, mean: mean, variance: variance)
    self.init(configuration: configuration, name: name)
  }

  private func checkOptions() throws {
    let (mean, variance) = (configuration.mean, configuration.variance)
    guard (mean == nil) == (variance == nil), mean?.values.count == variance?.values.count else {
      throw ModelError(
        .argument, at: path,
        "needs mean and variance of one length or neither, got \(mean?.values.count ?? 0) and \(variance?.values.count ?? 0) numbers"
      )
    }
  }

  /// The kept axes of an input of this rank, in order.
  private func keptAxes(_ shape: Shape) throws -> [Int] {
    try shape.positions(of: configuration.axis?.values ?? [], path: path).sorted()
  }

  public override func build(_ input: Shape) throws {
    try checkOptions()
    let axes = try keptAxes(input)
    if configuration.mean != nil { return }
    let shape = Shape(axes.map { input[$0] })
    mean = addWeight("mean", shape: shape, initializer: .zeros, trainable: false)
    variance = addWeight("variance", shape: shape, initializer: .ones, trainable: false)
    count = addWeight("count", shape: [], initializer: .zeros, trainable: false, dtype: .int64)
  }

  public override func check(_ inputs: [Shape]) throws {
    let axes = try keptAxes(inputs[0])
    let sizes = Shape(axes.map { inputs[0][$0] })
    if let mean, mean.shape != sizes {
      throw ModelError(
        .shape, at: path, "has statistics of shape \(mean.shape), the input \(inputs[0]) needs \(sizes)")
    }
    if let given = configuration.mean, !given.isSingle, given.values.count != sizes.dimensions.last ?? 1 {
      throw ModelError(
        .shape, at: path,
        "the mean has \(given.values.count) numbers, the input \(inputs[0]) needs \(sizes.dimensions.last ?? 1)"
      )
    }
  }

  /// Takes mean and variance from all of `data`, batch axis included.
  ///
  /// - Throws: ``ModelError`` for data of another shape than the layer was built with.
  public func adapt(_ data: Tensor) throws {
    try prepare([data.shape])
    guard let mean, let variance else {
      throw ModelError(.order, at: path, "was given mean and variance: there is nothing to adapt")
    }
    let axes = try keptAxes(data.shape)
    let others = (0..<data.rank).filter { !axes.contains($0) }
    let values = data.dtype.isFloatingPoint ? data : data.cast(to: .float32)
    mean.value = (others.isEmpty ? values : values.mean(axes: others)).cast(to: mean.dtype)
    let spread = others.isEmpty ? Tensor.zeros(like: values) : values.variance(axes: others)
    variance.value = spread.cast(to: variance.dtype)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let x = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    let axes = (try? keptAxes(input.shape)) ?? []
    let shape = Shape((0..<input.rank).map { axes.contains($0) ? input.shape[$0] : 1 })
    func placed(_ weight: Weight?, _ given: OneOrMany<Double>?) -> Tensor {
      guard let given else { return weight!.value.reshaped(to: shape).cast(to: x.dtype) }
      if given.isSingle || given.values.count == 1 {
        return Tensor(repeating: given.values[0], shape: [], dtype: x.dtype)
      }
      // A list belongs to the last of the kept axes.
      var line = [Int](repeating: 1, count: input.rank)
      line[axes.last ?? input.rank - 1] = given.values.count
      return Tensor(given.values, shape: Shape(line)).cast(to: x.dtype)
    }
    let center = placed(mean, configuration.mean)
    let deviation = placed(variance, configuration.variance).sqrt().maximum(fuzz)
    return configuration.invert ? center + x * deviation : (x - center) / deviation
  }
}
