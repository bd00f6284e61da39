import Backprop

/// The networks that are measured, as `peers/` builds them too.
enum Networks {
  /// The guide's program.
  static func guide(eager: Bool = false, seed: Int = 0) throws -> Sequential {
    let model = Sequential(seed: seed) {
      Dense(64, activation: .relu)
      Dense(64, activation: .relu)
      Dense(10, activation: .softmax)
    }
    try model.compile(
      optimizer: Adam(), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy], runEagerly: eager)
    return model
  }

  /// 784-2048-2048-10.
  static func wide() throws -> Sequential {
    let model = Sequential {
      Dense(2048, activation: .relu)
      Dense(2048, activation: .relu)
      Dense(10, activation: .softmax)
    }
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    return model
  }

  /// Keras' example for MNIST: two convolutions, each with max pooling, and a dense layer.
  static func convnet() throws -> Sequential {
    let model = Sequential {
      Conv2D(32, kernelSize: 3, activation: .relu)
      MaxPooling2D()
      Conv2D(64, kernelSize: 3, activation: .relu)
      MaxPooling2D()
      Flatten()
      Dropout(0.5)
      Dense(10, activation: .softmax)
    }
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    return model
  }

  /// ResNet-20 (He et al., 2016): three blocks of each width; the first of the second and third width halves the image.
  static func resnet20() throws -> Model {
    func convolution(_ x: any SymbolicConvertible, _ width: Int, _ size: Int, _ stride: Int = 1)
      -> SymbolicTensor
    {
      let y = Conv2D(width, kernelSize: .init(size), strides: .init(stride), padding: .same, useBias: false)(
        x)
      return BatchNormalization()(y)
    }
    let image = Input([32, 32, 3])
    var x = ReLU()(convolution(image, 16, 3))
    for (stage, width) in [16, 32, 64].enumerated() {
      for number in 0..<3 {
        let stride = stage > 0 && number == 0 ? 2 : 1
        let y = convolution(ReLU()(convolution(x, width, 3, stride)), width, 3)
        x = ReLU()(Add()([y, stride > 1 ? convolution(x, width, 1, stride) : x]))
      }
    }
    let model = try Model(
      inputs: image, outputs: Dense(10, activation: .softmax)(GlobalAveragePooling2D()(x)))
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    return model
  }

  /// nanoGPT's recipe for one processor: 4 blocks of 4 heads, 128 wide, 64 characters of 65 kinds (Radford et al., 2019).
  static func gpt() throws -> Model {
    let (kinds, steps, width, heads) = (65, 64, 128, 4)
    let text = Input([steps], dtype: .int32)
    var h = Positions()(Embedding(kinds, width)(text))
    for _ in 0..<4 {
      let n = LayerNormalization()(h)
      let attention = MultiHeadAttention(heads, keyDim: width / heads, useBias: false)
      h = Add()([h, attention(query: n, value: n, useCausalMask: true)])
      let wide = Dense(4 * width, activation: .gelu, useBias: false)(LayerNormalization()(h))
      h = Add()([h, Dense(width, useBias: false)(wide)])
    }
    let model = try Model(
      inputs: text,
      outputs: Dense(kinds, activation: .softmax, useBias: false)(LayerNormalization()(h)))
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    return model
  }

  /// A trained vector for each place of a sequence.
  private final class Positions: Layer, @unchecked Sendable {
    private var vectors: Weight!

    override func build(_ input: Shape) throws {
      vectors = addWeight("vectors", shape: [input[1], input[2]])
    }

    override func call(_ x: Tensor, _ context: CallContext) -> Tensor { x + vectors.value }
  }

  /// Words, a recurrent layer whose last output counts, two classes.
  static func recurrent(_ layer: Layer) throws -> Sequential {
    let model = Sequential {
      Embedding(20_000, 128)
      layer
      Dense(2, activation: .softmax)
    }
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy)
    return model
  }

  /// 784-128-64-32-64-128-784, trained to give its input back.
  static func autoencoder() throws -> Sequential {
    let model = Sequential {
      for units in [128, 64, 32, 64, 128] { Dense(units, activation: .relu) }
      Dense(784, activation: .sigmoid)
    }
    try model.compile(optimizer: Adam(), loss: .mse)
    return model
  }
}
