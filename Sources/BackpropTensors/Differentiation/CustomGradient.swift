/// `forward` at `inputs`, with `backward` in place of its gradient.
///
/// ```swift
/// // The straight-through estimator: rounds, but passes gradients unchanged.
/// let y = withCustomGradient([x], forward: { [$0[0].rounded()] }, backward: { gradients, _, _ in gradients })[0]
/// ```
///
/// - Parameters:
///   - forward: the results for the inputs; nothing in it is recorded.
///   - backward: from the results' gradients (nil: nothing depends on that result), the inputs and the results to one
///     gradient for each input (nil: none).
public func withCustomGradient(
  _ inputs: [Tensor],
  forward: @escaping @Sendable ([Tensor]) -> [Tensor],
  backward: @escaping @Sendable (_ gradients: [Tensor?], _ inputs: [Tensor], _ outputs: [Tensor]) -> [Tensor?]
) -> [Tensor] {
  guard let tape = innermostTape(among: inputs) else { return forward(inputs) }
  let primals = inputs.map(tape.primal(of:))
  let outputs = withCustomGradient(primals, forward: forward, backward: backward).map(tape.primal(of:))
  return tape.record(
    inputs: inputs, outputs: outputs, keepingInputs: Array(inputs.indices),
    keepingOutputs: Array(outputs.indices)
  ) { context in
    let inputs = context.inputTypes.indices.map(context.input)
    let outputs = context.outputTypes.indices.map(context.output)
    let gradients = backward(context.outputGradients, inputs, outputs)
    require(
      gradients.count == inputs.count,
      "a custom gradient gave \(gradients.count) gradients for \(inputs.count) inputs")
    for (input, gradient) in zip(inputs, gradients) {
      guard let gradient else { continue }
      require(
        gradient.shape == input.shape,
        "a custom gradient gave shape \(gradient.shape) for an input of shape \(input.shape)")
    }
    return gradients
  }
}
