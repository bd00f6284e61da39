import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

@Suite("Normalisation", .serialized) struct NormalizationTests {
  @Test("batch normalisation with relu after it: two passes over memory forward, two back")
  func passes() throws {
    let layer = BatchNormalization()
    let shape: Shape = [16, 16, 16, 32]
    try layer.prepare([shape])
    let x = Variable(RandomGenerator(seed: 1).normal(shape), name: "x")
    let variables = [x] + layer.trainableWeights.map(\.variable)
    let program = Program.compile(inputs: [TensorType(shape, .float32)], name: "batch normalisation") {
      inputs in
      let (loss, gradients) = valueAndGradient(at: variables) {
        // A product, so that what follows isn't a part of the passes.
        let y = layer(x.value, .training).relu().reshaped(to: [1, shape.elementCount])
        return y.matmul(inputs[0].reshaped(to: [shape.elementCount, 1])).sum()
      }
      return [loss] + gradients.map { $0! }
    }
    // A slice reads no more than it copies: here a row of the first picture. The products are the test's.
    let whole = program.plan.kernels.filter {
      $0.bytes >= shape.elementCount * 4 && !$0.name.hasPrefix("slice") && !$0.name.contains("matmul")
    }
    #expect(whole.count <= 4, "\(whole.map { "\($0.name) \($0.bytes / 1024) KiB" })")
  }

  @Test("statistics stay exact where the mean is far above the deviation")
  func farFromZero() throws {
    let layer = BatchNormalization()
    let x = RandomGenerator(seed: 2).normal([512, 3]) * 0.1 + 1000
    let y = layer(x, .training)
    let exact = x.cast(to: .float64)
    let centred = exact - exact.mean(axes: [0])
    let expected = centred / (centred.squared().mean(axes: [0]) + 1e-3).sqrt()
    expectClose(y.cast(to: .float64), expected, atol: 2e-3, "normalised")
  }

  @Test(
    "gradients of a batch's statistics, and their gradients, are what differences find", arguments: [-1, 1])
  func gradients(_ axis: Int) throws {
    let layer = BatchNormalization(axis: axis, dtype: .float64)
    let x = RandomGenerator(seed: 8).normal([4, 3, 2]).cast(to: .float64)
    try layer.prepare([x.shape])
    try checkGradients(at: x) { (layer($0, .training) * 1.5 + 0.3).squared() * $0 }
    try checkGradients(at: x, absoluteTolerance: 1e-4) { x in
      gradient(at: x) { (layer($0, .training).squared() * $0).sum() }
    }
  }

  @Test("a frozen layer uses its running statistics in training and leaves them")
  func frozen() throws {
    let layer = BatchNormalization()
    try layer.prepare([[4, 3]])
    let x = RandomGenerator(seed: 3).normal([4, 3])
    layer.trainable = false
    let y = layer(x, .training)
    expectClose(y, layer(x), atol: 0, "frozen")
    #expect(layer.weights[2].value.floats == [0, 0, 0])
    layer.trainable = true
    _ = layer(x, .training)
    #expect(layer.weights[2].value.floats != [0, 0, 0])
  }

  @Test("a frozen layer without trained weights is recorded again")
  func retraced() throws {
    let model = Sequential {
      Input([3])
      BatchNormalization(center: false, scale: false)
      Dense(1)
    }
    try model.compile(optimizer: SGD(learningRate: 0.1), loss: .mse)
    let x = RandomGenerator(seed: 4).normal([8, 3]), y = Tensor.ones([8, 1])
    try model.fit(x, y, verbose: .silent)
    let moved = model.layers[0].weights[0].value.floats
    #expect(moved != [0, 0, 0])
    model.layers[0].trainable = false
    try model.fit(x, y, verbose: .silent)
    #expect(model.layers[0].weights[0].value.floats == moved)
  }

  @Test(
    "what doesn't fit",
    arguments: [
      (
        "sequential/group_normalization: the groups must divide the channels: 3 groups, 4 channels in an input of shape [1, 4]",
        { @Sendable () -> Layer in GroupNormalization(groups: 3) }
      ),
      (
        "sequential/layer_normalization: there is no axis 4 in an input of shape [1, 4]",
        { @Sendable () -> Layer in LayerNormalization(axis: 4) }
      ),
      (
        "sequential/spectral_normalization: expected a layer with a kernel or embeddings, Flatten has neither",
        { @Sendable () -> Layer in SpectralNormalization(Flatten()) }
      ),
      (
        "sequential/time_distributed: expected sequences [batch, steps, …] of at least three axes, got [1, 4]",
        { @Sendable () -> Layer in TimeDistributed(Dense(2)) }
      ),
      (
        "sequential/spatial_dropout1d: expected inputs of 3 axes, batch and channels included, got [1, 4]",
        { @Sendable () -> Layer in SpatialDropout1D(0.2) }
      ),
      (
        "sequential/alpha_dropout: the rate must be in 0..<1, got 1.0",
        { @Sendable () -> Layer in AlphaDropout(1) }
      ),
      (
        "sequential/embedding: inputDim and outputDim must be positive, got 0 and 4",
        { @Sendable () -> Layer in Embedding(0, 4) }
      ),
    ])
  func errors(_ words: String, _ layer: @Sendable () -> Layer) {
    #expect(message { try Sequential([layer()]).build(sampleShape: [4]) } == words)
  }

  @Test("random layers in training keep mean and spread, and pass all at inference")
  func noise() {
    let x = Tensor.ones([100, 50, 4])
    func moments(_ layer: Layer) -> (mean: Double, spread: Double) {
      let y = layer(x, .training)
      let mean = y.mean().item()
      return (mean, (y - mean).squared().mean().item().squareRoot())
    }
    let dropout = moments(GaussianDropout(0.2))
    #expect(abs(dropout.mean - 1) < 0.02 && abs(dropout.spread - 0.5) < 0.02)
    let noise = moments(GaussianNoise(0.3))
    #expect(abs(noise.mean - 1) < 0.02 && abs(noise.spread - 0.3) < 0.02)
    // Of normal numbers AlphaDropout keeps both moments.
    let normal = RandomGenerator(seed: 5).normal([200, 100])
    let alpha = AlphaDropout(0.3)(normal, .training)
    #expect(abs(alpha.mean().item()) < 0.05 && abs(alpha.squared().mean().item() - 1) < 0.1)
    // Whole channels are dropped together.
    let spatial = SpatialDropout1D(0.5)(x, .training)
    #expect(spatial.max(axes: [1]).floats == spatial.min(axes: [1]).floats)
    #expect(Set(spatial.floats) == [0, 2])
  }
}
