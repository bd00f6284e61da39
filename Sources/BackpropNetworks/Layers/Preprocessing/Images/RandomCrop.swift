import BackpropTensors

/// In training a random part of the images, the same of each; smaller ones are enlarged. Keras' `RandomCrop`, which
/// outside of training changes nothing.
public final class RandomCrop: RandomImageLayer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var height: Int
    public var width: Int
    public var seed: Int?
    public var dataFormat: String?
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(
      seed: configuration.seed, dataFormat: configuration.dataFormat, name: name, trainable: trainable,
      dtype: dtype)
  }

  public convenience init(_ height: Int, _ width: Int, seed: Int? = nil, name: String? = nil) {
    let configuration = Configuration(height: height, width: width, seed: seed, dataFormat: "channels_last")
    self.init(configuration: configuration, name: name)
  }

  override func checkOptions() throws {
    if configuration.height < 1 || configuration.width < 1 {
      throw ModelError(
        .argument, at: path,
        "the size must be positive, got \(configuration.height) × \(configuration.width)")
    }
    try Images.checkSize(configuration.height, configuration.width, path: path)
  }

  private func isLarger(_ shape: Shape) -> Bool {
    shape[1] > configuration.height && shape[2] > configuration.width
  }

  /// The first row and column, scalars; for images that aren't larger both ways those of the middle.
  override func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    let (height, width) = (configuration.height, configuration.width)
    guard isLarger(shape) else {
      let tall = max(min(shape[1], shape[2] * height / width), 1)
      let wide = max(min(shape[2], shape[1] * width / height), 1)
      return [Tensor(Int32((shape[1] - tall) / 2)), Tensor(Int32((shape[2] - wide) / 2))]
    }
    func start(_ room: Int) -> Tensor { random.uniform([], to: Double(room + 1)).floor().cast(to: .int32) }
    return [start(shape[1] - height), start(shape[2] - width)]
  }

  override func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    let (height, width) = (configuration.height, configuration.width)
    if isLarger(images.shape) {
      let rows = Tensor.range(to: height, dtype: .int32) + drawn[0]
      let columns = Tensor.range(to: width, dtype: .int32) + drawn[1]
      return images.gathered(rows, axis: 1).gathered(columns, axis: 2)
    }
    let (top, left) = (drawn[0].integers[0], drawn[1].integers[0])
    let part = images.sliced(axis: 1, from: top, count: min(height, images.shape[1] - top))
      .sliced(axis: 2, from: left, count: min(width, images.shape[2] - left))
    return Images.resized(part, height, width)
  }
}
