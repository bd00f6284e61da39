import BackpropTensors

/// Divides another layer's kernel by its largest singular value before each step of training (Miyato et al., 2018).
///
/// ```swift
/// SpectralNormalization(Dense(64))
/// ```
///
/// The value is found by `powerIterations` steps of the power method from where the last step ended. Keras'
/// `SpectralNormalization`: it changes the kernel itself.
public final class SpectralNormalization: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable, LayerHolding {
    public var layer: LayerConfiguration
    public var powerIterations: Int

    mutating func cloneLayers() throws { layer = try layer.cloned() }
  }

  public let configuration: Configuration
  public let layer: Layer
  private var vector: Weight!
  private var kernel: Weight!

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    layer = configuration.layer.layer
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameter layer: one with a weight named `kernel` or `embeddings`.
  public convenience init(_ layer: Layer, powerIterations: Int = 1, name: String? = nil) {
    self.init(
      configuration: Configuration(layer: LayerConfiguration(layer), powerIterations: powerIterations),
      name: name)
  }

  public override func build(_ input: Shape) throws {
    guard configuration.powerIterations > 0 else {
      throw ModelError(
        .argument, at: path, "powerIterations must be positive, got \(configuration.powerIterations)")
    }
    try layer.prepare([input])
    guard let found = layer.ownWeights.first(where: { $0.name == "kernel" || $0.name == "embeddings" }) else {
      throw ModelError(
        .argument, at: path, "expected a layer with a kernel or embeddings, \(layer.className) has neither")
    }
    kernel = found
    // Keras counts it among this layer's own too.
    keep(found)
    vector = addWeight(
      "vector_u", shape: [1, found.shape[-1]], initializer: .truncatedNormal(standardDeviation: 0.02),
      trainable: false)
  }

  public override func check(_ inputs: [Shape]) throws { try layer.prepare(inputs) }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    layer(input, context)
  }

  /// Only `fit` and its like call this: a layer that is called by itself, in training too, has the kernel that it has.
  package override func beginTrainingStep() {
    super.beginTrainingStep()
    let value = kernel.value.stopGradient()
    let rows = value.reshaped(to: [value.count / max(value.shape[-1], 1), value.shape[-1]])
    func unit(_ x: Tensor) -> Tensor { x * x.squared().sum(keepDims: true).maximum(1e-14).rsqrt() }
    var u = vector.value
    var v = u
    for _ in 0..<configuration.powerIterations {
      v = unit(u.matmul(rows, transposeOther: true))
      u = unit(v.matmul(rows))
    }
    let largest = v.matmul(rows).matmul(u, transposeOther: true).reshaped(to: [])
    // A kernel of zeros stays, and so does the vector.
    let isZero = value.abs().max() .== 0
    let safe = Tensor.select(isZero, Tensor.ones(like: largest), largest)
    vector.variable.value = Tensor.select(isZero, vector.value, u).stopGradient()
    kernel.variable.value = (value / safe).stopGradient()
  }
}
