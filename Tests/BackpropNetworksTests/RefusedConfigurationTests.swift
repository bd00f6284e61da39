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
      message: "conv2d: filters can't be beyond ±1073741824, got 1099511627776"),
    Refusal(
      layer: { Conv2DTranspose(2, kernelSize: 3, strides: [2, .max]) }, inputs: [[1, 4, 4, 3]],
      message: "conv2d_transpose: strides can't be beyond ±1073741824, got 9223372036854775807"),
    Refusal(
      layer: { Attention() }, inputs: [[1, 4, 3]], message: "attention: expected 2 inputs, got 1"),
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
        "mel_spectrogram: 1048577 frames of 1024 steps are too many for one call; cut the signal of [1, 1048576]"
    ),
    Refusal(
      layer: { STFTSpectrogram(frameLength: 256, frameStep: 1) }, inputs: [[1, 1 << 20, 1]],
      message:
        "stft_spectrogram: 1048577 frames of 256 steps are too many for one call; cut the signal of [1, 1048576, 1]"
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
  }

  @Test("numbers of elements that don't fit are the largest there is")
  func elementCounts() {
    #expect(Shape([1 << 40, 1 << 40]).elementCount == .max)
    #expect(TensorType([1 << 40, 1 << 22], .float64).byteCount == .max)
  }
}
