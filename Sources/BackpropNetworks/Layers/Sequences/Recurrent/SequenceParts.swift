import BackpropTensors

extension Tensor {
  /// `split` with a gradient that joins the parts' instead of adding as many whole tensors as there are parts.
  ///
  /// - Parameter sizes: of the parts along `axis`, which together are the axis.
  func parts(sizes: [Int], axis: Int) -> [Tensor] {
    if sizes.count == 1 { return [self] }
    let axis = axis < 0 ? rank + axis : axis
    return withCustomGradient([self]) { inputs in
      var start = 0
      return sizes.map { size in
        defer { start += size }
        return inputs[0].sliced(axis: axis, from: start, count: size)
      }
    } backward: { gradients, inputs, outputs in
      let present = zip(gradients, outputs).map { $0 ?? Tensor.zeros(like: $1) }
      return [Tensor.concatenate(present, axis: axis)]
    }
  }

  /// The same for parts of one size.
  func parts(_ count: Int, axis: Int) -> [Tensor] {
    parts(sizes: Array(repeating: shape[axis] / count, count: count), axis: axis)
  }

  /// The steps of a sequence [batch, steps, …], each [batch, …].
  var steps: [Tensor] {
    let step = Shape([shape[0]] + shape.dimensions.dropFirst(2))
    return parts(shape[1], axis: 1).map { $0.reshaped(to: step) }
  }
}
