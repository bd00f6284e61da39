import BackpropTensors

/// In training mirrors every other image, at random. Keras' `RandomFlip`: an image is flipped both ways or not at all.
public final class RandomFlip: RandomImageLayer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// `horizontal`, `vertical` or `horizontal_and_vertical`.
    public var mode: String
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

  /// - Parameter mode: `horizontal`, `vertical` or `horizontal_and_vertical`.
  public convenience init(
    _ mode: String = "horizontal_and_vertical", seed: Int? = nil, name: String? = nil
  ) {
    let configuration = Configuration(mode: mode, seed: seed, dataFormat: "channels_last")
    self.init(configuration: configuration, name: name)
  }

  override func checkOptions() throws {
    if !["horizontal", "vertical", "horizontal_and_vertical"].contains(configuration.mode) {
      throw ModelError(
        .argument, at: path,
        "expected the mode horizontal, vertical or horizontal_and_vertical, got \(configuration.mode)")
    }
  }

  /// Which images are flipped, [batch, 1, 1, 1].
  override func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    [random.uniform([shape[0], 1, 1, 1]) .<= 0.5]
  }

  override func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    let axes =
      switch configuration.mode {
      case "horizontal": [2]
      case "vertical": [1]
      default: [1, 2]
      }
    return Tensor.select(drawn[0], images.flipped(axes: axes), images)
  }
}
