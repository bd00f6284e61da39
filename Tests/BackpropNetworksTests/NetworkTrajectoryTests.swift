import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

/// Whole networks followed step by step: `Tests/Fixtures/generate/networks.py` has the same ones.
@Suite("Networks follow Keras", .serialized) struct NetworkTrajectoryTests {
  static let golden = Golden("networks")

  /// The networks by the names of their cases.
  private static let networks: [String: @Sendable () throws -> Model] = [
    "bidirectional_lstm": {
      let x = Input([12], dtype: .int32)
      let h = Bidirectional(LSTM(6))(Embedding(200, 8, maskZero: true)(x))
      return try Model(inputs: x, outputs: Dense(3, activation: .softmax)(h))
    },
    "causal_transformer": {
      let x = Input([8], dtype: .int32)
      var h = Positions()(Embedding(20, 16)(x))
      for _ in 0..<4 {
        let n = LayerNormalization()(h)
        let attention = MultiHeadAttention(4, keyDim: 4, useBias: false)
        h = Add()([h, attention(query: n, value: n, useCausalMask: true)])
        let wide = Dense(64, activation: .gelu, useBias: false)(LayerNormalization()(h))
        h = Add()([h, Dense(16, useBias: false)(wide)])
      }
      return try Model(
        inputs: x, outputs: Dense(20, activation: .softmax, useBias: false)(LayerNormalization()(h)))
    },
    "convnet": {
      let x = Input([28, 28, 1])
      let h = MaxPooling2D()(Conv2D(32, kernelSize: 3, activation: .relu)(x))
      let flat = Flatten()(MaxPooling2D()(Conv2D(64, kernelSize: 3, activation: .relu)(h)))
      return try Model(inputs: x, outputs: Dense(10, activation: .softmax)(Kept()(flat)))
    },
    "resnet20": {
      func convolution(_ x: any SymbolicConvertible, _ width: Int, _ size: Int, _ stride: Int = 1)
        -> SymbolicTensor
      {
        let layer = Conv2D(
          width, kernelSize: .init(size), strides: .init(stride), padding: .same, useBias: false)
        return BatchNormalization()(layer(x))
      }
      let image = Input([16, 16, 3])
      var x = ReLU()(convolution(image, 16, 3))
      for (stage, width) in [16, 32, 64].enumerated() {
        for number in 0..<3 {
          let stride = stage > 0 && number == 0 ? 2 : 1
          let y = convolution(ReLU()(convolution(x, width, 3, stride)), width, 3)
          x = ReLU()(Add()([y, stride > 1 ? convolution(x, width, 1, stride) : x]))
        }
      }
      return try Model(
        inputs: image, outputs: Dense(10, activation: .softmax)(GlobalAveragePooling2D()(x)))
    },
  ]

  /// Inputs and labels of all steps. Inputs that the case doesn't hold are pictures.
  private static func data(_ golden: GoldenCase) -> (inputs: Tensor, labels: Tensor) {
    let labels = golden.tensor("labels")
    guard let shape = golden.values["data_shape"] as? [Int] else { return (golden.tensor("data"), labels) }
    return (images(Shape(shape), labels), labels)
  }

  /// Each row its class' picture with noise over it: what `images` in networks.py gives.
  private static func images(_ shape: Shape, _ labels: Tensor) -> Tensor {
    let classes = noise(Shape([10] + shape.dimensions.dropFirst()), seed: 101)
    return noise(shape, seed: 100, scale: 0.5) + classes.gathered(labels)
  }

  private func model(_ golden: GoldenCase) throws -> Model {
    let make = try #require(Self.networks[golden.text("name")], "no network is named \(golden.text("name"))")
    let model = try make()
    let starts = golden.values["weights"] as! [[String: Any]]
    #expect(
      model.weights.map(\.name) == starts.map { String(($0["path"] as! String).split(separator: "/").last!) })
    let values = starts.enumerated().map { place, start in
      noise(
        Shape(start["shape"] as! [Int]), seed: place + 1, scale: start["scale"] as! Double,
        offset: start["offset"] as! Double)
    }
    try model.setWeights(values)
    let optimizer = try Optimizer.named(golden.text("optimizer"), config: golden.config("arguments"))
    try model.compile(optimizer: optimizer, loss: try Loss(named: golden.text("loss")))
    return model
  }

  @Test("30 steps in float64 have Keras' losses", arguments: golden.cases)
  func follows(_ golden: GoldenCase) throws {
    try DTypePolicy.withDefault(.float64) {
      let model = try model(golden)
      #expect(model.weights.allSatisfy { $0.dtype == .float64 })
      let (inputs, labels) = Self.data(golden)
      let rows = golden.values["rows"] as! Int
      let expected = golden.tensor("losses_float64").doubles
      for (step, expected) in expected.enumerated() {
        model.resetMetrics()
        let logs = try model.trainOnBatch(
          Self.batch(inputs, step, rows, .float64), Self.batch(labels, step, rows, .float64))
        let difference = abs(logs["loss"]! - expected) / expected
        #expect(difference <= 1e-7, "step \(step): \(logs["loss"]!), Keras has \(expected)")
      }
    }
  }

  @Test("the first step in float32 has Keras' loss and gradients", arguments: golden.cases)
  func gradients(_ golden: GoldenCase) throws {
    let model = try model(golden)
    let (inputs, labels) = Self.data(golden)
    let rows = golden.values["rows"] as! Int
    let (x, y) = (Self.batch(inputs, 0, rows, .float32), Self.batch(labels, 0, rows, .float32))
    let loss = try Loss(named: golden.text("loss"))
    let (value, gradients) = valueAndGradient(at: model.trainableWeights.map(\.variable)) {
      loss(y, model([x], .training)[0])
    }
    let expected = golden.values["loss_float32"] as! Double
    #expect(abs(value.item() - expected) <= 1e-5 * expected, "\(value.item()), Keras has \(expected)")
    let gap = golden.values["gradient_gap"] as! Int
    var (distance, norm) = (0.0, 0.0)
    for (gradient, expected) in zip(gradients, golden.tensors("gradients_float32")) {
      let all = try #require(gradient).doubles
      let found = stride(from: 0, to: all.count, by: gap).map { all[$0] }
      #expect(found.count == expected.count)
      for (a, b) in zip(found, expected.doubles) {
        distance += (a - b) * (a - b)
        norm += b * b
      }
    }
    #expect(
      (distance / norm).squareRoot() <= 1e-4, "the gradients differ by \((distance / norm).squareRoot())")
  }

  /// The rows of a step; floating-point ones as `dtype`.
  private static func batch(_ all: Tensor, _ step: Int, _ rows: Int, _ dtype: DType) -> Tensor {
    let batch = all.sliced(axis: 0, from: step * rows, count: rows)
    return all.dtype.isFloatingPoint ? batch.cast(to: dtype) : batch
  }
}

/// A trained vector for each place of a sequence.
private final class Positions: Layer, @unchecked Sendable {
  private var vectors: Weight!

  override func build(_ input: Shape) throws { vectors = addWeight("vectors", shape: [input[1], input[2]]) }

  override func call(_ x: Tensor, _ context: CallContext) -> Tensor { x + vectors.value }
}

/// Dropout with a rate of a half whose mask is a part of the network, the same at each step.
private final class Kept: Layer, @unchecked Sendable {
  override func call(_ x: Tensor, _ context: CallContext) -> Tensor {
    guard context.isTraining else { return x }
    let kept = noise(x.shape, seed: 102).floats.map { $0 > 0 ? 2 : 0 as Float }
    return x * Tensor(kept, shape: x.shape).cast(to: x.dtype)
  }
}

/// Numbers in offset ± scale from a hash of their place: what `noise` in networks.py gives.
func noise(_ shape: Shape, seed: Int, scale: Double = 1, offset: Double = 0) -> Tensor {
  let numbers = (0..<shape.elementCount).map { place -> Float in
    var x = UInt64(place) &+ UInt64(seed) &* 0x9E37_79B1
    x = ((x ^ (x >> 16)) &* 0x85EB_CA6B) & 0xFFFF_FFFF
    x = ((x ^ (x >> 13)) &* 0xC2B2_AE35) & 0xFFFF_FFFF
    x ^= x >> 16
    return Float((Double(x) / 2_147_483_648 - 1) * scale + offset)
  }
  return Tensor(numbers, shape: shape)
}
