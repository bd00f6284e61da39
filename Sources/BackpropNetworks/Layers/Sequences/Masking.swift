import BackpropTensors

/// Steps of which every element is `maskValue` don't count in the layers after this one, and become 0. Keras' `Masking`.
///
/// ```swift
/// Masking(0)      // padded sequences [batch, steps, features]
/// LSTM(32)
/// ```
public final class Masking: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var maskValue: Double
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ maskValue: Double = 0, name: String? = nil) {
    self.init(configuration: Configuration(maskValue: maskValue), name: name)
  }

  public override func check(_ inputs: [Shape]) throws {
    guard inputs.count == 1, inputs[0].rank >= 2 else {
      throw ModelError(
        .shape, at: path,
        "expected sequences [batch, steps, features], got \(inputs.map(\.description).joined(separator: " and "))"
      )
    }
  }

  private func counts(_ input: Tensor) -> Tensor {
    (input .!= configuration.maskValue).any(axes: [-1])
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    Tensor.select(counts(input).expanded(axis: -1), input, Tensor.zeros(like: input))
  }

  public override func outputMasks(_ results: [Tensor], of inputs: [Tensor]) -> [Tensor?] {
    [counts(inputs[0])]
  }
}
