import CKernels

/// A user's own operation: a kernel and its gradient, known to the tape, the tracer and the compiler like any other.
///
/// ```swift
/// let cube = CustomOperation(
///   "cube", result: { $0[0] },
///   kernel: { inputs, outputs in for i in 0..<inputs[0].count { outputs[0][i] = inputs[0][i] * inputs[0][i] * inputs[0][i] } },
///   gradient: { gradients, inputs, _ in [gradients[0]! * inputs[0].squared() * 3] })
/// let y = cube(x)[0]
/// ```
///
/// The kernel is given float32 elements; inputs of other dtypes are converted.
public final class CustomOperation: OperationFamily {
  public let name: String
  private let result: @Sendable ([Shape]) throws -> [Shape]
  private let kernel: @Sendable ([UnsafeBufferPointer<Float>], [UnsafeMutableBufferPointer<Float>]) -> Void
  private let backward: @Sendable ([Tensor?], [Tensor], [Tensor]) -> [Tensor?]

  /// - Parameters:
  ///   - result: from the inputs' shapes to the results'; throws when the inputs don't fit.
  ///   - kernel: writes every element of every result; must give the same for the same inputs.
  ///   - gradient: from the results' gradients (nil: nothing depends on that one), the inputs and the results to one
  ///     gradient for each input (nil: none), in tensor operations.
  public init(
    _ name: String,
    result: @escaping @Sendable ([Shape]) throws -> [Shape],
    kernel: @escaping @Sendable ([UnsafeBufferPointer<Float>], [UnsafeMutableBufferPointer<Float>]) -> Void,
    gradient:
      @escaping @Sendable (_ gradients: [Tensor?], _ inputs: [Tensor], _ outputs: [Tensor]) -> [Tensor?]
  ) {
    self.name = name
    self.result = result
    self.kernel = kernel
    backward = gradient
  }

  public func callAsFunction(_ inputs: Tensor..., file: StaticString = #fileID, line: UInt = #line)
    -> [Tensor]
  {
    apply(.custom(self), inputs.map { $0.cast(to: .float32) }, file: file, line: line)
  }

  public static func == (a: CustomOperation, b: CustomOperation) -> Bool { a === b }
  public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

  package var operation: Operation { .custom(self) }

  package var rule: Rule {
    Rule(
      name,
      infer: { [self] types throws(OperationError) in
        do {
          return try result(types.map(\.shape)).map { TensorType($0, .float32) }
        } catch {
          throw OperationError("\(name): \(error)")
        }
      },
      value: .reference { [self] inputs, outputs in
        kernel(
          inputs.map { UnsafeBufferPointer($0.elements(as: Float.self)) },
          outputs.map { $0.elements(as: Float.self) })
      },
      gradient: .everything { [self] context in
        let inputs = context.inputTypes.indices.map(context.input)
        let outputs = context.outputTypes.indices.map(context.output)
        return backward(context.outputGradients, inputs, outputs)
      })
  }
}
