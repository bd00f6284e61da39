// Step by step in smaller operations: the float64 path, what the kernels are compared with, and what a gradient's
// gradient is taken of.

extension RecurrentOptions {
  func composed(_ tensors: [Tensor]) -> [Tensor] {
    let inputs = named(tensors)
    let time = inputs.x.shape[1]
    var states = inputs.states
    var outputs: [Tensor] = []
    var saved = [[Tensor?]](repeating: Array(repeating: nil, count: time), count: savedCount)
    for number in 0..<time {
      let position = position(of: number, in: time)
      let step = step(inputs.x.step(position), states, inputs.kernel, inputs.bias)
      saved[0][position] = states[0]
      saved[1][position] = step.gates
      let mask = inputs.mask?.step(position).expanded(axis: -1)
      states = zip(step.states, states).map { new, old in mask.map { Tensor.select($0, new, old) } ?? new }
      if savedCount == 3 { saved[2][position] = cell == .lstm ? states[1] : step.product }
      outputs.append(states[0])
    }
    func stacked(_ steps: [Tensor], like type: TensorType) -> Tensor {
      steps.isEmpty ? Tensor.zeros(type.shape, dtype: type.dtype) : Tensor.stack(steps, axis: 1)
    }
    let steps = TensorType([inputs.x.shape[0], time, inputs.kernel.shape[0]], inputs.x.dtype)
    let visible = (keepsOutputs ? [stacked(outputs, like: steps)] : []) + states
    guard keepsSaved else { return visible }
    return visible
      + saved.enumerated().map { place, tensors in
        stacked(tensors.compactMap { $0 }, like: place == 1 ? inputs.x.type : steps)
      }
  }

  private struct Step {
    var states: [Tensor]
    var gates: Tensor
    /// The recurrent product for h of a GRU that resets after it.
    var product: Tensor?
  }

  private func step(_ x: Tensor, _ states: [Tensor], _ kernel: Tensor, _ bias: Tensor?) -> Step {
    let h = states[0]
    let units = kernel.shape[0]
    switch cell {
    case .simple:
      let new = (x + h.matmul(kernel)).tanh()
      return Step(states: [new], gates: new)
    case .lstm:
      let sums = (x + h.matmul(kernel)).split(4, axis: 1)
      let (i, f, c, o) = (sums[0].sigmoid(), sums[1].sigmoid(), sums[2].tanh(), sums[3].sigmoid())
      let newCell = f * states[1] + i * c
      return Step(states: [o * newCell.tanh(), newCell], gates: Tensor.concatenate([i, f, c, o], axis: 1))
    case .gru(let resetAfter):
      let xs = x.split(3, axis: 1)
      var product = h.matmul(resetAfter ? kernel : kernel.sliced(axis: 1, from: 0, count: 2 * units))
      if let bias { product = product + bias }
      let products = product.split(resetAfter ? 3 : 2, axis: 1)
      let z = (xs[0] + products[0]).sigmoid()
      let r = (xs[1] + products[1]).sigmoid()
      let last =
        resetAfter
        ? r * products[2] : (r * h).matmul(kernel.sliced(axis: 1, from: 2 * units, count: units))
      let candidate = (xs[2] + last).tanh()
      return Step(
        states: [z * h + (1 - z) * candidate], gates: Tensor.concatenate([z, r, candidate], axis: 1),
        product: resetAfter ? products[2] : nil)
    }
  }
}

extension RecurrentGradient {
  func composed(_ tensors: [Tensor]) -> [Tensor] {
    let inputs = named(tensors)
    let (gates, kernel) = (inputs.gates, inputs.kernel)
    let (time, units) = (gates.shape[1], kernel.shape[0])
    let zero = Tensor.zeros([gates.shape[0], units], dtype: gates.dtype)
    var h = inputs.gradients[1] ?? zero
    var c = options.cell == .lstm ? inputs.gradients[2] ?? zero : zero
    var projected = [Tensor?](repeating: nil, count: time)
    var products = projected
    for number in (0..<time).reversed() {
      let position = options.position(of: number, in: time)
      if let outputs = inputs.gradients[0] { h = h + outputs.step(number) }
      let before: Tensor?
      if options.cell == .lstm {
        before =
          number == 0
          ? inputs.initialCell : inputs.extra?.step(options.position(of: number - 1, in: time))
      } else {
        before = inputs.previous.step(position)
      }
      var step = stepBack(
        h, c, gates.step(position).split(options.cell.gates, axis: 1), inputs.extra?.step(position),
        before!, kernel)
      if let mask = inputs.mask?.step(position).expanded(axis: -1) {
        step.h = Tensor.select(mask, step.h, h)
        step.c = Tensor.select(mask, step.c, c)
        step.projected = Tensor.select(mask, step.projected, Tensor.zeros(like: step.projected))
        step.product = step.product.map { Tensor.select(mask, $0, Tensor.zeros(like: $0)) }
      }
      (h, c) = (step.h, step.c)
      projected[position] = step.projected
      products[position] = step.product
    }
    func stacked(_ steps: [Tensor?]) -> Tensor {
      steps.isEmpty ? Tensor.zeros(like: gates) : Tensor.stack(steps.compactMap { $0 }, axis: 1)
    }
    let states = options.cell == .lstm ? [h, c] : [h]
    return [stacked(projected)] + states + (options.cell == .gru(resetAfter: true) ? [stacked(products)] : [])
  }

  private struct Step {
    var h, c: Tensor
    var projected: Tensor
    var product: Tensor?
  }

  /// From the gradients after a step to those before it. `before`: the LSTM's cell before the step, else the state.
  private func stepBack(
    _ h: Tensor, _ c: Tensor, _ gates: [Tensor], _ extra: Tensor?, _ before: Tensor, _ kernel: Tensor
  ) -> Step {
    func back(_ gradient: Tensor, _ columns: Range<Int>? = nil) -> Tensor {
      let part = columns.map { kernel.sliced(axis: 1, from: $0.lowerBound, count: $0.count) } ?? kernel
      return gradient.matmul(part, transposeOther: true)
    }
    switch options.cell {
    case .simple:
      let sum = h * (1 - gates[0].squared())
      return Step(h: back(sum), c: c, projected: sum)
    case .lstm:
      let (i, f, g, o) = (gates[0], gates[1], gates[2], gates[3])
      let cell = extra!.tanh()
      let all = c + h * o * (1 - cell.squared())
      let sums = Tensor.concatenate(
        [
          all * g * i * (1 - i), all * before * f * (1 - f), all * i * (1 - g.squared()),
          h * cell * o * (1 - o),
        ], axis: 1)
      return Step(h: back(sums), c: all * f, projected: sums)
    case .gru(let resetAfter):
      let (z, r, candidate) = (gates[0], gates[1], gates[2])
      let units = kernel.shape[0]
      let update = h * (before - candidate) * z * (1 - z)
      let new = h * (1 - z) * (1 - candidate.squared())
      if resetAfter {
        let reset = new * extra! * r * (1 - r)
        let product = Tensor.concatenate([update, reset, new * r], axis: 1)
        return Step(
          h: h * z + back(product), c: c, projected: Tensor.concatenate([update, reset, new], axis: 1),
          product: product)
      }
      let throughReset = back(new, 2 * units..<3 * units)
      let reset = throughReset * before * r * (1 - r)
      let gated = back(Tensor.concatenate([update, reset], axis: 1), 0..<2 * units)
      return Step(
        h: h * z + throughReset * r + gated, c: c,
        projected: Tensor.concatenate([update, reset, new], axis: 1))
    }
  }
}

extension Tensor {
  /// [batch, time, …] at one step.
  fileprivate func step(_ position: Int) -> Tensor {
    sliced(axis: 1, from: position, count: 1).squeezed(axes: [1])
  }
}
