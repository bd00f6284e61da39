import BackpropTensors

/// How many inputs and outputs a unit of a weight of `shape` has, as Keras counts them: the last two axes are channels in
/// and out, the others the receptive field.
func fans(of shape: Shape) -> (in: Double, out: Double) {
  switch shape.rank {
  case 0: return (1, 1)
  case 1: return (Double(shape[0]), Double(shape[0]))
  default:
    let field = Double(shape.dimensions.dropLast(2).reduce(1, *))
    return (Double(shape[-2]) * field, Double(shape[-1]) * field)
  }
}

extension Initializer {
  /// Random numbers whose variance is `scale` over the fan (Glorot and Bengio, 2010; He et al., 2015).
  func scaled(
    _ shape: Shape, _ random: RandomGenerator, _ scale: Double, _ mode: Fan, _ distribution: Distribution
  ) -> Tensor {
    let fans = fans(of: shape)
    let fan =
      switch mode {
      case .fanIn: fans.in
      case .fanOut: fans.out
      case .fanAverage: (fans.in + fans.out) / 2
      }
    let variance = scale / max(1, fan)
    switch distribution {
    case .uniform:
      let limit = (3 * variance).squareRoot()
      return random.uniform(shape, from: -limit, to: limit)
    case .untruncatedNormal: return random.normal(shape, standardDeviation: variance.squareRoot())
    case .truncatedNormal:
      // Cutting at two standard deviations narrows the distribution; this widens it back.
      let deviation = variance.squareRoot() / 0.879_625_661_034_239_78
      return random.truncatedNormal(shape, standardDeviation: deviation)
    }
  }
}
