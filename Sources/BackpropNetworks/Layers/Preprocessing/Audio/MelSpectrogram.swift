import BackpropTensors
import Foundation
import Synchronization

/// How loud a signal is in bands that are as wide as the ear's: [batch, time] → [batch, bands, frames]. Keras'
/// `MelSpectrogram`.
///
/// Signals are surrounded by their mirror images, frames are stretched by a window, their spectrum is added up by bands
/// on the mel scale and given in decibels.
public final class MelSpectrogram: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var fftLength: Int
    public var sequenceStride: Int
    /// How much of a frame the window covers; nil: all.
    public var sequenceLength: Int?
    /// `hann`, `hamming` or nil.
    public var window: String?
    /// Samples a second.
    public var samplingRate: Int
    public var numMelBins: Int
    /// Hertz.
    public var minFreq: Double
    /// Hertz; nil: half the sampling rate.
    public var maxFreq: Double?
    public var powerToDb: Bool
    /// How far below the loudest the quietest may be, in decibels.
    public var topDb: Double
    /// The power of the magnitude that is added up.
    public var magExp: Double
    public var minPower: Double
    public var refPower: Double
  }

  public let configuration: Configuration
  private let made = Mutex<(cosine: Tensor, sine: Tensor, bands: Tensor)?>(nil)

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    fftLength: Int = 2048, sequenceStride: Int = 512, sequenceLength: Int? = nil, window: String? = "hann",
    samplingRate: Int = 16_000, melBinCount: Int = 128, minFrequency: Double = 20,
    maxFrequency: Double? = nil,
    powerToDecibels: Bool = true, topDecibels: Double = 80, magnitudeExponent: Double = 2,
    minPower: Double = 1e-10,
    referencePower: Double = 1, name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        fftLength: fftLength, sequenceStride: sequenceStride, sequenceLength: sequenceLength, window: window,
        samplingRate: samplingRate, numMelBins: melBinCount, minFreq: minFrequency, maxFreq: maxFrequency,
        powerToDb: powerToDecibels, topDb: topDecibels, magExp: magnitudeExponent, minPower: minPower,
        refPower: referencePower), name: name)
  }

  private var sequenceLength: Int { configuration.sequenceLength ?? configuration.fftLength }

  private func checkOptions() throws {
    let c = configuration
    func refuse(_ message: String) -> ModelError { ModelError(.argument, at: path, message) }
    let sizes = [
      ("fft_length", c.fftLength), ("sequence_stride", c.sequenceStride), ("sequence_length", sequenceLength),
      ("num_mel_bins", c.numMelBins), ("sampling_rate", c.samplingRate),
    ]
    for (name, size) in sizes where size < 1 { throw refuse("'\(name)' must be positive, got \(size)") }
    // The transform is a matrix of half as many columns as rows, the bands another.
    for (name, size, most) in [("fft_length", c.fftLength, 8192), ("num_mel_bins", c.numMelBins, 4096)]
    where size > most {
      throw refuse("'\(name)' may be \(most) at most, got \(size)")
    }
    if sequenceLength > c.fftLength {
      throw refuse("'sequence_length' may be \(c.fftLength) at most, the fft_length, got \(sequenceLength)")
    }
    if !["hann", "hamming", nil].contains(c.window) {
      throw refuse("expected hann, hamming or null for 'window', got \(c.window ?? "null")")
    }
  }

  public override func build(_ input: Shape) throws { try checkOptions() }

  public override func check(_ inputs: [Shape]) throws {
    guard inputs[0].rank == 1 || inputs[0].rank == 2 else {
      throw ModelError(.shape, at: path, "expected signals of [batch, time] or [time], got \(inputs[0])")
    }
    let least = configuration.fftLength / 2 + 1
    if inputs[0][-1] < least {
      throw ModelError(
        .shape, at: path,
        "expected signals of at least \(least) steps, to mirror half a frame, got \(inputs[0])")
    }
    try Frames.check(
      inputs[0][-1] / configuration.sequenceStride + 1, of: configuration.fftLength, in: inputs[0], path: path
    )
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let c = configuration
    let x = input.dtype == .float64 ? input : input.cast(to: .float32)
    if x.rank == 1 { return call(x.expanded(axis: 0), context).squeezed(axes: [0]) }
    let (batch, time, half) = (x.shape[0], x.shape[1], c.fftLength / 2)
    let count = (time + 2 * half - c.fftLength) / c.sequenceStride + 1
    let places = Frames.places(count, of: c.fftLength) { frame, step in
      Self.mirrored(frame * c.sequenceStride + step - half, time)
    }
    let frames = x.gathered(places, axis: 1)
    let rows = frames.reshaped(to: [batch * count, c.fftLength])
    let matrices = matrices()
    let (real, imaginary) = (
      rows.matmul(matrices.cosine.cast(to: x.dtype)), rows.matmul(matrices.sine.cast(to: x.dtype))
    )
    let magnitude = (real.squared() + imaginary.squared()).sqrt().power(c.magExp)
    var bands = magnitude.matmul(matrices.bands.cast(to: x.dtype))
    if c.powerToDb {
      let decibels = 10 / Foundation.log(10.0)
      let reference = decibels * Foundation.log(max(abs(c.refPower), c.minPower))
      bands = bands.maximum(c.minPower).log() * decibels - reference
      bands = bands.maximum(bands.max() - c.topDb)
    }
    return bands.reshaped(to: [batch, count, c.numMelBins]).transposed([0, 2, 1])
  }

  /// A place beyond the ends of the signal, mirrored at its first or last step.
  private static func mirrored(_ place: Int, _ count: Int) -> Int {
    place < 0 ? -place : place >= count ? 2 * (count - 1) - place : place
  }

  /// The Fourier transform with the window in it, two of [frame, frequencies], and [frequencies, bands].
  private func matrices() -> (cosine: Tensor, sine: Tensor, bands: Tensor) {
    let (length, frequencies) = (configuration.fftLength, configuration.fftLength / 2 + 1)
    if let wave = Tensor.ofTypeOnly([length, frequencies], .float64) {
      return (wave, wave, Tensor.zeros([frequencies, configuration.numMelBins], dtype: .float64))
    }
    return made.withLock { made in
      if let made { return made }
      let new = (fourier(Foundation.cos), fourier(Foundation.sin), bandWeights())
      made = new
      return new
    }
  }

  private func fourier(_ function: (Double) -> Double) -> Tensor {
    let (length, count) = (configuration.fftLength, sequenceLength)
    let before = (length - count) / 2
    let wave = (0..<length).map { function(-2 * Double.pi * Double($0) / Double(length)) }
    var elements: [Double] = []
    for step in 0..<length {
      let place = step - before
      let weight = (0..<count).contains(place) ? window(place, count) : 0
      for frequency in 0...(length / 2) { elements.append(weight * wave[step * frequency % length]) }
    }
    return Tensor(elements, shape: [length, length / 2 + 1])
  }

  private func window(_ step: Int, _ count: Int) -> Double {
    let cosine = Foundation.cos(2 * Double.pi * Double(step) / Double(count))
    switch configuration.window {
    case "hann": return 0.5 - 0.5 * cosine
    case "hamming": return 0.54 - 0.46 * cosine
    default: return 1
    }
  }

  /// Triangles between neighbouring places on the mel scale; the frequency 0 belongs to none.
  private func bandWeights() -> Tensor {
    let c = configuration
    func mel(_ hertz: Double) -> Double { 1127 * Foundation.log(1 + hertz / 700) }
    let (low, high) = (mel(c.minFreq), mel(c.maxFreq ?? Double(c.samplingRate / 2)))
    let edges = (0..<(c.numMelBins + 2)).map { low + (high - low) * Double($0) / Double(c.numMelBins + 1) }
    let frequencies = c.fftLength / 2 + 1
    var elements = [Double](repeating: 0, count: c.numMelBins)
    for frequency in 1..<frequencies {
      let place = mel(Double(c.samplingRate) / 2 * Double(frequency) / Double(frequencies - 1))
      for band in 0..<c.numMelBins {
        let rising = (place - edges[band]) / (edges[band + 1] - edges[band])
        let falling = (edges[band + 2] - place) / (edges[band + 2] - edges[band + 1])
        elements.append(max(0, min(rising, falling)))
      }
    }
    return Tensor(elements, shape: [frequencies, c.numMelBins])
  }
}
