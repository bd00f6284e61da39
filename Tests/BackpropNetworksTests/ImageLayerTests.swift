import Backprop
import Testing

@testable import BackpropNetworks

@Suite("Layers over images") struct ImageLayerTests {
  /// What building a model of one layer for samples of a shape says.
  private static func building(_ layer: @autoclosure @escaping @Sendable () -> Layer, _ sample: Shape)
    -> @Sendable () throws -> Void
  {
    { try Sequential([layer()]).build(sampleShape: sample) }
  }

  /// What a layer that was built for one shape says of another.
  private static func calling(
    _ layer: @autoclosure @escaping @Sendable () -> Layer, _ first: Shape, _ then: Shape
  )
    -> @Sendable () throws -> Void
  {
    {
      let layer = layer()
      try layer.prepare([first])
      try layer.prepare([then])
    }
  }

  private static let shapes: [(String, @Sendable () throws -> Void)] = [
    (
      "sequential/conv2d: expected inputs of [batch, height, width, channels], got [1, 28, 28]; for one channel add Reshape([28, 28, 1]) before it",
      building(Conv2D(8, kernelSize: 3), [28, 28])
    ),
    (
      "sequential/conv1d: expected inputs of [batch, steps, channels], got [1, 28, 28, 1]",
      building(Conv1D(8, kernelSize: 3), [28, 28, 1])
    ),
    (
      "sequential/conv2d: convolution: a kernel of [3, 3] is larger than images of [1, 28]; channels first? They come last: [batch, height, width, channels]",
      building(Conv2D(8, kernelSize: 3), [1, 28, 28])
    ),
    (
      "sequential/conv2d: convolution: a kernel of [5, 5] is larger than images of [4, 4]",
      building(Conv2D(8, kernelSize: 5), [4, 4, 2])
    ),
    (
      "conv2d: expected 3 channels on the last axis, got [2, 3, 8, 8]; the channels come last: [batch, height, width, channels]",
      calling(Conv2D(4, kernelSize: 3), [2, 8, 8, 3], [2, 3, 8, 8])
    ),
    (
      "conv2d_transpose: expected 3 channels on the last axis, got [2, 8, 8, 4]",
      calling(Conv2DTranspose(4, kernelSize: 3), [2, 8, 8, 3], [2, 8, 8, 4])
    ),
    (
      "sequential/max_pooling2d: pooling: a window of 2 with stride 2 and padding 0 and 0 doesn't fit an axis of 1: [1, 4]; channels first? They come last: [batch, height, width, channels]",
      building(MaxPooling2D(), [1, 4, 8])
    ),
    (
      "sequential/global_average_pooling2d: expected inputs of [batch, height, width, channels], got [1, 7]",
      building(GlobalAveragePooling2D(), [7])
    ),
    (
      "sequential/cropping2d: cropping 2 and 2 leaves nothing of axis 1 of [1, 4, 9, 1]",
      building(Cropping2D(2), [4, 9, 1])
    ),
  ]

  private static let arguments: [(String, @Sendable () throws -> Void)] = [
    (
      "sequential/conv2d: strides [2, 2] and dilationRate [2, 2] can't both be above 1",
      building(Conv2D(8, kernelSize: 3, strides: 2, dilationRate: 2), [9, 9, 1])
    ),
    (
      "sequential/conv2d: 8 filters can't be shared by 3 groups",
      building(Conv2D(8, kernelSize: 3, groups: 3), [9, 9, 3])
    ),
    (
      "sequential/conv2d: the 3 channels of [1, 9, 9, 3] can't be shared by 2 groups",
      building(Conv2D(8, kernelSize: 3, groups: 2), [9, 9, 3])
    ),
    (
      "sequential/conv2d: causal padding is for Conv1D; there is 'valid' and 'same'",
      building(Conv2D(8, kernelSize: 3, padding: .causal), [9, 9, 3])
    ),
    (
      "sequential/conv2d: kernelSize has one number for each of 2 axes, got [3, 3, 3]",
      building(Conv2D(8, kernelSize: [3, 3, 3]), [9, 9, 3])
    ),
    (
      "sequential/conv2d: strides must be positive, got [0, 0]",
      building(Conv2D(8, kernelSize: 3, strides: 0), [9, 9, 3])
    ),
    (
      "sequential/conv1d_transpose: outputPadding must be below the strides [2], got [2]",
      building(Conv1DTranspose(8, kernelSize: 3, strides: 2, outputPadding: 2), [9, 3])
    ),
    (
      "sequential/conv1d_transpose: no convolution with kernel [2], strides [2] and outputPadding [0] leads from results of [4] back to [1, 3, 1]",
      building(Conv1DTranspose(8, kernelSize: 2, strides: 2, padding: .same, outputPadding: 0), [3, 1])
    ),
    (
      "sequential/depthwise_conv2d: depthMultiplier must be positive, got 0",
      building(DepthwiseConv2D(kernelSize: 3, depthMultiplier: 0), [9, 9, 3])
    ),
    (
      "sequential/up_sampling2d: interpolation 'bicubic' isn't supported; there is 'nearest' and 'bilinear'",
      building(UpSampling2D(2, interpolation: .bicubic), [9, 9, 3])
    ),
    (
      "sequential/zero_padding2d: padding has two numbers of 0 or more for each of 2 axes, got [[1, 1]]",
      building(ZeroPadding2D(edges: [(1, 1)]), [9, 9, 3])
    ),
    (
      "sequential/max_pooling1d: padding is 'valid' or 'same', got 'causal'",
      building(MaxPooling1D(2, padding: .causal), [9, 3])
    ),
    (
      "max_pooling2d: dataFormat 'channels_first' isn't supported: images are [batch, height, width, channels]; transpose them with Permute or before",
      {
        let layer = try LayerRegistry.named("MaxPooling2D").layer(
          config: ["data_format": "channels_first"], name: nil, trainable: true, dtype: .float32)
        try layer.prepare([[1, 3, 8, 8]])
      }
    ),
  ]

  @Test(
    "a configuration without strides has those of Keras: the windows' size", arguments: ["Max", "Average"])
  func strides(_ kind: String) throws {
    let layer = try LayerRegistry.named("\(kind)Pooling2D").layer(
      config: ["pool_size": .array([3, 3])], name: nil, trainable: true, dtype: .float32)
    #expect((layer as? Pooling)?.configuration.strides == [3, 3])
  }

  @Test(
    "the layer's path, what was expected, what came, the likely cause",
    arguments: (shapes + arguments).indices)
  func messages(_ index: Int) {
    let (expected, body) = (Self.shapes + Self.arguments)[index]
    #expect(message(body) == expected)
  }

  @Test("one number stands for all axes")
  func sizes() {
    #expect(Conv3D(1, kernelSize: 3, strides: [1, 2, 1]).configuration.kernelSize == [3, 3, 3])
    #expect(MaxPooling2D(3).configuration.strides == [3, 3])
    #expect(
      AveragePooling1D(4, strides: 2).configuration == .init(poolSize: [4], strides: [2], padding: .valid))
  }

  @Test("an activity regulariser adds to the loss")
  func activity() {
    let layers: [Layer] = [
      Conv1D(2, kernelSize: 2, activityRegularizer: .l2(0.5)),
      Conv1DTranspose(2, kernelSize: 2, activityRegularizer: .l2(0.5)),
      DepthwiseConv1D(kernelSize: 2, activityRegularizer: .l2(0.5)),
      SeparableConv1D(2, kernelSize: 2, activityRegularizer: .l2(0.5)),
    ]
    for layer in layers {
      let context = CallContext.training
      let y = layer(Tensor.ones([2, 5, 3]), context)
      let expected = 0.5 * y.squared().sum().item() / 2
      #expect(abs(context.addedLosses[0].item() - expected) <= 1e-5 * expected, "\(layer.name)")
    }
  }

  @Test("a network of convolutions learns where a bright square is")
  func learns() throws {
    // 12 × 12 images, a 3 × 3 square in one of the four corners.
    let count = 128
    var pixels = RandomGenerator(seed: 1).uniform([count, 12, 12, 1]).floats
    var labels: [Int32] = []
    for image in 0..<count {
      let label = image % 4
      labels.append(Int32(label))
      for row in 0..<3 {
        for column in 0..<3 {
          let (y, x) = (row + 1 + label / 2 * 7, column + 1 + label % 2 * 7)
          pixels[(image * 12 + y) * 12 + x] += 1.5
        }
      }
    }
    let model = Sequential {
      Conv2D(8, kernelSize: 3, padding: .same, activation: .relu)
      MaxPooling2D()
      SeparableConv2D(8, kernelSize: 3, activation: .relu)
      AveragePooling2D(2)
      Flatten()
      Dense(4, activation: .softmax)
    }
    try model.compile(
      optimizer: Adam(learningRate: 0.01), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
    let history = try model.fit(
      Tensor(pixels, shape: [count, 12, 12, 1]), Tensor(labels), epochs: 12, batchSize: 16, verbose: .silent)
    #expect(history["accuracy"].last! > 0.95)
    #expect(model.weights.map(\.path).contains("sequential/separable_conv2d/pointwise_kernel"))
  }
}
