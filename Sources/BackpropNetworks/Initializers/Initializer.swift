import BackpropTensors

/// What a weight starts as.
///
/// ```swift
/// Dense(64, kernelInitializer: .heNormal, biasInitializer: .constant(0.1))
/// ```
///
/// Random ones draw from the model's generator, so that a model's seed decides its weights; one with a `seed` of its own
/// gives the same numbers always.
public struct Initializer: KerasForm {
  public enum Kind: String, CaseIterable, Sendable {
    case constant = "Constant"
    case zeros = "Zeros"
    case ones = "Ones"
    case identity = "Identity"
    case randomNormal = "RandomNormal"
    case randomUniform = "RandomUniform"
    case truncatedNormal = "TruncatedNormal"
    case varianceScaling = "VarianceScaling"
    case glorotNormal = "GlorotNormal"
    case glorotUniform = "GlorotUniform"
    case heNormal = "HeNormal"
    case heUniform = "HeUniform"
    case lecunNormal = "LecunNormal"
    case lecunUniform = "LecunUniform"
    case orthogonal = "Orthogonal"
    case stft = "STFT"
  }

  public let className: String
  public let config: [String: ConfigValue]

  public init(className: String, config: [String: ConfigValue]) {
    self.className = className
    self.config = config
  }

  public static var module: String { "keras.initializers" }
  public static var noun: String { "initializer" }
  public static var aliases: [String: String] {
    [
      "identityinitializer": "Identity", "orthogonalinitializer": "Orthogonal", "stftinitializer": "STFT",
      "normal": "RandomNormal", "uniform": "RandomUniform", "zero": "Zeros", "one": "Ones",
    ]
  }

  /// Keras 3.0 knows the class by this name alone.
  public static var writtenNames: [String: String] { ["Orthogonal": "OrthogonalInitializer"] }

  public static func defaults(of kind: Kind) -> [String: ConfigValue] {
    switch kind {
    case .constant: ["value": 0.0]
    case .zeros, .ones: [:]
    case .identity: ["gain": 1.0]
    case .randomNormal, .truncatedNormal: ["mean": 0.0, "stddev": 0.05, "seed": nil]
    case .randomUniform: ["minval": -0.05, "maxval": 0.05, "seed": nil]
    case .varianceScaling: ["scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal", "seed": nil]
    case .glorotNormal, .glorotUniform, .heNormal, .heUniform, .lecunNormal, .lecunUniform: ["seed": nil]
    case .orthogonal: ["gain": 1.0, "seed": nil]
    case .stft: ["side": "real", "window": "hann", "scaling": "density", "periodic": false]
    }
  }

  /// A tensor of `shape`, float32 unless `dtype` says otherwise.
  public func callAsFunction(_ shape: Shape, dtype: DType = .float32, random: RandomGenerator) -> Tensor {
    let random = config["seed"]?.int.map { RandomGenerator(seed: $0) } ?? random
    return value(shape, random).cast(to: dtype)
  }

  private func value(_ shape: Shape, _ random: RandomGenerator) -> Tensor {
    switch kind {
    case .zeros: return .zeros(shape)
    case .ones: return .ones(shape)
    case .constant: return Tensor(repeating: number("value"), shape: shape)
    case .identity: return identity(shape)
    case .randomNormal:
      return random.normal(shape, mean: number("mean"), standardDeviation: number("stddev"))
    case .randomUniform: return random.uniform(shape, from: number("minval"), to: number("maxval"))
    case .truncatedNormal:
      return random.truncatedNormal(shape, mean: number("mean"), standardDeviation: number("stddev"))
    case .varianceScaling:
      return scaled(
        shape, random, number("scale"), Fan(rawValue: value("mode").text ?? "") ?? .fanIn,
        Distribution(rawValue: value("distribution").text ?? "") ?? .truncatedNormal)
    case .glorotNormal: return scaled(shape, random, 1, .fanAverage, .truncatedNormal)
    case .glorotUniform: return scaled(shape, random, 1, .fanAverage, .uniform)
    case .heNormal: return scaled(shape, random, 2, .fanIn, .truncatedNormal)
    case .heUniform: return scaled(shape, random, 2, .fanIn, .uniform)
    case .lecunNormal: return scaled(shape, random, 1, .fanIn, .truncatedNormal)
    case .lecunUniform: return scaled(shape, random, 1, .fanIn, .uniform)
    case .orthogonal: return orthogonal(shape, random)
    case .stft: return shortTimeFourier(shape)
    }
  }

  private func identity(_ shape: Shape) -> Tensor {
    require(shape.rank == 2, "Identity initialises matrices, not shape \(shape)")
    return Tensor.eye(shape[0], columns: shape[1]) * number("gain")
  }
}

extension Initializer {
  public enum Fan: String, Sendable {
    case fanIn = "fan_in"
    case fanOut = "fan_out"
    case fanAverage = "fan_avg"
  }

  public enum Distribution: String, Sendable {
    case truncatedNormal = "truncated_normal"
    case untruncatedNormal = "untruncated_normal"
    case uniform
  }

  public static let zeros = Initializer(.zeros)
  public static let ones = Initializer(.ones)
  public static let identity = Initializer(.identity)
  public static let glorotUniform = Initializer(.glorotUniform)
  public static let glorotNormal = Initializer(.glorotNormal)
  public static let heUniform = Initializer(.heUniform)
  public static let heNormal = Initializer(.heNormal)
  public static let lecunUniform = Initializer(.lecunUniform)
  public static let lecunNormal = Initializer(.lecunNormal)
  public static let orthogonal = Initializer(.orthogonal)

  public static func constant(_ value: Double) -> Initializer {
    Initializer(.constant, ["value": .number(value)])
  }
  public static func identity(gain: Double) -> Initializer { Initializer(.identity, ["gain": .number(gain)]) }
  public static func orthogonal(gain: Double = 1, seed: Int? = nil) -> Initializer {
    Initializer(.orthogonal, ["gain": .number(gain), "seed": seed.config])
  }

  public static func randomNormal(mean: Double = 0, standardDeviation: Double = 0.05, seed: Int? = nil)
    -> Initializer
  {
    Initializer(
      .randomNormal, ["mean": .number(mean), "stddev": .number(standardDeviation), "seed": seed.config])
  }

  public static func truncatedNormal(
    mean: Double = 0, standardDeviation: Double = 0.05, seed: Int? = nil
  ) -> Initializer {
    Initializer(
      .truncatedNormal, ["mean": .number(mean), "stddev": .number(standardDeviation), "seed": seed.config])
  }

  public static func randomUniform(from low: Double = -0.05, to high: Double = 0.05, seed: Int? = nil)
    -> Initializer
  {
    Initializer(.randomUniform, ["minval": .number(low), "maxval": .number(high), "seed": seed.config])
  }

  /// Glorot, He and LeCun with a seed of their own: `.glorotUniform(seed: 7)`.
  public static func glorotUniform(seed: Int) -> Initializer {
    Initializer(.glorotUniform, ["seed": .integer(seed)])
  }
  public static func glorotNormal(seed: Int) -> Initializer {
    Initializer(.glorotNormal, ["seed": .integer(seed)])
  }
  public static func heUniform(seed: Int) -> Initializer { Initializer(.heUniform, ["seed": .integer(seed)]) }
  public static func heNormal(seed: Int) -> Initializer { Initializer(.heNormal, ["seed": .integer(seed)]) }
  public static func lecunUniform(seed: Int) -> Initializer {
    Initializer(.lecunUniform, ["seed": .integer(seed)])
  }
  public static func lecunNormal(seed: Int) -> Initializer {
    Initializer(.lecunNormal, ["seed": .integer(seed)])
  }

  /// Variance `scale` / n, n being the number of inputs, of outputs, or their average.
  public static func varianceScaling(
    scale: Double = 1, mode: Fan = .fanIn, distribution: Distribution = .truncatedNormal, seed: Int? = nil
  ) -> Initializer {
    let config: [String: ConfigValue] = [
      "scale": .number(scale), "mode": .string(mode.rawValue), "distribution": .string(distribution.rawValue),
      "seed": seed.config,
    ]
    return Initializer(.varianceScaling, config)
  }

  /// The real or imaginary part of a short-time Fourier transform's kernel, [frame, 1, frequencies].
  public static func stft(
    side: String = "real", window: String? = "hann", scaling: String? = "density", periodic: Bool = false
  ) -> Initializer {
    let config: [String: ConfigValue] = [
      "side": .string(side), "window": window.map { .string($0) } ?? .null,
      "scaling": scaling.map { .string($0) } ?? .null, "periodic": .bool(periodic),
    ]
    return Initializer(.stft, config)
  }
}
