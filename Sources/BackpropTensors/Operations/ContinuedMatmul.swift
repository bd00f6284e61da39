import CKernels

/// A matrix product and the element-wise operations that read it, in one pass: a weight's gradient goes into the
/// optimizer's update while it is in the first-level cache and is never written to memory.
///
/// Inputs are the product's operands, then the program's inputs without the product.
package struct ContinuedMatmul: OperationFamily {
  package var product: MatmulOptions
  package var program: FusedOperation
  /// Which of the program's inputs the product is.
  package var place: Int

  var operandCount: Int { product.bias ? 3 : 2 }

  /// Whether the kernel does this: a product of our own kernel, and a program that reads every other input at the product's
  /// positions or as one number.
  static func isPossible(
    _ product: MatmulOptions, _ operands: [TensorType], _ program: FusedOperation, _ inputs: [TensorType]
  ) -> Bool {
    guard let own = product.ownProduct(operands), program.shape.elementCount == own.m * own.n
    else {
      return false
    }
    let fits = inputs.allSatisfy {
      ($0.shape == program.shape || $0.shape.elementCount == 1) && $0.dtype == .float32
    }
    return fits && program.outputs.allSatisfy { $0.reduction == nil && $0.type.dtype == .float32 }
  }

  package var operation: Operation { .continuedMatmul(self) }

  package var rule: Rule {
    var rule = Rule(
      "matmul then " + program.rule.name,
      infer: { _ throws(OperationError) in program.outputs.map(\.type) },
      value: .composed { inputs in composed(inputs) },
      kernel: { inputs, outputs, scratch in kernel(inputs, outputs, scratch) })
    rule.scratch = { types in product.scratchBytes(Array(types[..<operandCount])) }
    rule.flops = { inputs, outputs in
      let operands = Array(inputs[..<operandCount])
      guard let own = product.ownProduct(operands) else { return 0 }
      return 2 * own.m * own.k * own.n + program.steps.count * program.shape.elementCount
    }
    rule.mayOverwrite = { input, output, types in
      input >= operandCount && program.outputs[output].reduction == nil && types[input].shape == program.shape
    }
    return rule
  }

  private func composed(_ inputs: [Tensor]) -> [Tensor] {
    let result = apply(.contraction(.matmul(product)), Array(inputs[..<operandCount]))[0]
    var arguments = Array(inputs[operandCount...])
    arguments.insert(result.reshaped(to: program.shape), at: place)
    return apply(.fused(program), arguments)
  }

  private func kernel(_ inputs: [Buffer], _ outputs: [Buffer], _ scratch: UnsafeMutableRawPointer?)
    -> BoundKernel?
  {
    let operands = Array(inputs[..<operandCount])
    guard let own = product.ownProduct(operands.map(\.type)) else { return nil }
    var programInputs = Array(inputs[operandCount...])
    // The product's place is filled block by block; the address stands for none.
    programInputs.insert(Buffer(outputs[0].bytes, TensorType(program.shape, .float32)), at: place)
    guard let box = BlockProgram.program(program, programInputs, outputs), box.program.pointee.rank == 1
    else { return nil }
    var arguments = own.arguments(product, operands, nil, scratch)
    arguments.program = box.program
    arguments.program_input = Int32(place)
    return BoundKernel("own product, block program", arguments, keeping: box, run: ck_matmul_run)
  }
}
