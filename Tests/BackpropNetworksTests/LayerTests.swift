import Backprop
import Foundation
import Testing

@testable import BackpropNetworks

/// The user's layer of the guide: fifteen lines, no weight listed twice.
private final class Scale: Layer, @unchecked Sendable {
  private var factor: Weight!

  override func build(_ input: Shape) {
    factor = addWeight("factor", shape: [input[-1]], initializer: .ones)
  }

  override func call(_ x: Tensor, _ context: CallContext) -> Tensor { x * factor.value }
}

/// A layer with layers in it.
private final class Block: Layer, @unchecked Sendable {
  let inner = Dense(8, activation: .tanh)
  let scales = [Scale(), Scale()]

  override func call(_ x: Tensor, _ context: CallContext) -> Tensor {
    scales.reduce(inner(x, context)) { $1($0, context) }
  }
}

private final class TwoPaths: Model, @unchecked Sendable {
  let wide = Dense(8, activation: .relu)
  let narrow = Dense(3, activation: .tanh)
  let output = Dense(4, activation: .softmax)

  override func call(_ x: Tensor, _ context: CallContext) -> Tensor {
    output(Tensor.concatenate([wide(x, context), narrow(x, context)], axis: -1), context)
  }
}

@Suite("Layers") struct LayerTests {
  @Test("a layer of the user's trains, with its sublayers, weights found by themselves")
  func ownLayer() throws {
    let model = Sequential {
      Block()
      Dense(4, activation: .softmax)
    }
    try model.compile(
      optimizer: Adam(learningRate: 0.02), loss: .sparseCategoricalCrossentropy, metrics: ["accuracy"])
    let history = try model.fit(clouds(200), epochs: 10, verbose: .silent)
    #expect(
      model.weights.map(\.path) == [
        "sequential/block/dense/kernel", "sequential/block/dense/bias", "sequential/block/scale/factor",
        "sequential/block/scale_1/factor", "sequential/dense/kernel", "sequential/dense/bias",
      ])
    #expect(model.weights[2].value.floats != [Float](repeating: 1, count: 8))
    #expect(history["accuracy"].last! > 0.95)
  }

  @Test("a subclass of Model trains")
  func ownModel() throws {
    let model = TwoPaths()
    try model.compile(
      optimizer: Adam(learningRate: 0.02), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
    let history = try model.fit(clouds(200), epochs: 10, verbose: .silent)
    #expect(history["accuracy"].last! > 0.95)
    #expect(model.weights.first!.path == "two_paths/dense/kernel")
    #expect(
      model.summaryText.split(separator: "\n").contains {
        $0.contains("dense_2 (Dense)") && $0.contains("(None, 4)")
      })
  }

  @Test("shapes and values of the small layers")
  func values() {
    let x = Tensor([-2, -1, 0, 3] as [Float], shape: [2, 2])
    #expect(LeakyReLU()(x).floats == [-0.6, -0.3, 0, 3].map { Float($0) })
    #expect(ReLU(maxValue: 2)(x).floats == [0, 0, 0, 2])
    #expect(Activation(.relu)(x).floats == [0, 0, 0, 3])
    #expect(PReLU(alphaInitializer: .constant(0.5))(x).floats == [-1, -0.5, 0, 3])
    #expect(Rescaling(0.5, offset: 1)(x).floats == [0, 0.5, 1, 2.5])
    expectClose(Softmax()(x).sum(axes: [-1]), Tensor.ones([2]), atol: 1e-6)
    expectClose(
      ELU(alpha: 2)(x), Tensor([-1.7293295, -1.2642411, 0, 3] as [Float], shape: [2, 2]), atol: 1e-6)
    #expect(Flatten()(Tensor.zeros([2, 3, 4])).shape == [2, 12])
    #expect(Flatten()(Tensor.zeros([5])).shape == [5, 1])
    #expect(Reshape([2, -1])(Tensor.zeros([3, 8])).shape == [3, 2, 4])
    #expect(Dense(7)(Tensor.zeros([2, 5, 3])).shape == [2, 5, 7])
  }

  @Test("dropout drops its share, keeps the mean, and only in training")
  func dropout() {
    let x = Tensor.ones([100, 100])
    let layer = Dropout(0.3, seed: 3)
    #expect(layer(x).floats == x.floats)
    let dropped = layer(x, .training).floats
    #expect(Set(dropped) == [0, 1 / 0.7 as Float])
    #expect(abs(Double(dropped.filter { $0 == 0 }.count) / 10_000 - 0.3) < 0.02)
    #expect(layer(x, .training).floats != dropped)
    let rows = Dropout(0.5, noiseShape: [nil, 1], seed: 3)(x, .training)
    #expect((rows.max(axes: [1]) .== rows.min(axes: [1])).all().item() == 1)
  }

  @Test("a configuration is Keras' JSON, both ways")
  func configuration() throws {
    let layer = Dense(
      3, activation: "relu", kernelInitializer: .heNormal(seed: 2),
      kernelRegularizer: .l1l2(l1: 0.5, l2: 0.25))
    let json = String(decoding: try KerasJSON.encode(layer.configuration), as: UTF8.self)
    #expect(
      json == """
        {"activation":"relu","bias_initializer":{"class_name":"Zeros","config":{},"module":"keras.initializers","registered_name":null},\
        "kernel_initializer":{"class_name":"HeNormal","config":{"seed":2},"module":"keras.initializers","registered_name":null},\
        "kernel_regularizer":{"class_name":"L1L2","config":{"l1":0.5,"l2":0.25},"module":"keras.regularizers","registered_name":null},\
        "units":3,"use_bias":true}
        """)
    #expect(try KerasJSON.decode(Dense.Configuration.self, from: Data(json.utf8)) == layer.configuration)
  }

  @Test("Keras' spellings are derived from one another")
  func naming() {
    let names = [
      "GlorotUniform": "glorot_uniform", "KLDivergence": "kl_divergence", "RMSprop": "rm_sprop",
      "MeanSquaredError": "mean_squared_error", "Conv2DTranspose": "conv2d_transpose",
      "TopKCategoricalAccuracy": "top_k_categorical_accuracy", "PReLU": "p_re_lu", "Conv2D": "conv2d",
    ]
    for (name, expected) in names { #expect(KerasNaming.snake(name) == expected) }
    let keys = [
      "kernelInitializer": "kernel_initializer", "beta1": "beta_1", "l1": "l1", "useBias": "use_bias",
    ]
    for (property, expected) in keys { #expect(KerasNaming.key(property) == expected) }
    #expect(
      KerasNaming.camel("kernel_initializer") == "kernelInitializer" && KerasNaming.camel("beta_1") == "beta1"
    )
  }

  @Test("initialisers have Keras' scales and depend on the seed alone")
  func initialisers() {
    func draw(_ initializer: Initializer, _ shape: Shape) -> Tensor {
      initializer(shape, random: RandomGenerator(seed: 9))
    }
    let shape: Shape = [400, 600]
    #expect(draw(.glorotUniform, shape).floats == draw(.glorotUniform, shape).floats)
    let deviations: [(Initializer, Double)] = [
      (.glorotUniform, (2.0 / 1000).squareRoot()), (.glorotNormal, (2.0 / 1000).squareRoot()),
      (.heNormal, (2.0 / 400).squareRoot()), (.heUniform, (2.0 / 400).squareRoot()),
      (.lecunNormal, (1.0 / 400).squareRoot()), (.lecunUniform, (1.0 / 400).squareRoot()),
      (.randomNormal(), 0.05),
      (.randomUniform(from: -1, to: 1), (1.0 / 3).squareRoot()),
    ]
    for (initializer, expected) in deviations {
      let values = draw(initializer, shape)
      #expect(abs(values.standardDeviation().item() / expected - 1) < 0.01, "\(initializer)")
      #expect(abs(values.mean().item()) < expected * 0.02, "\(initializer)")
    }
    let limit = (6.0 / 1000).squareRoot()
    #expect(draw(.glorotUniform, shape).abs().max().item() <= limit)
    let q = draw(.orthogonal, [50, 20])
    expectClose(q.matmul(q, transposeSelf: true), Tensor.eye(20), atol: 1e-5)
    #expect(fans(of: [3, 3, 8, 16]).in == 72 && fans(of: [3, 3, 8, 16]).out == 144)
  }
}
