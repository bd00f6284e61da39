import BackpropTensors

/// What global pooling layers are made from.
public struct GlobalPoolingConfiguration: Codable, Hashable, Sendable {
  public var dataFormat: String?
  public var keepdims: Bool
}

/// One number for each channel of an image: what global max and average pooling share.
public class GlobalPooling: Layer, @unchecked Sendable {
  public let configuration: GlobalPoolingConfiguration

  class var axes: Int { 2 }

  public required init(
    configuration: GlobalPoolingConfiguration, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameter keepDims: the spatial axes stay, with size 1.
  public convenience init(keepDims: Bool = false, name: String? = nil) {
    self.init(
      configuration: GlobalPoolingConfiguration(dataFormat: "channels_last", keepdims: keepDims), name: name)
  }

  public override func build(_ input: Shape) throws { try checkChannelsLast(configuration.dataFormat) }

  public override func check(_ inputs: [Shape]) throws {
    try checkImages(inputs, axes: Self.axes)
    guard inputs[0].dimensions[1...Self.axes].allSatisfy({ $0 > 0 }) else {
      throw ModelError(.shape, at: path, "there is nothing to pool in \(inputs[0])")
    }
  }

  fileprivate var spatialAxes: [Int] { Array(1...Self.axes) }
}

/// The largest of each channel. ``GlobalMaxPooling1D`` and its relatives say over how many axes.
public class GlobalMaxPoolingLayer: GlobalPooling, @unchecked Sendable {
  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    input.max(axes: spatialAxes, keepDims: configuration.keepdims)
  }
}

/// The mean of each channel. ``GlobalAveragePooling1D`` and its relatives say over how many axes.
public class GlobalAveragePoolingLayer: GlobalPooling, @unchecked Sendable {
  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    input.mean(axes: spatialAxes, keepDims: configuration.keepdims)
  }
}

/// The largest of each channel over all steps: [batch, steps, channels] → [batch, channels]. Keras' `GlobalMaxPooling1D`.
public final class GlobalMaxPooling1D: GlobalMaxPoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }
}

/// The largest of each channel over an image: [batch, height, width, channels] → [batch, channels]. Keras'
/// `GlobalMaxPooling2D`.
public final class GlobalMaxPooling2D: GlobalMaxPoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}

/// The largest of each channel over a volume. Keras' `GlobalMaxPooling3D`.
public final class GlobalMaxPooling3D: GlobalMaxPoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 3 }
}

/// The mean of each channel over the steps that the mask leaves: [batch, steps, channels] → [batch, channels]. Keras'
/// `GlobalAveragePooling1D`.
public final class GlobalAveragePooling1D: GlobalAveragePoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 1 }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    guard let mask = context.mask else { return super.call(input, context) }
    let weights = mask.cast(to: input.dtype).expanded(axis: -1)
    let keepDims = configuration.keepdims
    return (input * weights).sum(axes: [1], keepDims: keepDims) / weights.sum(axes: [1], keepDims: keepDims)
  }
}

/// The mean of each channel over an image: [batch, height, width, channels] → [batch, channels]. Keras'
/// `GlobalAveragePooling2D`.
public final class GlobalAveragePooling2D: GlobalAveragePoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 2 }
}

/// The mean of each channel over a volume. Keras' `GlobalAveragePooling3D`.
public final class GlobalAveragePooling3D: GlobalAveragePoolingLayer, ConfigurableLayer, @unchecked Sendable {
  override class var axes: Int { 3 }
}
