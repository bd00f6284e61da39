import BackpropTensors

/// x · `scale` + `offset`, such as bytes to 0…1; lists have one number for each channel. Keras' `Rescaling`.
///
/// ```swift
/// Rescaling(1 / 127.5, offset: -1)
/// ```
public final class Rescaling: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var scale: OneOrMany<Double>
    public var offset: OneOrMany<Double>
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ scale: Double, offset: OneOrMany<Double> = 0.0, name: String? = nil) {
    self.init(configuration: Configuration(scale: OneOrMany(scale), offset: offset), name: name)
  }

  /// One factor for each position of the last axis.
  public convenience init(_ scales: [Double], offset: OneOrMany<Double> = 0.0, name: String? = nil) {
    self.init(configuration: Configuration(scale: OneOrMany(scales), offset: offset), name: name)
  }

  public override var supportsMasking: Bool { true }

  public override func check(_ inputs: [Shape]) throws {
    for (what, numbers) in [("scale", configuration.scale), ("offset", configuration.offset)]
    where !numbers.isSingle {
      let last = inputs[0].dimensions.last ?? 1
      guard numbers.values.count == last || numbers.values.count == 1 else {
        throw ModelError(
          .shape, at: path,
          "\(what) has \(numbers.values.count) numbers, the input's last axis \(last): \(inputs[0])")
      }
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let x = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    return x * tensor(configuration.scale, x.dtype) + tensor(configuration.offset, x.dtype)
  }

  private func tensor(_ numbers: OneOrMany<Double>, _ dtype: DType) -> Tensor {
    numbers.isSingle
      ? Tensor(repeating: numbers.values[0], shape: [], dtype: dtype) : Tensor(numbers.values).cast(to: dtype)
  }
}
