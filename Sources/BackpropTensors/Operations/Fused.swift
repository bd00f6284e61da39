import CKernels

/// A chain of element-wise operations, and reductions at its end, in one pass over memory.
///
/// Made by the fusion pass. Every step works on elements of one iteration shape; inputs of smaller shapes are stretched
/// to it. All arithmetic is float32 (truths are 0 and 1).
package struct FusedOperation: OperationFamily {
  /// One element-wise operation. Its result is register `inputCount + position`.
  package struct Step: Hashable, Sendable {
    package var operation: Operation
    package var operands: [Operand]
  }

  package enum Operand: Hashable, Sendable {
    /// An input (below `inputCount`) or an earlier step's result.
    case register(Int)
    case constant(Double)
  }

  package struct Output: Hashable, Sendable {
    package var register: Int
    package var type: TensorType
    package var reduction: ReductionOperation?
  }

  package var shape: Shape
  package var inputCount: Int
  package var steps: [Step]
  package var outputs: [Output]

  package init(shape: Shape, inputCount: Int, steps: [Step], outputs: [Output]) {
    self.shape = shape
    self.inputCount = inputCount
    self.steps = steps
    self.outputs = outputs
  }

  package var operation: Operation { .fused(self) }

  package var rule: Rule {
    var rule = Rule(
      "fused("
        + (steps.map(\.operation.rule.name) + outputs.compactMap { $0.reduction?.rule.name }).joined(
          separator: " ") + ")",
      infer: { _ throws(OperationError) in outputs.map(\.type) },
      value: .composed { interpreted($0) },
      kernel: { inputs, outputs, _ in BlockProgram.bind(self, inputs, outputs) })
    rule.mayOverwrite = { input, output, types in
      outputs[output].reduction == nil && types[input].shape == shape
    }
    rule.flops = { [count = steps.count, shape] _, _ in count * shape.elementCount }
    return rule
  }

  /// The steps one after the other: the oracle, and the way when the block machine's limits are exceeded.
  private func interpreted(_ inputs: [Tensor]) -> [Tensor] {
    var registers = inputs
    for step in steps {
      let dtype =
        step.operands.compactMap { operand -> DType? in
          guard case .register(let register) = operand else { return nil }
          return registers[register].dtype
        }.last ?? .float32
      let operands = step.operands.map { operand in
        switch operand {
        case .register(let register): registers[register]
        case .constant(let value): Tensor.scalar(value, dtype: dtype)
        }
      }
      registers.append(apply(step.operation, operands)[0])
    }
    return outputs.map { output in
      let whole = registers[output.register].broadcast(to: shape)
      guard let reduction = output.reduction else { return whole.reshaped(to: output.type.shape) }
      return apply(.reduction(reduction), whole)
    }
  }
}
