import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

/// Found by fuzzing: each stopped the program that loaded a file with it, or took gigabytes.
@Suite("Configurations that can't be") struct RefusedConfigurationTests {
  struct Refusal: Sendable, CustomTestStringConvertible {
    let layer: @Sendable () -> Layer
    let inputs: [Shape]
    let message: String
    var testDescription: String { message }
  }

  static let refusals: [Refusal] = [
    Refusal(
      layer: { Dense(2, dtype: DTypePolicy(.int32)) }, inputs: [[1, 3]],
      message: "dense: needs a floating-point dtype for its weight 'kernel', got int32"),
    Refusal(
      layer: { Conv2D(1 << 40, kernelSize: 3) }, inputs: [[1, 8, 8, 3]],
      message: "conv2d: filters may be 1073741824 at most, got 1099511627776"),
    Refusal(
      layer: { Conv2DTranspose(2, kernelSize: 3, strides: [2, .max]) }, inputs: [[1, 4, 4, 3]],
      message: "conv2d_transpose: strides may be 1073741824 at most, got 9223372036854775807"),
    Refusal(
      layer: { ZeroPadding1D(edges: [(before: 0, after: .max)]) }, inputs: [[1, 4, 3]],
      message: "zero_padding1d: padding may be 1073741824 at most, got 9223372036854775807"),
    Refusal(
      layer: { UpSampling3D(1_073_741_824) }, inputs: [[1, 1, 1, 1, 3]],
      message:
        "up_sampling3d: [1, 1, 1, 1, 3] can't be enlarged 1073741824 × 1073741824 × 1073741824 times: it would have too many elements"
    ),
    Refusal(
      layer: { IntegerLookup(vocabulary: [5], oovIndexCount: 1 << 30, output: .tfIDF, idfWeights: [1]) },
      inputs: [[1, 2]],
      message:
        "integer_lookup: the output mode tf_idf makes up at most 4194304 weights, for special tokens and to fill up; 1073741824 would be needed"
    ),
    Refusal(
      layer: { UpSampling2D([1 << 20, 2], interpolation: .bilinear) }, inputs: [[1, 8, 8, 3]],
      message: "up_sampling2d: images have at most 65535 rows and columns, got 8388608 × 16"),
    Refusal(
      layer: { Attention() }, inputs: [[1, 4, 3]], message: "attention: expected 2 or 3 inputs, got 1"),
    Refusal(
      layer: { MultiHeadAttention(2, keyDim: 3) }, inputs: [[1, 4, 3]],
      message: "multi_head_attention: expected 2 to 4 inputs, got 1"),
    Refusal(
      layer: { MultiHeadAttention(2, keyDim: 3, attentionAxes: 1) }, inputs: [[1, 2, 3, 4], [1, 2, 24, 4]],
      message:
        "multi_head_attention: the inputs don't fit: attention along the axes [1] needs a query and a value of one size on axis 2, got shapes [1, 2, 3, 4] and [1, 2, 24, 4]"
    ),
    Refusal(
      layer: { MultiHeadAttention(2, keyDim: 3, attentionAxes: [1, 2], slidingWindow: 1) },
      inputs: [[1, 2, 3, 4], [1, 2, 3, 4]],
      message: "multi_head_attention: slidingWindow needs attention along one axis, got the axes [1, 2]"),
    Refusal(
      layer: { Normalization(axis: [-1, 1]) }, inputs: [[2, 4]],
      message: "normalization: the axes [-1, 1] name one of an input of shape [2, 4] twice"),
    Refusal(
      layer: { Softmax(axis: [2, -1]) }, inputs: [[2, 3, 4]],
      message: "softmax: the axes [2, -1] name one of an input of shape [2, 3, 4] twice"),
    Refusal(
      layer: { Bidirectional(GRU(6), mergeMode: .sum, backwardLayer: GRU(3, goBackwards: true)) },
      inputs: [[1, 4, 3]],
      message:
        "bidirectional: mergeMode 'sum' needs outputs of one shape, got [1, 6] forwards and [1, 3] backwards"),
    Refusal(
      layer: { LSTM(2, dtype: .float64) }, inputs: [[1, 1 << 20, 3]],
      message:
        "lstm: a LSTMCell of float64 takes sequences of at most 16384 steps, got [1, 1048576, 3]; cut them in parts"
    ),
    Refusal(
      layer: { Resizing(1 << 20, 8) }, inputs: [[1, 8, 8, 3]],
      message: "resizing: images have at most 65535 rows and columns, got 1048576 × 8"),
    Refusal(
      layer: { CenterCrop(8, 8) }, inputs: [[1, 8, 1 << 20, 3]],
      message: "center_crop: images have at most 65535 rows and columns, got 8 × 1048576"),
    Refusal(
      layer: { MelSpectrogram(melBinCount: 1 << 20) }, inputs: [[1, 4096]],
      message: "mel_spectrogram: 'num_mel_bins' may be 4096 at most, got 1048576"),
    Refusal(
      layer: { MelSpectrogram(fftLength: 1024, sequenceStride: 1) }, inputs: [[1, 1 << 20]],
      message:
        "mel_spectrogram: one call takes at most 32768 frames of 1024 steps, got 1048577; cut the signal of [1, 1048576]"
    ),
    Refusal(
      layer: { STFTSpectrogram(frameLength: 256, frameStep: 1) }, inputs: [[1, 1 << 20, 1]],
      message:
        "stft_spectrogram: one call takes at most 131072 frames of 256 steps, got 1048577; cut the signal of [1, 1048576, 1]"
    ),
  ]

  @Test("are refused when the layer is made ready", arguments: refusals)
  func refused(_ refusal: Refusal) {
    let error = #expect(throws: ModelError.self) { try refusal.layer().prepare(refusal.inputs) }
    #expect(error.map { "\($0)" } == refusal.message)
  }

  @Test("a vocabulary needs no memory for the special tokens that it doesn't have")
  func specialTokens() throws {
    let layer = IntegerLookup(vocabulary: [5, 6], oovIndexCount: 1 << 30)
    try layer.prepare([[1, 2]])
    #expect(layer(Tensor([5, 6] as [Int64], shape: [1, 2])).doubles == [1_073_741_824, 1_073_741_825])
    let inverse = IntegerLookup(vocabulary: [5, 6], oovIndexCount: 1 << 30, inverts: true)
    let numbers = Tensor([1 << 30, (1 << 30) + 1, 7, -1] as [Int64], shape: [1, 4])
    #expect(compiled { inverse($0) }(numbers).doubles == [5, 6, -1, -1])
  }

  @Test(
    "a result's shape is found without tables as large as it",
    arguments: [
      (MaxPooling1D(2), [1, 1 << 40, 2], [1, 1 << 39, 2]), (Masking(), [1, 1 << 40, 2], [1, 1 << 40, 2]),
      (
        LayerNormalization(center: false, scale: false, dtype: DTypePolicy(.int32)), [1, 1 << 40, 2],
        [1, 1 << 40, 2]
      ),
      (
        UpSampling2D(2, interpolation: .bilinear), [1, 30_000, 20_000, 1 << 20], [1, 60_000, 40_000, 1 << 20]
      ),
    ] as [(Layer, Shape, Shape)])
  func shapes(_ layer: Layer, input: Shape, result: Shape) throws {
    try layer.prepare([input])
    #expect(layer.outputShapes([input]) == [result])
  }

  @Test("masks of attention aren't made for its shape")
  func masks() throws {
    let steps: Shape = [1, 1 << 20, 6]
    let layer = MultiHeadAttention(2, keyDim: 3, slidingWindow: 7)
    try layer.prepare([steps, steps])
    let types = [steps, steps].map { TensorType($0, .float32) }
    #expect(layer.outputTypes(types, options: [.useCausalMask]) == [types[0]])
  }

  @Test("numbers of elements that don't fit are the largest there is")
  func elementCounts() {
    #expect(Shape([1 << 40, 1 << 40]).elementCount == .max)
    #expect(TensorType([1 << 40, 1 << 22], .float64).byteCount == .max)
  }
}
