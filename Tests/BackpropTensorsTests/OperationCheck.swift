@testable import BackpropTensors

/// Small, seeded numbers for inputs and directions.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

extension Sample {
  /// The same numbers at each call; floating-point inputs as `float`.
  func tensors(_ float: DType = .float64) -> [Tensor] {
    var random = SplitMix64(state: 7)
    return inputs.map { input in
      let dtype = input.type.dtype.isFloatingPoint ? float : input.type.dtype
      let elements =
        input.elements
        ?? (0..<input.type.shape.elementCount).map { _ in
          let number = Double.random(in: input.domain, using: &random)
          // What float32 holds exactly, so that both precisions are given the same numbers.
          return dtype.isFloatingPoint ? Double(Float(number)) : number.rounded()
        }
      return Tensor(elements, shape: input.type.shape).cast(to: dtype)
    }
  }
}

/// Every sample of every family.
let allSamples: [Sample] = Operation.families.flatMap { $0.samples }

/// Samples whose inputs and results have gradients that float64 differences can measure.
let differentiableSamples: [Sample] = allSamples.filter { sample in
  guard let outputs = try? sample.operation.infer(sample.inputs.map(\.type)) else { return false }
  if case .none = sample.operation.rule.gradient { return false }
  let floats = outputs.filter(\.dtype.isFloatingPoint)
  return sample.inputs.contains { $0.type.dtype == .float64 } && !floats.isEmpty
    && floats.allSatisfy { $0.dtype == .float64 }
}

/// Reverse mode against central differences along random directions, for a rule rather than an operation, so that a
/// changed rule can be put to the same test.
struct GradientCheck64 {
  let sample: Sample
  let inputs: [Tensor]
  /// Directions for the floating-point inputs; nil for the others.
  let directions: [Tensor?]
  /// Cotangents for the floating-point results; nil for the others.
  let cotangents: [Tensor?]

  init(_ sample: Sample) {
    self.sample = sample
    inputs = sample.tensors()
    var random = SplitMix64(state: 11)
    func numbers(_ type: TensorType) -> Tensor? {
      guard type.dtype.isFloatingPoint else { return nil }
      let elements = (0..<type.shape.elementCount).map { _ in
        Double.random(in: 0.3...1, using: &random) * (Bool.random(using: &random) ? 1 : -1)
      }
      return Tensor(elements, shape: type.shape)
    }
    directions = inputs.map { numbers($0.type) }
    let types = try! sample.operation.infer(inputs.map(\.type))
    // What is saved for the backward pass is nobody's result.
    let visible = types.count - sample.operation.rule.savedResults
    cotangents = types.enumerated().map { place, type in place < visible ? numbers(type) : nil }
  }

  /// Σ ⟨cotangent, result⟩
  func weighted(_ outputs: [Tensor]) -> Tensor {
    zip(outputs, cotangents).reduce(Tensor(0.0)) { total, pair in
      pair.1.map { total + (pair.0 * $0).sum() } ?? total
    }
  }

  func moved(_ step: Double) -> [Tensor] {
    zip(inputs, directions).map { input, direction in direction.map { input + $0 * step } ?? input }
  }

  /// (f(x + εv) − f(x − εv)) / 2ε
  func difference(_ function: ([Tensor]) -> Tensor) -> Double {
    let epsilon = 1e-6
    return (function(moved(epsilon)).item() - function(moved(-epsilon)).item()) / (2 * epsilon)
  }

  /// Σ ⟨gradient, direction⟩
  func along(_ gradients: [Tensor?]) -> Tensor {
    zip(gradients, directions).reduce(Tensor(0.0)) { total, pair in
      guard let gradient = pair.0, let direction = pair.1 else { return total }
      return total + (gradient * direction).sum()
    }
  }

  static func agree(_ gradient: Double, _ difference: Double) -> Bool {
    abs(gradient - difference) <= 1e-5 + 1e-3 * abs(difference)
  }

  var isDifferentiable: [Bool] { directions.map { $0 != nil } }

  func apply(_ inputs: [Tensor]) -> [Tensor] { BackpropTensors.apply(sample.operation, inputs) }

  /// Gradients for the floating-point inputs, through the tape.
  func gradients(_ inputs: [Tensor]) -> [Tensor?] {
    let places = inputs.indices.filter { isDifferentiable[$0] }
    let gradients = gradient(at: places.map { inputs[$0] }) { points in
      var all = inputs
      for (place, point) in zip(places, points) { all[place] = point }
      return weighted(apply(all))
    }
    var result = [Tensor?](repeating: nil, count: inputs.count)
    for (place, gradient) in zip(places, gradients) { result[place] = gradient }
    return result
  }

  /// Gradients as `rule`'s own closure gives them, without the tape. nil: the rule's gradient is that of its composed form.
  func gradients(of rule: Rule) -> [Tensor?]? {
    let outputs = apply(inputs)
    let context = Backward(
      outputGradients: cotangents, wanted: isDifferentiable, inputTypes: inputs.map(\.type),
      outputTypes: outputs.map(\.type), inputs: inputs, outputs: outputs)
    return rule.gradient.function.map { $0(context) }
  }
}

extension Gradient {
  var function: (@Sendable (Backward) -> [Tensor?])? {
    switch self {
    case .none, .composed: nil
    case .constant(let function), .ofInputs(_, let function), .ofOutputs(_, _, let function),
      .everything(let function):
      function
    }
  }
}

/// For each result the sum of the magnitudes of the terms that make each element: rounding errors are measured by it.
func magnitudes(_ sample: Sample, _ inputs: [Tensor], _ outputs: [Tensor]) -> [Tensor] {
  let absolute = inputs.map { $0.dtype.isFloatingPoint ? $0.abs() : $0 }
  func onAbsolutes() -> [Tensor] { apply(sample.operation, absolute) }
  switch sample.operation {
  case .reduction(let reduction) where reduction.kind == .sum: return onAbsolutes()
  case .contraction(.matmul(let options)):
    let plain = MatmulOptions(transposeA: options.transposeA, transposeB: options.transposeB)
    let product: Tensor = apply(.contraction(.matmul(plain)), absolute[0], absolute[1])
    return [options.bias ? product + absolute[2] : product]
  case .cumulation, .indexing, .convolution, .pooling(.average), .pooling(.averageGradient),
    .pooling(.maxGradient):
    return onAbsolutes()
  case .binary(.add), .binary(.subtract): return [absolute[0] + absolute[1]]
  case .binary(.remainder): return [absolute[0] + absolute[1]]
  // The last steps are additions: of the largest element and a logarithm, of g and a sum over the row.
  case .normalisation(.logSoftmax):
    return [absolute[0] + absolute[0].max(axes: [-1], keepDims: true) + outputs[0].abs()]
  case .normalisation(.softmaxGradient):
    return [absolute[0] * (absolute[1] + (absolute[0] * absolute[1]).sum(axes: [-1], keepDims: true))]
  case .normalisation(.logSoftmaxGradient):
    return [absolute[1] + absolute[0].exp() * absolute[1].sum(axes: [-1], keepDims: true)]
  case .normalisation(.sparseCrossentropy):
    return [outputs[0].abs() + absolute[0].max(axes: [-1]), outputs[1]]
  case .normalisation(.sparseCrossentropyGradient):
    return [(absolute[0] + 1) * absolute[2].expanded(axis: -1)]
  case .layerNormalisation(let operation): return normalisationMagnitudes(operation, inputs)
  case .attention(.forward(let options)):
    let sums = apply(
      .attention(.forward(options)), [inputs[0], inputs[1], absolute[2]] + inputs.dropFirst(3))
    return [sums[0] + 1e-3, outputs[1].abs() + 1]
  case .attention(.gradient(let options, _)): return attentionMagnitudes(options, inputs)
  // 1 ± something small, or a zero of the function in the domain: an absolute error of a few units of 1.
  case .unary: return outputs.map { $0.dtype.isFloatingPoint ? $0.abs() + 0.01 : $0 }
  // Sums of products of states, all of about 1, and what activations make of them.
  case .recurrent: return outputs.map { $0.dtype.isFloatingPoint ? $0.abs() + 1 : $0 }
  case .binary, .comparison, .selection, .conversion, .reduction, .movement, .normalisation, .ordering,
    .pooling,
    .sampling, .custom,
    .fused, .continuedMatmul, .pooledConvolution:
    return outputs.map { $0.dtype.isFloatingPoint ? $0.abs() : $0 }
  }
}

private func normalisationMagnitudes(_ operation: LayerNormalisationOperation, _ inputs: [Tensor]) -> [Tensor]
{
  func mean(_ x: Tensor) -> Tensor { x.mean(axes: [-1], keepDims: true) }
  func scaled(_ options: LayerNormalisationOptions) -> (terms: Tensor, inverse: Tensor) {
    let x = inputs[0]
    let distance = options.isCentred ? x - mean(x) : x
    let inverse = (mean(distance.squared()) + options.epsilon).rsqrt()
    return ((options.isCentred ? x.abs() + mean(x.abs()) : x.abs()) * inverse, inverse)
  }
  switch operation {
  case .forward(let options): return [scaled(options).terms * inputs[1].abs() + inputs[2].abs()]
  case .gradient(let options):
    let (terms, inverse) = scaled(options)
    let g = inputs[2].abs()
    let products = g * inputs[1].abs()
    let rows = Array(0..<g.rank - 1)
    func sum(_ x: Tensor) -> Tensor { rows.isEmpty ? x : x.sum(axes: rows) }
    return [inverse * (products + mean(products) + terms * mean(products * terms)), sum(g * terms), sum(g)]
  }
}

/// What the difference between a compiled result and the eager one is measured by.
func compiledScale(_ sample: Sample, _ eager: Tensor) -> Tensor {
  switch sample.operation {
  // Fused chains round otherwise, and what they give is added up and cancels over gates and steps.
  case .recurrent where eager.count > 0: eager.abs() + eager.abs().max() * 10
  // The same over the keys.
  case .attention where eager.count > 0: eager.abs() + eager.abs().max()
  // The same over the rows; a row without variance cancels terms of g / √ε, about 30 here.
  case .layerNormalisation(.gradient) where eager.count > 0: eager.abs() + eager.abs().max() + 30
  default: eager.abs() + 1e-3
  }
}

/// w · (|g| · |v|ᵀ + Σ |g| · |out| + |gradient of the logarithms|) times what the slopes are multiplied by.
private func attentionMagnitudes(_ options: AttentionOptions, _ inputs: [Tensor]) -> [Tensor] {
  let heads = AttentionHeads(inputs, options)
  let rest = Array(inputs[(options.hasMask ? 4 : 3)...])
  let (out, g) = (heads.grouped(rest[0]).abs(), heads.grouped(rest[2]).abs())
  let weights = heads.weights(from: heads.columns(rest[1]))
  var shift = (g * out).sum(axes: [-1], keepDims: true)
  if rest.count > 3 { shift = shift + heads.columns(rest[3]).abs() }
  let slopes = weights * (g.matmul(heads.value.abs(), transposeOther: true) + shift) * options.scale
  return [
    heads.sideBySide(slopes.matmul(heads.key.abs())),
    heads.shared(slopes.matmul(heads.query.abs(), transposeSelf: true)),
    heads.shared(weights.matmul(g, transposeSelf: true)),
  ]
}

/// The largest |a − b| / magnitude; elements that are alike (infinities and NaN too) count 0.
func worstError(_ a: Tensor, _ b: Tensor, _ magnitude: Tensor) -> Double {
  let (a, b, magnitude) = (a.doubles, b.doubles, magnitude.cast(to: .float64).doubles)
  var worst = 0.0
  for index in a.indices where a[index] != b[index] && !(a[index].isNaN && b[index].isNaN) {
    let error = abs(a[index] - b[index]) / abs(magnitude[index])
    worst = error.isNaN ? .infinity : max(worst, error)
  }
  return worst
}
