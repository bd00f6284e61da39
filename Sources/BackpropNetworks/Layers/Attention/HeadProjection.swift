import BackpropTensors

/// The dense layers before and after the heads of attention: [batch, …, features] to [batch, …, heads, dim] and back.
struct HeadProjection {
  /// What the projections of one layer have in common.
  struct Configuration {
    var useBias: Bool
    var kernelInitializer, biasInitializer: Initializer
    var kernelRegularizer, biasRegularizer, activityRegularizer: Regularizer?
    var kernelConstraint, biasConstraint: Constraint?
  }

  /// How many axes there are between batch and features.
  let inner: Int
  let configuration: Configuration
  let dtype: DTypePolicy

  private static let letters = Array("abcdefghijklmnopqrstuvwxyz")

  /// `abc,cde->abde` for one inner axis.
  func toHeads(_ name: String, _ heads: Int, _ dim: Int, activation: ActivationFunction = .linear)
    -> EinsumDense
  {
    let free = Self.letters[...inner], bound = Self.letters[inner + 1],
      new = Self.letters[inner + 2...inner + 3]
    return dense(
      "\(String(free))\(bound),\(bound)\(String(new))->\(String(free))\(String(new))",
      Array(repeating: nil, count: inner) + [heads, dim], String(new), activation, name)
  }

  /// `abcd,cde->abe` for one inner axis and an output of one axis.
  func fromHeads(_ name: String, _ output: [Int]) -> EinsumDense {
    let free = Self.letters[...inner], bound = Self.letters[inner + 1...inner + 2]
    let new = Self.letters[inner + 3..<inner + 3 + output.count]
    return dense(
      "\(String(free))\(String(bound)),\(String(bound))\(String(new))->\(String(free))\(String(new))",
      Array(repeating: nil, count: inner) + output, String(new), .linear, name)
  }

  private func dense(
    _ equation: String, _ shape: [Int?], _ biasAxes: String, _ activation: ActivationFunction, _ name: String
  ) -> EinsumDense {
    let c = configuration
    return EinsumDense(
      equation, outputShape: shape, activation: activation, biasAxes: c.useBias ? biasAxes : nil,
      kernelInitializer: c.kernelInitializer, biasInitializer: c.biasInitializer,
      kernelRegularizer: c.kernelRegularizer, biasRegularizer: c.biasRegularizer,
      activityRegularizer: c.activityRegularizer, kernelConstraint: c.kernelConstraint,
      biasConstraint: c.biasConstraint, name: name, dtype: dtype)
  }
}
