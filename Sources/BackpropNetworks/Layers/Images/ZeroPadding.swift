import BackpropTensors

/// Amounts before and after each spatial axis, as Keras writes them: one pair for one axis, a list of pairs for several.
public struct EdgeAmounts: Codable, Hashable, Sendable {
  public var pairs: [[Int]]

  public init(_ pairs: [[Int]]) { self.pairs = pairs }

  /// The same before and after: one number for all axes or one for each.
  init(_ amounts: OneOrMany<Int>, axes: Int) { pairs = amounts.over(axes).map { [$0, $0] } }

  /// A pair, or a list of them.
  public init(from decoder: Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let pair = try? container.decode([Int].self) {
      pairs = [pair]
    } else {
      pairs = try container.decode([[Int]].self)
    }
  }

  public func encode(to encoder: Encoder) throws {
    var container = encoder.singleValueContainer()
    if pairs.count == 1 { try container.encode(pairs[0]) } else { try container.encode(pairs) }
  }

  func check(_ name: String, axes: Int, at path: String) throws {
    guard pairs.count == axes, pairs.allSatisfy({ $0.count == 2 && $0.allSatisfy { $0 >= 0 } }) else {
      throw ModelError(
        .argument, at: path, "\(name) has two numbers of 0 or more for each of \(axes) axes, got \(pairs)")
    }
  }
}

/// What zero padding layers are made from.
public struct ZeroPaddingConfiguration: Codable, Hashable, Sendable {
  public var padding: EdgeAmounts
  public var dataFormat: String?
}

/// Zeros around images. ``ZeroPadding1D``, ``ZeroPadding2D`` and ``ZeroPadding3D`` say along how many axes.
public class ZeroPadding: Layer, @unchecked Sendable {
  public let configuration: ZeroPaddingConfiguration

  class var axes: Int { 2 }

  public required init(
    configuration: ZeroPaddingConfiguration, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameter padding: zeros at both ends, one number for all spatial axes or one for each.
  public convenience init(_ padding: OneOrMany<Int> = 1, name: String? = nil) {
    self.init(
      configuration: .init(padding: EdgeAmounts(padding, axes: Self.axes), dataFormat: "channels_last"),
      name: name)
  }

  /// - Parameter padding: zeros before and after, a pair for each spatial axis.
  public convenience init(edges padding: [(before: Int, after: Int)], name: String? = nil) {
    let pairs = EdgeAmounts(padding.map { [$0.before, $0.after] })
    self.init(configuration: .init(padding: pairs, dataFormat: "channels_last"), name: name)
  }

  public override func build(_ input: Shape) throws {
    try checkChannelsLast(configuration.dataFormat)
    try configuration.padding.check("padding", axes: Self.axes, at: path)
  }

  public override func check(_ inputs: [Shape]) throws { try checkImages(inputs, axes: Self.axes) }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let widths = [(before: 0, after: 0)] + configuration.padding.pairs.map { ($0[0], $0[1]) } + [(0, 0)]
    return input.padded(widths)
  }
}

/// Zeros before and after the steps of [batch, steps, channels]. Keras' `ZeroPadding1D`.
public final class ZeroPadding1D: ZeroPadding, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }
}

/// Zeros around [batch, height, width, channels]. Keras' `ZeroPadding2D`.
///
/// ```swift
/// ZeroPadding2D(edges: [(0, 1), (0, 1)])
/// ```
public final class ZeroPadding2D: ZeroPadding, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}

/// Zeros around [batch, depth, height, width, channels]. Keras' `ZeroPadding3D`.
public final class ZeroPadding3D: ZeroPadding, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 3 }
}
