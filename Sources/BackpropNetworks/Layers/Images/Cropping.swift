import BackpropTensors

/// Cuts the edges of images off. ``Cropping1D``, ``Cropping2D`` and ``Cropping3D`` say along how many axes.
public class Cropping: Layer, @unchecked Sendable {
  class var axes: Int { 2 }

  fileprivate var amounts: EdgeAmounts { EdgeAmounts([]) }

  public override func check(_ inputs: [Shape]) throws {
    try checkImages(inputs, axes: Self.axes)
    for (axis, pair) in amounts.pairs.enumerated() where pair[0] + pair[1] >= inputs[0][axis + 1] {
      throw ModelError(
        .shape, at: path,
        "cropping \(pair[0]) and \(pair[1]) leaves nothing of axis \(axis + 1) of \(inputs[0])")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    amounts.pairs.enumerated().reduce(input) { image, entry in
      let (axis, pair) = (entry.offset + 1, entry.element)
      return image.sliced(axis: axis, from: pair[0], count: image.shape[axis] - pair[0] - pair[1])
    }
  }
}

/// Cuts steps off both ends of [batch, steps, channels]. Keras' `Cropping1D`.
public final class Cropping1D: Cropping, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var cropping: EdgeAmounts
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ cropping: (before: Int, after: Int) = (1, 1), name: String? = nil) {
    self.init(configuration: .init(cropping: EdgeAmounts([[cropping.before, cropping.after]])), name: name)
  }

  override class var axes: Int { 1 }
  override fileprivate var amounts: EdgeAmounts { configuration.cropping }

  public override func build(_ input: Shape) throws {
    try configuration.cropping.check("cropping", axes: 1, at: path)
  }
}

/// What ``Cropping2D`` and ``Cropping3D`` are made from.
public struct CroppingConfiguration: Codable, Hashable, Sendable {
  public var cropping: EdgeAmounts
  public var dataFormat: String?
}

/// What ``Cropping2D`` and ``Cropping3D`` share.
public class ImageCropping: Cropping, @unchecked Sendable {
  public let configuration: CroppingConfiguration

  public required init(
    configuration: CroppingConfiguration, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameter cropping: positions cut off at both ends, one number for all spatial axes or one for each.
  public convenience init(_ cropping: OneOrMany<Int>, name: String? = nil) {
    let amounts = EdgeAmounts(cropping, axes: Self.axes)
    self.init(configuration: .init(cropping: amounts, dataFormat: "channels_last"), name: name)
  }

  /// - Parameter cropping: positions cut off before and after, a pair for each spatial axis.
  public convenience init(edges cropping: [(before: Int, after: Int)], name: String? = nil) {
    let amounts = EdgeAmounts(cropping.map { [$0.before, $0.after] })
    self.init(configuration: .init(cropping: amounts, dataFormat: "channels_last"), name: name)
  }

  override fileprivate var amounts: EdgeAmounts { configuration.cropping }

  public override func build(_ input: Shape) throws {
    try checkChannelsLast(configuration.dataFormat)
    try configuration.cropping.check("cropping", axes: Self.axes, at: path)
  }
}

/// Cuts the edges off [batch, height, width, channels]. Keras' `Cropping2D`.
public final class Cropping2D: ImageCropping, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}

/// Cuts the edges off [batch, depth, height, width, channels]. Keras' `Cropping3D`.
public final class Cropping3D: ImageCropping, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 3 }
}
