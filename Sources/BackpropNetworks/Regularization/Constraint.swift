import BackpropTensors

/// What a weight is brought back to after each update.
///
/// ```swift
/// Dense(64, kernelConstraint: .maxNorm(2))
/// ```
public struct Constraint: KerasForm {
  public enum Kind: String, CaseIterable, Sendable {
    case maxNorm = "MaxNorm"
    case minMaxNorm = "MinMaxNorm"
    case nonNegative = "NonNeg"
    case unitNorm = "UnitNorm"
  }

  public let className: String
  public let config: [String: ConfigValue]

  public init(className: String, config: [String: ConfigValue]) {
    self.className = className
    self.config = config
  }

  public static var module: String { "keras.constraints" }
  public static var noun: String { "constraint" }

  public static func defaults(of kind: Kind) -> [String: ConfigValue] {
    switch kind {
    case .maxNorm: ["max_value": 2, "axis": 0]
    case .minMaxNorm: ["min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0]
    case .nonNegative: [:]
    case .unitNorm: ["axis": 0]
    }
  }

  public static let nonNegative = Constraint(.nonNegative)

  private static func axes(_ axes: [Int]) -> ConfigValue {
    axes.count == 1 ? .integer(axes[0]) : .array(axes.map { .integer($0) })
  }

  /// Norms along `axes` of at most `maximum`.
  public static func maxNorm(_ maximum: Double = 2, axes: [Int] = [0]) -> Constraint {
    Constraint(.maxNorm, ["max_value": .number(maximum), "axis": Self.axes(axes)])
  }

  /// Norms along `axes` pulled into `minimum...maximum`, by the share `rate` of the way.
  public static func minMaxNorm(
    _ minimum: Double = 0, _ maximum: Double = 1, rate: Double = 1, axes: [Int] = [0]
  ) -> Constraint {
    let config: [String: ConfigValue] = [
      "min_value": .number(minimum), "max_value": .number(maximum), "rate": .number(rate),
      "axis": Self.axes(axes),
    ]
    return Constraint(.minMaxNorm, config)
  }

  /// Norms along `axes` of 1.
  public static func unitNorm(axes: [Int] = [0]) -> Constraint {
    Constraint(.unitNorm, ["axis": Self.axes(axes)])
  }

  private var axes: [Int] { value("axis").elements.map { $0.compactMap(\.int) } ?? [integer("axis")] }

  /// Keeps a division by a norm of 0 finite.
  private static let epsilon = 1e-7

  public func callAsFunction(_ weight: Tensor) -> Tensor {
    if kind == .nonNegative { return weight * (weight .>= 0).cast(to: weight.dtype) }
    let norms = weight.squared().sum(axes: axes, keepDims: true).sqrt()
    switch kind {
    case .maxNorm:
      return weight * (norms.clipped(to: 0...number("max_value")) / (norms + Self.epsilon))
    case .minMaxNorm:
      let rate = number("rate")
      let inside = norms.clipped(to: number("min_value")...number("max_value"))
      let wanted = inside * rate + norms * (1 - rate)
      return weight * (wanted / (norms + Self.epsilon))
    case .unitNorm: return weight / (norms + Self.epsilon)
    case .nonNegative: return weight
    }
  }
}
