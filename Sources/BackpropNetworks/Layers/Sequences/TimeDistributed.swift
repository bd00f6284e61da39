import BackpropTensors

/// A layer applied to each step of a sequence: [batch, steps, …] → [batch, steps, …].
///
/// ```swift
/// TimeDistributed(Conv2D(16, kernelSize: 3))      // videos [batch, frames, rows, columns, channels]
/// ```
///
/// All steps of all samples are one batch for the layer, but for layers that training changes beside their gradients, such as
/// ``BatchNormalization``: as in Keras each step is a batch of its own for these while they are trained, and their statistics
/// move once a step. What is dropped differs from step to step. Keras' `TimeDistributed`.
public final class TimeDistributed: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable, LayerHolding {
    public var layer: LayerConfiguration

    mutating func cloneLayers() throws { layer = try layer.cloned() }
  }

  public let configuration: Configuration
  public let layer: Layer

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    layer = configuration.layer.layer
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ layer: Layer, name: String? = nil) {
    self.init(configuration: Configuration(layer: LayerConfiguration(layer)), name: name)
  }

  public override var supportsMasking: Bool { true }

  private func steps(_ input: Shape) throws -> Shape {
    guard input.rank >= 3 else {
      throw ModelError(
        .shape, at: path, "expected sequences [batch, steps, …] of at least three axes, got \(input)")
    }
    return Shape([input[0] * input[1]] + input.dimensions.dropFirst(2))
  }

  public override func build(_ input: Shape) throws { try layer.prepare([try steps(input)]) }

  public override func check(_ inputs: [Shape]) throws {
    guard inputs.count == 1 else {
      throw ModelError(.shape, at: path, "expected one input, got \(inputs.count)")
    }
    try layer.prepare([try steps(inputs[0])])
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    if context.isTraining, layer.weights.contains(where: { !$0.trainable }) {
      return stepByStep(input, context)
    }
    let (batch, count) = (input.shape[0], input.shape[1])
    var flat = input.reshaped(to: Shape([batch * count] + input.shape.dimensions.dropFirst(2)))
    // Steps that count are samples' masks where the layer inside looks at a mask of its own axes.
    if let mask = input.mask, mask.rank > 2 {
      flat.mask = mask.reshaped(to: Shape([batch * count] + mask.shape.dimensions.dropFirst(2)))
    }
    let result = layer(flat, context)
    return result.reshaped(to: Shape([batch, count] + result.shape.dimensions.dropFirst()))
  }

  /// Each step's mask is that of its samples.
  private func stepByStep(_ input: Tensor, _ context: CallContext) -> Tensor {
    let masks = input.mask?.steps
    let results = input.steps.enumerated().map { number, step -> Tensor in
      var step = step
      step.mask = masks?[number]
      return layer(step, context)
    }
    return Tensor.stack(results, axis: 1)
  }
}
