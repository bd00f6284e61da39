import Foundation

/// What gradients, steps and activations say of a network's health.
public struct GradientVerdict: Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    case vanishing, exploding, dead, saturated, noGradient, stepsTooLarge, stepsTooSmall
  }

  public struct Finding: Sendable, Hashable {
    public let kind: Kind
    /// The layers that it is about, by name.
    public let layers: [String]
    /// What is so, and what can be done about it.
    public let sentence: String
  }

  /// Empty where nothing is wrong.
  public let findings: [Finding]
  private let measured: Int

  public var isHealthy: Bool { findings.isEmpty }

  public var description: String {
    if measured == 0 { return "no step was measured" }
    if isHealthy { return "gradients are healthy" }
    return findings.map(\.sentence).joined(separator: "\n")
  }

  // Thresholds lie far from both sides: healthy networks of the tests stay a factor of three and more below them.
  private static let shrinking = 1e3
  private static let growing = 1e3
  /// A gradient that is so many times as long as its weights throws them away in one step, whatever the rate.
  private static let overlong = 1e3
  private static let deadShare = 0.6
  private static let saturatedShare = 0.5
  private static let largeStep = 0.3
  private static let smallStep = 1e-7

  /// - Parameter samples: measured steps, in order; the latter half counts, so that what training has overcome is past.
  public init(_ samples: [GradientSample]) {
    let latest = Array(samples.suffix(max(1, min(samples.count / 2, 100))))
    measured = latest.count
    guard let last = latest.last else {
      findings = []
      return
    }
    func median(_ value: (GradientSample) -> Double?) -> Double {
      let values = latest.compactMap(value).sorted()
      return values.isEmpty ? 0 : values[values.count / 2]
    }
    let layers = last.layers.indices.map { index in
      Reading(
        name: last.layers[index].name, gradient: median { $0.layers[index].gradientRMS },
        norm: median { $0.layers[index].gradientNorm }, weight: median { $0.layers[index].weightNorm },
        update: median { $0.layers[index].updateRatio })
    }
    let activations = last.activations.indices.map { index in
      (
        last.activations[index],
        dead: median { $0.activations.indices.contains(index) ? $0.activations[index].deadFraction : nil },
        saturated: median {
          $0.activations.indices.contains(index) ? $0.activations[index].saturatedFraction : nil
        }
      )
    }
    var found: [Finding] = []
    let dead = activations.filter { $0.dead > Self.deadShare }.map(\.0.name)
    if !dead.isEmpty {
      let worst = activations.map(\.dead).max() ?? 0
      found.append(
        Finding(
          kind: .dead, layers: dead,
          sentence: """
            \(Self.percent(worst)) of the units of \(Self.list(dead)) give zero for every sample: dead, and no gradient \
            passes through them; try a smaller learning rate, biases that start at zero, He initialisation, or LeakyReLU
            """))
    }
    let saturated = activations.filter { $0.saturated > Self.saturatedShare }.map(\.0)
    if !saturated.isEmpty {
      let names = saturated.map(\.name)
      let worst = activations.map(\.saturated).max() ?? 0
      found.append(
        Finding(
          kind: .saturated, layers: names,
          sentence: """
            \(Self.percent(worst)) of the outputs of \(Self.list(names)) lie at the limits of \(saturated[0].activation): \
            saturated, and next to no gradient passes; scale the inputs to about −1…1, try smaller initial weights \
            (Glorot), a smaller learning rate, or ReLU
            """))
    }
    found += Self.flow(layers, last, isExplained: !dead.isEmpty, saturated.map(\.name))
    found += Self.steps(layers)
    findings = found
  }

  private struct Reading {
    var name: String
    var gradient: Double
    var norm: Double
    var weight: Double
    var update: Double
  }

  /// How gradients fare on their way from the output to the input.
  private static func flow(
    _ layers: [Reading], _ sample: GradientSample, isExplained: Bool, _ saturated: [String]
  ) -> [Finding] {
    let silent = layers.filter { $0.gradient == 0 }
    if !silent.isEmpty {
      if isExplained { return [] }
      let isConverged = silent.count == layers.count && sample.loss == 0
      let names = silent.map(\.name)
      let zero = layers.filter { $0.weight == 0 }.map(\.name)
      let reason =
        zero.isEmpty
        ? "look for a stopGradient, or a loss that doesn't depend on them"
        : "the weights of \(list(zero)) are all zero; initialise kernels with Glorot or He"
      return isConverged
        ? []
        : [
          Finding(kind: .noGradient, layers: names, sentence: "no gradient reaches \(list(names)); \(reason)")
        ]
    }
    guard layers.count > 1, let output = layers.last,
      let first = layers.dropLast().min(by: { $0.gradient < $1.gradient }),
      let largest = layers.dropLast().max(by: { $0.gradient < $1.gradient })
    else { return [] }
    let top = layers.max { $0.gradient < $1.gradient } ?? output
    if output.gradient > 0, top.gradient / first.gradient > shrinking,
      (layers.firstIndex { $0.name == top.name } ?? 0) > (layers.firstIndex { $0.name == first.name } ?? 0)
    {
      let kinds = Set(sample.activations.map(\.activation))
      let cause: String
      if !saturated.isEmpty {
        cause = "the layers \(list(saturated)) saturate; try ReLU or LeakyReLU with He initialisation"
      } else if kinds.contains("sigmoid") {
        cause =
          "a sigmoid's slope is at most 1/4, and that for each layer; try ReLU or LeakyReLU with He initialisation"
      } else {
        cause =
          "each layer passes on less than it gets; try He initialisation, BatchNormalization or shortcuts around layers"
      }
      return [
        Finding(
          kind: .vanishing, layers: [first.name],
          sentence:
            "gradients shrink \(power(top.gradient / first.gradient))-fold from \(top.name) to \(first.name): vanishing; \(cause)"
        )
      ]
    }
    let longest = layers.filter { $0.weight > 0 }.max { $0.norm / $0.weight < $1.norm / $1.weight }
    if let longest, longest.norm / longest.weight > overlong {
      return [
        Finding(
          kind: .exploding, layers: [longest.name],
          sentence: """
            the gradient of \(longest.name) is \(power(longest.norm / longest.weight)) times as long as its weights: \
            exploding; try smaller initial weights (Glorot or He), inputs and targets of about −1…1, BatchNormalization, or \
            clipNorm in the optimizer
            """)
      ]
    }
    if largest.gradient / output.gradient > growing {
      return [
        Finding(
          kind: .exploding, layers: [largest.name],
          sentence: """
            gradients grow \(power(largest.gradient / output.gradient))-fold from \(output.name) to \(largest.name): \
            exploding; try smaller initial weights (Glorot or He), BatchNormalization, or clipNorm in the optimizer
            """)
      ]
    }
    return []
  }

  /// How far the weights move.
  private static func steps(_ layers: [Reading]) -> [Finding] {
    let large = layers.filter { $0.update > largeStep && $0.weight > 0 }
    if let worst = large.max(by: { $0.update < $1.update }) {
      return [
        Finding(
          kind: .stepsTooLarge, layers: large.map(\.name),
          sentence: """
            a step changes the weights of \(worst.name) by \(percent(worst.update)) of their size: the learning rate is too \
            large; about 0.1 % learns well, so try a tenth of the rate or less
            """)
      ]
    }
    // Where gradients are small too, training has arrived.
    let moving = layers.filter { $0.weight > 0 && $0.norm > 1e-6 }
    if !moving.isEmpty, moving.count == layers.count, let fastest = moving.max(by: { $0.update < $1.update }),
      fastest.update < smallStep, fastest.update > 0
    {
      return [
        Finding(
          kind: .stepsTooSmall, layers: layers.map(\.name),
          sentence: """
            a step changes no layer's weights by more than \(power(fastest.update)) of their size: the learning rate is too \
            small; try a hundred times the rate
            """)
      ]
    }
    return []
  }

  // MARK: Words

  private static func list(_ names: [String]) -> String {
    guard names.count > 3 else { return names.joined(separator: ", ") }
    return "\(names[0]), \(names[1]) and \(names.count - 2) more"
  }

  private static func percent(_ share: Double) -> String {
    share > 100 || !share.isFinite ? "\(power(share))-fold" : "\(Int((share * 100).rounded())) %"
  }

  /// 10^6 for numbers of about that size.
  private static func power(_ value: Double) -> String {
    guard value.isFinite, value > 0 else { return "infinitely" }
    return "10^\(Int(log10(value).rounded()))"
  }
}
