import BackpropTensors

/// Images of another size: [batch, height, width, channels]. Keras' `Resizing`, with TensorFlow's numbers.
///
/// Whole numbers stay whole: they are rounded.
public final class Resizing: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var height: Int
    public var width: Int
    /// `nearest`, `bilinear`, `bicubic`, `lanczos3`, `lanczos5` or `area`.
    public var interpolation: String
    /// Cut the image to the new proportions first.
    public var cropToAspectRatio: Bool
    /// Surround the image to the new proportions first, with `fillValue`.
    public var padToAspectRatio: Bool
    public var fillMode: String
    public var fillValue: Double
    /// Average what a smaller image leaves out.
    public var antialias: Bool
    public var dataFormat: String?
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    _ height: Int, _ width: Int, interpolation: String = "bilinear", cropToAspectRatio: Bool = false,
    padToAspectRatio: Bool = false, fillValue: Double = 0, antialias: Bool = false, name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        height: height, width: width, interpolation: interpolation, cropToAspectRatio: cropToAspectRatio,
        padToAspectRatio: padToAspectRatio, fillMode: "constant", fillValue: fillValue, antialias: antialias,
        dataFormat: "channels_last"), name: name)
  }

  private func checkOptions() throws {
    func refuse(_ message: String) -> ModelError { ModelError(.argument, at: path, message) }
    let (height, width) = (configuration.height, configuration.width)
    if height < 1 || width < 1 { throw refuse("the new size must be positive, got \(height) × \(width)") }
    try Images.checkSize(height, width, path: path)
    // Keras' layer doesn't know TensorFlow's other two, which folders of images do.
    let methods = Resampling.Method.allCases.filter { $0 != .gaussian && $0 != .mitchellcubic }
    if !methods.contains(where: { $0.rawValue == configuration.interpolation }) {
      let names = methods.map(\.rawValue).joined(separator: ", ")
      throw refuse("expected the interpolation \(names), got \(configuration.interpolation)")
    }
    if configuration.fillMode != "constant" {
      throw refuse("expected the fill mode constant, got \(configuration.fillMode)")
    }
    if configuration.cropToAspectRatio, configuration.padToAspectRatio {
      throw refuse("can crop or pad to the aspect ratio, not both")
    }
  }

  public override func build(_ input: Shape) throws { try checkOptions() }

  public override func check(_ inputs: [Shape]) throws {
    try Images.check(inputs[0], dataFormat: configuration.dataFormat, path: path)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let method = Resampling.Method(rawValue: configuration.interpolation) ?? .bilinear
    let (height, width) = (configuration.height, configuration.width)
    func resized(_ images: Tensor) -> Tensor {
      var x = images
      if configuration.cropToAspectRatio { x = Images.cropped(x, toRatio: height, width) }
      if configuration.padToAspectRatio { x = padded(x, x.rank - 3, x.rank - 2) }
      return Images.resized(x, height, width, method, antialias: configuration.antialias)
    }
    return method == .nearest ? resized(input) : Images.inFloats(input, resized)
  }

  /// Keras puts as much on either side, so that an odd rest is left out.
  private func padded(_ images: Tensor, _ rows: Int, _ columns: Int) -> Tensor {
    let (height, width) = (images.shape[rows], images.shape[columns])
    let tall = max(height, Int(Float(width * configuration.height) / Float(configuration.width)))
    let wide = max(width, Int(Float(height * configuration.width) / Float(configuration.height)))
    var widths = [(before: Int, after: Int)](repeating: (0, 0), count: images.rank)
    widths[rows] = ((tall - height) / 2, (tall - height) / 2)
    widths[columns] = ((wide - width) / 2, (wide - width) / 2)
    let shifted = configuration.fillValue == 0 ? images : images - configuration.fillValue
    let surrounded = shifted.padded(widths)
    return configuration.fillValue == 0 ? surrounded : surrounded + configuration.fillValue
  }
}

extension Images {
  /// What `body` makes of images of whole numbers, computed in float32 and rounded.
  static func inFloats(_ images: Tensor, _ body: (Tensor) -> Tensor) -> Tensor {
    if images.dtype.isFloatingPoint { return body(images) }
    let result = body(images.cast(to: .float32)).rounded()
    return (images.dtype == .uint8 ? result.clipped(to: 0...255) : result).cast(to: images.dtype)
  }

  /// Images with height and width third and second from the end, in another size.
  static func resized(
    _ images: Tensor, _ height: Int, _ width: Int, _ method: Resampling.Method = .bilinear,
    antialias: Bool = false
  ) -> Tensor {
    let (rows, columns) = (images.rank - 3, images.rank - 2)
    var shape = images.shape
    (shape[rows], shape[columns]) = (height, width)
    if let result = Tensor.ofTypeOnly(shape, images.dtype) { return result }
    // What makes the image larger comes last.
    let axes = height > images.shape[rows] ? [columns, rows] : [rows, columns]
    return axes.reduce(images) { x, axis in
      if x.shape[axis] == shape[axis] { return x }
      return Resampling(method, antialias: antialias, from: x.shape[axis], to: shape[axis])(x, axis: axis)
    }
  }

  /// The largest middle part that has the proportions of `height` to `width`.
  static func cropped(_ images: Tensor, toRatio height: Int, _ width: Int) -> Tensor {
    let (rows, columns) = (images.rank - 3, images.rank - 2)
    let (tall, wide) = (images.shape[rows], images.shape[columns])
    let cropHeight = max(min(tall, Int(Float(wide * height) / Float(width))), 1)
    let cropWidth = max(min(wide, Int(Float(tall * width) / Float(height))), 1)
    return images.sliced(axis: rows, from: (tall - cropHeight) / 2, count: cropHeight)
      .sliced(axis: columns, from: (wide - cropWidth) / 2, count: cropWidth)
  }
}

/// The middle of images; of smaller ones the largest part of the same proportions, enlarged. Keras' `CenterCrop`.
public final class CenterCrop: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var height: Int
    public var width: Int
    public var dataFormat: String?
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ height: Int, _ width: Int, name: String? = nil) {
    let configuration = Configuration(height: height, width: width, dataFormat: "channels_last")
    self.init(configuration: configuration, name: name)
  }

  private func checkOptions() throws {
    if configuration.height < 1 || configuration.width < 1 {
      throw ModelError(
        .argument, at: path,
        "the size must be positive, got \(configuration.height) × \(configuration.width)")
    }
    try Images.checkSize(configuration.height, configuration.width, path: path)
  }

  public override func build(_ input: Shape) throws { try checkOptions() }

  public override func check(_ inputs: [Shape]) throws {
    try Images.check(inputs[0], dataFormat: configuration.dataFormat, path: path)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let x = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    let (height, width) = (configuration.height, configuration.width)
    let (rows, columns) = (x.rank - 3, x.rank - 2)
    let (top, left) = (x.shape[rows] - height, x.shape[columns] - width)
    if top >= 0, left >= 0 {
      return x.sliced(axis: rows, from: top / 2, count: height).sliced(
        axis: columns, from: left / 2, count: width)
    }
    return Images.resized(Images.cropped(x, toRatio: height, width), height, width)
  }
}
