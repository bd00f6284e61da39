import BackpropTensors

/// Keras' arguments that every optimizer takes.
public struct OptimizerOptions: Hashable, Sendable {
  /// Each step takes this share of a weight, times the learning rate, off it.
  public var weightDecay: Double?
  /// Each gradient is scaled down to this norm.
  public var clipNorm: Double?
  /// Elements of gradients are cut to ± this.
  public var clipValue: Double?
  /// All gradients together are scaled down to this norm.
  public var globalClipNorm: Double?
  /// Keep a moving average of the weights, and end `fit` with it.
  public var useEMA = false
  public var emaMomentum = 0.99
  /// Steps after which the weights become their average.
  public var emaOverwriteFrequency: Int?
  /// What the loss was multiplied by, and gradients are divided by.
  public var lossScaleFactor: Double?
  /// Gradients of this many steps are averaged before an update.
  public var gradientAccumulationSteps: Int?
  /// Weights whose name contains one of these have no weight decay.
  public var excludedFromWeightDecay: [String] = []

  init(_ config: [String: ConfigValue]) {
    weightDecay = config["weight_decay"]?.double
    clipNorm = config["clipnorm"]?.double
    clipValue = config["clipvalue"]?.double
    globalClipNorm = config["global_clipnorm"]?.double
    useEMA = config["use_ema"]?.bool ?? false
    emaMomentum = config["ema_momentum"]?.double ?? 0.99
    emaOverwriteFrequency = config["ema_overwrite_frequency"]?.int
    lossScaleFactor = config["loss_scale_factor"]?.double
    gradientAccumulationSteps = config["gradient_accumulation_steps"]?.int
    excludedFromWeightDecay = config["exclude_from_weight_decay"]?.elements?.compactMap(\.text) ?? []
  }

  /// The configuration that an optimizer's own arguments are added to.
  public static func config(
    learningRate: some LearningRateConvertible, weightDecay: Double? = nil, clipNorm: Double? = nil,
    clipValue: Double? = nil, globalClipNorm: Double? = nil, useEMA: Bool = false, emaMomentum: Double = 0.99,
    emaOverwriteFrequency: Int? = nil, lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [], name: String
  ) -> [String: ConfigValue] {
    var config: [String: ConfigValue] = [
      "name": .string(name), "learning_rate": learningRate.configValue, "weight_decay": weightDecay.config,
      "clipnorm": clipNorm.config, "clipvalue": clipValue.config, "global_clipnorm": globalClipNorm.config,
      "use_ema": .bool(useEMA), "ema_momentum": .number(emaMomentum),
    ]
    config["ema_overwrite_frequency"] = emaOverwriteFrequency.config
    config["loss_scale_factor"] = lossScaleFactor.config
    config["gradient_accumulation_steps"] = gradientAccumulationSteps.config
    if !excludeFromWeightDecay.isEmpty {
      config["exclude_from_weight_decay"] = .array(excludeFromWeightDecay.map { .string($0) })
    }
    return config
  }

  func isExcludedFromDecay(_ weight: Weight) -> Bool {
    excludedFromWeightDecay.contains { weight.name.contains($0) }
  }

  /// The first of the three clippings that is set, in Keras' order.
  func clipped(_ gradients: [Tensor]) -> [Tensor] {
    if let limit = clipNorm, limit > 0 { return gradients.map { clipped($0, toNorm: limit) } }
    if let limit = globalClipNorm, limit > 0 { return clipped(gradients, toGlobalNorm: limit) }
    if let limit = clipValue, limit > 0 { return gradients.map { $0.clipped(to: -limit...limit) } }
    return gradients
  }

  private func clipped(_ gradient: Tensor, toNorm limit: Double) -> Tensor {
    let norm = gradient.squared().sum().sqrt()
    return gradient * limit / norm.maximum(limit)
  }

  private func clipped(_ gradients: [Tensor], toGlobalNorm limit: Double) -> [Tensor] {
    guard let first = gradients.first else { return [] }
    let squares = gradients.dropFirst().reduce(first.squared().sum()) { $0 + $1.squared().sum() }
    let norm = squares.sqrt()
    let scale = (1 / norm).minimum(1 / limit) * limit
    return gradients.map { $0 * scale }
  }
}

/// A number or a schedule.
public protocol LearningRateConvertible: Sendable {
  /// As it stands in an optimizer's configuration.
  var configValue: ConfigValue { get }
}

extension Double: LearningRateConvertible { public var configValue: ConfigValue { .number(self) } }

extension LearningRateSchedule: LearningRateConvertible {
  public var configValue: ConfigValue {
    let isKeras = Self.kind(named: className)?.isKeras ?? true
    return .object([
      "module": .string(isKeras ? Self.module : "backprop.schedules"), "class_name": .string(className),
      "config": .object(config), "registered_name": isKeras ? .null : .string("backprop>\(className)"),
    ])
  }

  /// nil where the value is a plain number.
  init?(_ value: ConfigValue?) {
    guard case .object(let object)? = value, let name = object["class_name"]?.text,
      case .object(let config)? = object["config"]
    else { return nil }
    self.init(className: name, config: config)
  }
}
