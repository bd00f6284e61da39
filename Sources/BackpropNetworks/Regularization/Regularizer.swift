import BackpropTensors

/// A penalty on a weight, added to the loss.
///
/// ```swift
/// Dense(64, kernelRegularizer: .l2(1e-4))
/// ```
public struct Regularizer: KerasForm {
  public enum Kind: String, CaseIterable, Sendable {
    case l1 = "L1"
    case l2 = "L2"
    case l1l2 = "L1L2"
    case orthogonal = "OrthogonalRegularizer"
  }

  public let className: String
  public let config: [String: ConfigValue]

  public init(className: String, config: [String: ConfigValue]) {
    self.className = className
    self.config = config
  }

  public static var module: String { "keras.regularizers" }
  public static var noun: String { "regularizer" }
  public static var aliases: [String: String] { ["l1_l2": "L1L2"] }

  public static func defaults(of kind: Kind) -> [String: ConfigValue] {
    switch kind {
    case .l1: ["l1": 0.01]
    case .l2: ["l2": 0.01]
    case .l1l2: ["l1": 0.0, "l2": 0.0]
    case .orthogonal: ["factor": 0.01, "mode": "rows"]
    }
  }

  /// `factor` · Σ|w|
  public static func l1(_ factor: Double = 0.01) -> Regularizer { Regularizer(.l1, ["l1": .number(factor)]) }
  /// `factor` · Σw²
  public static func l2(_ factor: Double = 0.01) -> Regularizer { Regularizer(.l2, ["l2": .number(factor)]) }
  /// `l1` · Σ|w| + `l2` · Σw²
  public static func l1l2(l1: Double = 0, l2: Double = 0) -> Regularizer {
    Regularizer(.l1l2, ["l1": .number(l1), "l2": .number(l2)])
  }

  /// `factor` times the mean |cosine| between different rows (or columns) of a matrix.
  public static func orthogonal(factor: Double = 0.01, columns: Bool = false) -> Regularizer {
    Regularizer(.orthogonal, ["factor": .number(factor), "mode": columns ? "columns" : "rows"])
  }

  /// The penalty: a scalar.
  public func callAsFunction(_ weight: Tensor) -> Tensor {
    switch kind {
    case .l1: return weight.abs().sum() * number("l1")
    case .l2: return weight.squared().sum() * number("l2")
    case .l1l2:
      let (l1, l2) = (number("l1"), number("l2"))
      let first = l1 == 0 ? nil : weight.abs().sum() * l1
      let second = l2 == 0 ? nil : weight.squared().sum() * l2
      if let first, let second { return first + second }
      return first ?? second ?? Tensor.zeros([], dtype: weight.dtype)
    case .orthogonal: return orthogonalPenalty(weight)
    }
  }

  private func orthogonalPenalty(_ weight: Tensor) -> Tensor {
    require(weight.rank == 2, "OrthogonalRegularizer is for matrices, not shape \(weight.shape)")
    let byRows = value("mode").text != "columns"
    let lengths = weight.squared().sum(axes: [byRows ? 1 : 0], keepDims: true)
    let unit = weight * lengths.maximum(1e-12).rsqrt()
    let products = byRows ? unit.matmul(unit, transposeOther: true) : unit.matmul(unit, transposeSelf: true)
    let size = products.shape[0]
    let others = products * (1 - Tensor.eye(size, dtype: weight.dtype))
    let pairs = Double(size * (size - 1)) / 2
    return others.abs().sum() * (number("factor") * 0.5) / pairs
  }
}
