import BackpropTensors

/// How strong each frequency is in each short stretch of a signal: [batch, time, channels] → [batch, frames, channels ·
/// frequencies]. Keras' `STFTSpectrogram`; the Fourier transform is a trained product with two kernels.
public final class STFTSpectrogram: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    /// `log`, `magnitude`, `psd`, `real`, `imag`, `angle` or `stft` (real and imaginary parts).
    public var mode: String
    public var frameLength: Int
    /// nil: half the frame.
    public var frameStep: Int?
    /// nil: the next power of 2.
    public var fftLength: Int?
    public var window: String?
    public var periodic: Bool
    /// `density`, `spectrum` or nil.
    public var scaling: String?
    /// `valid` or `same`.
    public var padding: String
    /// Frequencies on an axis of their own: [batch, frames, frequencies, channels].
    public var expandDims: Bool
    public var dataFormat: String?
  }

  public let configuration: Configuration
  private var realKernel: Weight?
  private var imaginaryKernel: Weight?

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    mode: String = "log", frameLength: Int = 256, frameStep: Int? = nil, fftLength: Int? = nil,
    window: String? = "hann", periodic: Bool = false, scaling: String? = "density", padding: String = "valid",
    expandDims: Bool = false, name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        mode: mode, frameLength: frameLength, frameStep: frameStep, fftLength: fftLength, window: window,
        periodic: periodic, scaling: scaling, padding: padding, expandDims: expandDims,
        dataFormat: "channels_last"), name: name)
  }

  private static let modes = ["log", "magnitude", "psd", "real", "imag", "angle", "stft"]
  private static let windows = ["boxcar", "hann", "hamming", "blackman", "bartlett"]

  private func checkOptions() throws {
    func check(_ name: String, _ value: String?, _ choices: [String?]) throws {
      if choices.contains(value) { return }
      let words = choices.map { $0 ?? "null" }.joined(separator: ", ")
      throw ModelError(.argument, at: path, "expected \(words) for '\(name)', got \(value ?? "null")")
    }
    let c = configuration
    try check("mode", c.mode, Self.modes)
    try check("window", c.window, Self.windows + [nil])
    try check("scaling", c.scaling, ["density", "spectrum", nil])
    try check("padding", c.padding, ["valid", "same"])
    if c.dataFormat == "channels_first" {
      throw ModelError(
        .argument, at: path, "channels come last here: transpose the signals and leave data_format out")
    }
    if c.frameLength < 1 || !(1...c.frameLength).contains(step) {
      throw ModelError(
        .argument, at: path, "expected 'frame_step' in 1...\(c.frameLength), the frame, got \(step)")
    }
    if let length = c.fftLength, length < c.frameLength {
      throw ModelError(
        .argument, at: path, "expected 'fft_length' of at least the frame's \(c.frameLength), got \(length)")
    }
  }

  private var step: Int { configuration.frameStep ?? configuration.frameLength / 2 }
  private var fftLength: Int {
    if let length = configuration.fftLength { return length }
    var length = 1
    while length < configuration.frameLength { length *= 2 }
    return length
  }
  private var frequencies: Int { fftLength / 2 + 1 }

  public override func build(_ input: Shape) throws {
    try checkOptions()
    func kernel(_ name: String, _ side: String) -> Weight {
      let c = configuration
      let config: [String: ConfigValue] = [
        "side": .string(side), "window": c.window.map { .string($0) } ?? .null,
        "scaling": c.scaling.map { .string($0) } ?? .null, "periodic": .bool(c.periodic),
      ]
      return addWeight(
        name, shape: [c.frameLength, 1, frequencies],
        initializer: Initializer(className: "STFT", config: config))
    }
    if configuration.mode != "imag" { realKernel = kernel("real_kernel", "real") }
    if configuration.mode != "real" { imaginaryKernel = kernel("imag_kernel", "imag") }
  }

  public override func check(_ inputs: [Shape]) throws {
    guard inputs[0].rank == 3 else {
      throw ModelError(.shape, at: path, "expected signals of [batch, time, channels], got \(inputs[0])")
    }
    if configuration.padding == "valid", inputs[0][1] < configuration.frameLength {
      throw ModelError(
        .shape, at: path,
        "the signal's \(inputs[0][1]) steps are fewer than a frame's \(configuration.frameLength): \(inputs[0])"
      )
    }
    try Frames.check(inputs[0][1] / step + 1, of: configuration.frameLength, in: inputs[0], path: path)
  }

  /// [batch, channels, frames, frame length]
  private func frames(_ input: Tensor) -> Tensor {
    let length = configuration.frameLength
    var signal = input.transposed([0, 2, 1])
    if configuration.padding == "same" {
      let time = signal.shape[2]
      let count = (time + step - 1) / step
      let missing = max((count - 1) * step + length - time, 0)
      signal = signal.padded([(0, 0), (0, 0), (missing / 2, missing - missing / 2)])
    }
    let count = (signal.shape[2] - length) / step + 1
    let step = step
    return signal.gathered(Frames.places(count, of: length) { $0 * step + $1 }, axis: 2)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let x = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    let frames = frames(x)
    /// [batch, channels, frames, frequencies]
    func product(_ kernel: Weight?) -> Tensor {
      let matrix = kernel!.value.reshaped(to: [configuration.frameLength, frequencies]).cast(to: x.dtype)
      let rows = frames.reshaped(to: [-1, configuration.frameLength]).matmul(matrix)
      return rows.reshaped(to: Shape(Array(frames.shape.dimensions.dropLast()) + [frequencies]))
    }
    switch configuration.mode {
    case "real": return arranged(product(realKernel))
    case "imag": return arranged(product(imaginaryKernel))
    case "angle": return arranged(product(imaginaryKernel).atan2(product(realKernel)))
    case "stft":
      return arranged(Tensor.concatenate([product(realKernel), product(imaginaryKernel)], axis: -1))
    default: break
    }
    let power = product(realKernel).squared() + product(imaginaryKernel).squared()
    if configuration.mode == "psd" {
      // All but the first and the last stand for two frequencies.
      let inner = power.sliced(axis: -1, from: 1, count: frequencies - 2)
      return arranged(power + inner.padded([(0, 0), (0, 0), (0, 0), (1, 1)]))
    }
    let magnitude = arranged(power.maximum(fuzz).sqrt())
    return configuration.mode == "magnitude" ? magnitude : magnitude.maximum(fuzz).log()
  }

  /// From [batch, channels, frames, frequencies].
  private func arranged(_ x: Tensor) -> Tensor {
    if configuration.expandDims { return x.transposed([0, 2, 3, 1]) }
    let (batch, channels, frames, frequencies) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    return x.transposed([0, 2, 1, 3]).reshaped(to: [batch, frames, channels * frequencies])
  }
}
