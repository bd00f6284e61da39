import CKernels

/// Rows along the last axis brought to mean 0 and variance 1, scaled and shifted (Ba et al., 2016), or scaled alone (Zhang
/// and Sennrich, 2019), and the gradient of that.
///
/// ```
/// y = (x − mean) / √(variance + ε) · gamma + beta
/// ```
package enum LayerNormalisationOperation: SampledFamily {
  /// From x [..., n], gamma [n] and beta [n] to y [..., n].
  case forward(LayerNormalisationOptions)
  /// From x, gamma and the gradient of y to those of x, gamma and beta.
  case gradient(LayerNormalisationOptions)

  package var operation: Operation { .layerNormalisation(self) }

  package enum Kind: CaseIterable { case forward, gradient }

  package var kind: Kind {
    switch self {
    case .forward: .forward
    case .gradient: .gradient
    }
  }

  package var rule: Rule {
    switch self {
    case .forward(let options): options.forwardRule
    case .gradient(let options): options.gradientRule
    }
  }

  package static var samples: [Sample] {
    // Rows of less than a vector, of several and a part; rows enough for more than one stretch of sums.
    let shapes: [Shape] = [[3, 4], [1, 1], [5], [2, 3, 7], [0, 3], [4, 33], [7, 64], [130, 5]]
    return [true, false].flatMap { isCentred in
      shapes.flatMap { shape in
        let options = LayerNormalisationOptions(epsilon: 1e-3, isCentred: isCentred)
        let x = Sample.Input(shape), weight = Sample.Input([shape[-1]])
        return [
          Sample(.layerNormalisation(.forward(options)), [x, weight, weight]),
          Sample(.layerNormalisation(.gradient(options)), [x, weight, x]),
        ]
      }
    }
  }
}

package struct LayerNormalisationOptions: Hashable, Sendable {
  /// Added to the variance.
  package var epsilon: Double
  /// Otherwise the mean is taken for 0: by the root of the mean square.
  package var isCentred: Bool

  // MARK: Forward

  fileprivate var forwardRule: Rule {
    let name = "layerNormalisation"
    var rule = Rule(
      name,
      infer: { types throws(OperationError) in
        try check(name, types[0], weights: Array(types[1...]))
        return [types[0]]
      },
      value: .composed { inputs in [standardised(inputs[0]).x * inputs[1] + inputs[2]] },
      kernel: { inputs, outputs, _ in
        guard let (source, rows, width) = rowsOfFloats(inputs[0]),
          let (gamma, _, _) = rowsOfFloats(inputs[1]),
          let (beta, _, _) = rowsOfFloats(inputs[2]), let (target, _, _) = rowsOfFloats(outputs[0])
        else { return nil }
        return BoundKernel(
          name,
          ck_normalise(
            dst: target, src: source, gamma: gamma, beta: beta, rows: rows, width: width,
            epsilon: Float(epsilon), centred: isCentred),
          run: ck_normalise_run)
      },
      gradient: .ofInputs(keeping: [0, 1]) {
        apply(.layerNormalisation(.gradient(self)), [$0.input(0), $0.input(1), $0.gradient])
      })
    rule.flops = { inputs, _ in 8 * inputs[0].shape.elementCount }
    rule.mayOverwrite = { input, _, _ in input == 0 }
    return rule
  }

  private func check(_ name: String, _ x: TensorType, weights: [TensorType]) throws(OperationError) {
    _ = try floatRows(x, name)
    let expected = TensorType([x.shape[-1]], x.dtype)
    for weight in weights where weight != expected {
      throw OperationError("\(name): expected gamma and beta of \(expected) for rows of \(x), got \(weight)")
    }
  }

  private func standardised(_ x: Tensor) -> (x: Tensor, inverse: Tensor) {
    let distance = isCentred ? x - x.mean(axes: [-1], keepDims: true) : x
    let inverse = (distance.squared().mean(axes: [-1], keepDims: true) + epsilon).rsqrt()
    return (distance * inverse, inverse)
  }

  // MARK: Gradient

  fileprivate var gradientRule: Rule {
    let name = "layerNormalisationGradient"
    var rule = Rule(
      name,
      infer: { types throws(OperationError) in
        try check(name, types[0], weights: [types[1]])
        guard types[2] == types[0] else {
          throw OperationError("\(name): \(types[0]) and \(types[2]) must be alike")
        }
        return [types[0], types[1], types[1]]
      },
      value: .composed { inputs in
        let (x, inverse) = standardised(inputs[0])
        let g = inputs[2]
        let scaled = g * inputs[1]
        var dx = scaled - x * (scaled * x).mean(axes: [-1], keepDims: true)
        if isCentred { dx = dx - scaled.mean(axes: [-1], keepDims: true) }
        let rows = Array(0..<x.rank - 1)
        return [
          dx * inverse, rows.isEmpty ? g * x : (g * x).sum(axes: rows), rows.isEmpty ? g : g.sum(axes: rows),
        ]
      },
      kernel: { inputs, outputs, scratch in
        guard let (source, rows, width) = rowsOfFloats(inputs[0]),
          let (gamma, _, _) = rowsOfFloats(inputs[1]),
          let (g, _, _) = rowsOfFloats(inputs[2]), let (dx, _, _) = rowsOfFloats(outputs[0]),
          let (dgamma, _, _) = rowsOfFloats(outputs[1]), let (dbeta, _, _) = rowsOfFloats(outputs[2])
        else { return nil }
        return BoundKernel(
          name,
          ck_normalise_gradient(
            dx: dx, dgamma: dgamma, dbeta: dbeta, src: source, gamma: gamma, g: g,
            sums: scratch?.assumingMemoryBound(to: Float.self), rows: rows, width: width,
            epsilon: Float(epsilon),
            centred: isCentred),
          run: ck_normalise_gradient_run)
      },
      gradient: .composed)
    rule.scratch = { types in
      let width = types[0].shape[-1]
      let rows = width == 0 ? 0 : types[0].shape.elementCount / width
      return Int(ck_normalise_scratch_bytes(Int64(rows), Int64(width)))
    }
    rule.flops = { inputs, _ in 16 * inputs[0].shape.elementCount }
    rule.mayOverwrite = { input, output, _ in output == 0 && input != 1 }
    return rule
  }
}

extension Tensor {
  /// Each row along the last axis brought to mean 0 and variance 1, then scaled by gamma and shifted by beta (nil: 1 and
  /// 0), tensors of the axis' size. `isCentred: false` leaves the mean as it is and divides by the root of the mean square.
  package func layerNormalised(gamma: Tensor?, beta: Tensor?, epsilon: Double, isCentred: Bool = true)
    -> Tensor
  {
    let width: Shape = [shape[-1]]
    let options = LayerNormalisationOptions(epsilon: epsilon, isCentred: isCentred)
    return apply(
      .layerNormalisation(.forward(options)),
      [self, gamma ?? Tensor.ones(width, dtype: dtype), beta ?? Tensor.zeros(width, dtype: dtype)])[0]
  }
}
