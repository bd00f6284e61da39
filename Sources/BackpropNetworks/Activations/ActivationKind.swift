import BackpropTensors

/// Keras' activations. The raw value is Keras' name.
enum ActivationKind: String, CaseIterable, Sendable {
  case celu, elu, exponential, gelu, glu
  case hardShrink = "hard_shrink"
  case hardSigmoid = "hard_sigmoid"
  case hardSilu = "hard_silu"
  case hardSwish = "hard_swish"
  case hardTanh = "hard_tanh"
  case leakyRelu = "leaky_relu"
  case linear
  case logSigmoid = "log_sigmoid"
  case logSoftmax = "log_softmax"
  case mish, relu, relu6, selu, sigmoid, silu
  case softShrink = "soft_shrink"
  case softmax, softplus, softsign
  case sparsePlus = "sparse_plus"
  case sparseSigmoid = "sparse_sigmoid"
  case sparsemax, squareplus, swish, tanh
  case tanhShrink = "tanh_shrink"
  case threshold

  /// The function of a tensor of floats; arguments that are missing have Keras' defaults.
  func value(_ x: Tensor, _ arguments: [String: Double]) -> Tensor {
    func argument(_ name: String, _ standard: Double) -> Double { arguments[name] ?? standard }
    func axis() -> Int { Int(argument("axis", -1)) }
    switch self {
    case .linear: return x
    case .relu: return rectified(x, arguments)
    case .relu6: return rectifiedTo6(x)
    case .leakyRelu: return leakyRectified(x, argument("negative_slope", 0.2))
    case .elu: return exponentialLinear(x, argument("alpha", 1))
    case .celu:
      let alpha = argument("alpha", 1)
      return x.maximum(0) + (x.minimum(0) / alpha).expm1() * alpha
    case .selu:
      // At 0 TensorFlow takes the slope from the right, unlike elu's.
      let below = x.minimum(0).expm1() * 1.673_263_242_354_377_2
      return Tensor.select(x .>= 0, x, below) * 1.050_700_987_355_480_5
    case .gelu: return gaussianLinear(x, approximate: argument("approximate", 0) != 0)
    case .glu:
      let halves = x.split(2, axis: axis())
      return halves[0] * halves[1].sigmoid()
    case .silu, .swish: return x * x.sigmoid()
    case .mish: return x * x.softplus().tanh()
    case .sigmoid: return x.sigmoid()
    case .logSigmoid: return -(-x).softplus()
    case .hardSigmoid: return clippedLine(x)
    case .hardSilu, .hardSwish: return x * clippedLine(x)
    case .hardTanh: return x.clipped(to: -1...1)
    case .hardShrink:
      return Tensor.select(x.abs() .> argument("threshold", 0.5), x, Tensor.zeros(like: x))
    case .softShrink:
      let threshold = argument("threshold", 0.5)
      return (x - threshold).masked(wherePositive: x - threshold)
        - (-x - threshold).masked(wherePositive: -x - threshold)
    case .tanhShrink: return x - x.tanh()
    case .threshold:
      let otherwise = Tensor(repeating: argument("default_value", 0), shape: [], dtype: x.dtype)
      return Tensor.select(x .> argument("threshold", 0), x, otherwise)
    case .sparsePlus:
      let middle = (x + 1).squared() * 0.25
      return Tensor.select(x .<= -1, Tensor.zeros(like: x), Tensor.select(x .< 1, middle, x))
    case .sparseSigmoid:
      let inside = (x .> -1).and(x .< 1)
      return Tensor.select(inside, (x + 1) * 0.5, (x .>= 1).cast(to: x.dtype))
    case .sparsemax: return nearestInSimplex(x, axis: axis())
    case .squareplus: return (x + (x.squared() + argument("b", 4)).sqrt()) * 0.5
    case .softplus: return x.softplus()
    case .softsign: return x / (x.abs() + 1)
    case .tanh: return x.tanh()
    case .exponential: return x.exp()
    case .softmax: return x.softmax(axis: axis())
    case .logSoftmax: return x.logSoftmax(axis: axis())
    }
  }
}

private func leakyRectified(_ x: Tensor, _ slope: Double) -> Tensor { Tensor.select(x .> 0, x, x * slope) }

/// α(eˣ − 1) below 0. The exponential of the other branch is of 0, so its gradient can't become ∞ · 0.
private func exponentialLinear(_ x: Tensor, _ alpha: Double) -> Tensor {
  Tensor.select(x .> 0, x, x.minimum(0).expm1() * alpha)
}

/// x between 0 and 6; flat at both ends, as TensorFlow's gradient is.
private func rectifiedTo6(_ x: Tensor) -> Tensor {
  Tensor.select((x .> 0).and(x .< 6), x, x.clipped(to: 0...6).stopGradient())
}

private func clippedLine(_ x: Tensor) -> Tensor { rectifiedTo6(x + 3) / 6 }

/// x · Φ(x) (Hendrycks and Gimpel, 2016), with erf or with its approximation by tanh.
private func gaussianLinear(_ x: Tensor, approximate: Bool) -> Tensor {
  guard approximate else { return x.gelu() }
  let inner = (x + x * x * x * 0.044715) * (2 / Double.pi).squareRoot()
  return x * 0.5 * (inner.tanh() + 1)
}

private func rectified(_ x: Tensor, _ arguments: [String: Double]) -> Tensor {
  let (slope, threshold) = (arguments["negative_slope"] ?? 0, arguments["threshold"] ?? 0)
  let maximum = arguments["max_value"]
  if slope != 0, threshold == 0, maximum == nil { return leakyRectified(x, slope) }
  var positive = threshold == 0 ? x.relu() : Tensor.select(x .> threshold, x, Tensor.zeros(like: x))
  if let maximum {
    positive = maximum == 6 && threshold == 0 ? rectifiedTo6(x) : positive.clipped(to: 0...maximum)
  }
  if slope == 0 { return positive }
  return positive - (threshold - x).relu() * slope
}

/// Keras' sparsemax: max(x − τ, 0), where k counts the sorted elements zᵢ that have 1 + i·zᵢ > z₁ + … + zᵢ.
///
/// In the paper (Martins and Astudillo, 2016) τ = (z₁ + … + z_k − 1) / k, and the result adds up to 1. Keras 3.15 sums
/// z₁ + … + zᵢ over all i up to k instead, so with more than one element in the support it gives less. A model trained
/// there has to give the same numbers here.
private func nearestInSimplex(_ x: Tensor, axis: Int) -> Tensor {
  let position = axis < 0 ? axis + x.rank : axis
  let z = position == x.rank - 1 ? x : x.swappingAxes(position, -1)
  let sorted = z.sorted(descending: true)
  let sums = sorted.cumulativeSum(axis: -1)
  let ranks = Tensor.range(from: 1, to: z.shape[-1] + 1).cast(to: z.dtype)
  let isSupported = (sorted - (sums - 1) / ranks .> 0)
  let size = isSupported.cast(to: z.dtype).sum(axes: [-1], keepDims: true)
  let total = Tensor.select(isSupported, sums, Tensor.zeros(like: sums)).sum(axes: [-1], keepDims: true)
  let result = (z - (total - 1) / size).maximum(0)
  return position == x.rank - 1 ? result : result.swappingAxes(position, -1)
}
