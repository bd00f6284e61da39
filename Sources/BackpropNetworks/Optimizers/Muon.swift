import BackpropTensors
import Foundation

/// Momentum made orthogonal (Jordan et al., 2024) for matrices, Adam for everything else. Keras' `Muon`.
///
/// `nsSteps` iterations of Newton and Schulz, x = a · x + (b · xxᵀ + c(xxᵀ)²)x, bring the singular values of a matrix's
/// momentum near 1. Embeddings and whatever `excludeLayers` matches take Adam too.
public final class Muon: Optimizer, @unchecked Sendable {
  public let adamBeta1: Double
  public let adamBeta2: Double
  public let adamWeightDecay: Double?
  public let epsilon: Double
  /// Regular expressions: a weight whose path one of them matches takes Adam.
  public let excludeLayers: [String]
  public let excludeEmbeddings: Bool
  public let muonA: Double
  public let muonB: Double
  public let muonC: Double
  /// Adam's learning rate over Muon's.
  public let adamLearningRateRatio: Double
  public let momentum: Double
  public let nsSteps: Int
  public let nesterov: Bool
  /// Steps are scaled by this and the root of the longer side; nil: not at all.
  public let rmsRate: Double?

  public required init(config: [String: ConfigValue]) {
    adamBeta1 = config["adam_beta_1"]?.double ?? 0.9
    adamBeta2 = config["adam_beta_2"]?.double ?? 0.999
    adamWeightDecay = config["adam_weight_decay", default: 0.004].double
    epsilon = config["epsilon"]?.double ?? 1e-7
    excludeLayers = config["exclude_layers"]?.elements?.compactMap(\.text) ?? []
    excludeEmbeddings = config["exclude_embeddings"]?.bool ?? true
    muonA = config["muon_a"]?.double ?? 3.4445
    muonB = config["muon_b"]?.double ?? -4.7750
    muonC = config["muon_c"]?.double ?? 2.0315
    adamLearningRateRatio = config["adam_lr_ratio"]?.double ?? 1
    momentum = config["momentum"]?.double ?? 0.95
    nsSteps = config["ns_steps"]?.int ?? 5
    nesterov = config["nesterov"]?.bool ?? true
    rmsRate = config["rms_rate", default: 0.2].double
    super.init(config: ["weight_decay": 0.004].merging(config) { $1 })
  }

  public convenience init(
    learningRate: some LearningRateConvertible = 0.001, adamBeta1: Double = 0.9, adamBeta2: Double = 0.999,
    adamWeightDecay: Double? = 0.004, epsilon: Double = 1e-7, excludeLayers: [String] = [],
    excludeEmbeddings: Bool = true, muonA: Double = 3.4445, muonB: Double = -4.7750, muonC: Double = 2.0315,
    adamLearningRateRatio: Double = 1, momentum: Double = 0.95, nsSteps: Int = 5, nesterov: Bool = true,
    rmsRate: Double? = 0.2,
    weightDecay: Double? = 0.004, clipNorm: Double? = nil, clipValue: Double? = nil,
    globalClipNorm: Double? = nil, useEMA: Bool = false, emaMomentum: Double = 0.99,
    emaOverwriteFrequency: Int? = nil, lossScaleFactor: Double? = nil, gradientAccumulationSteps: Int? = nil,
    excludeFromWeightDecay: [String] = [], name: String = "muon"
  ) {
    var config = OptimizerOptions.config(
      learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm, clipValue: clipValue,
      globalClipNorm: globalClipNorm, useEMA: useEMA, emaMomentum: emaMomentum,
      emaOverwriteFrequency: emaOverwriteFrequency, lossScaleFactor: lossScaleFactor,
      gradientAccumulationSteps: gradientAccumulationSteps, excludeFromWeightDecay: excludeFromWeightDecay,
      name: name)
    config["adam_beta_1"] = .number(adamBeta1)
    config["adam_beta_2"] = .number(adamBeta2)
    config["adam_weight_decay"] = adamWeightDecay.config
    config["epsilon"] = .number(epsilon)
    config["exclude_layers"] = .array(excludeLayers.map { .string($0) })
    config["exclude_embeddings"] = .bool(excludeEmbeddings)
    config["muon_a"] = .number(muonA)
    config["muon_b"] = .number(muonB)
    config["muon_c"] = .number(muonC)
    config["adam_lr_ratio"] = .number(adamLearningRateRatio)
    config["momentum"] = .number(momentum)
    config["ns_steps"] = .integer(nsSteps)
    config["nesterov"] = .bool(nesterov)
    config["rms_rate"] = rmsRate.config
    self.init(config: config)
  }

  public override var className: String { "Muon" }

  /// Whether Adam takes it.
  private func usesAdam(_ weight: Weight) -> Bool {
    if weight.shape.rank != 2 { return true }
    if excludeEmbeddings, weight.path.lowercased().contains("embedding") { return true }
    return excludeLayers.contains { weight.path.range(of: $0, options: .regularExpression) != nil }
  }

  override func slotGroups(for weight: Weight) -> [[Slot]] {
    [[Slot("momentum")] + (usesAdam(weight) ? [Slot("velocity")] : [])]
  }

  override func weightDecay(of weight: Weight) -> Double? {
    usesAdam(weight) ? adamWeightDecay : options.weightDecay
  }

  public override func prepare(step: Tensor, learningRate: Tensor) -> [Tensor] {
    let power1 = Self.power(of: adamBeta1, step)
    let power2 = Self.power(of: adamBeta2, step)
    return [learningRate * adamLearningRateRatio * (1 - power2).sqrt() / (1 - power1)]
  }

  public override func update(
    _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
  ) -> Tensor {
    if slots.count > 1 {
      slots[0] = slots[0] + (gradient - slots[0]) * (1 - adamBeta1)
      slots[1] = slots[1] + (gradient.squared() - slots[1]) * (1 - adamBeta2)
      return parameter - slots[0] * step.prepared[0] / (slots[1].sqrt() + epsilon)
    }
    slots[0] = slots[0] + (gradient + slots[0] * (momentum - 1))
    var move = orthogonal(nesterov ? gradient + slots[0] * momentum : slots[0]) * step.learningRate
    if let rmsRate {
      let longer = Double(max(parameter.shape[0], parameter.shape[1]))
      move = move * (longer.squareRoot() * rmsRate)
    }
    return parameter - move
  }

  /// The matrix with its singular values near 1.
  private func orthogonal(_ matrix: Tensor) -> Tensor {
    let isTall = matrix.shape[0] > matrix.shape[1]
    var x = isTall ? matrix.transposed() : matrix
    x = x / (x.squared().sum().sqrt() + 1e-7)
    for _ in 0..<nsSteps {
      let a = x.matmul(x.transposed())
      let b = a * muonB + (a * muonC).matmul(a)
      x = x * muonA + b.matmul(x)
    }
    return isTall ? x.transposed() : x
  }
}
