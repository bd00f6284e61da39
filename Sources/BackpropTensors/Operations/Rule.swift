import CKernels

/// All that is known of one operation, in one place. Interpreters, passes, file formats and tests read it.
package struct Rule: Sendable {
  /// The name users read in messages and dumps.
  package var name: String
  /// Shapes and dtypes of the results; throws the words a user reads when the inputs don't fit.
  package var infer: @Sendable ([TensorType]) throws(OperationError) -> [TensorType]
  /// How the values are computed without a fast kernel.
  package var value: Value
  /// The fast kernel, bound to memory; nil for inputs that it doesn't take.
  package var kernel: KernelBinder?
  /// What eager code looks for in the inputs' elements before it computes: what is wrong with them, such as a position
  /// that isn't there. Compiled programs don't look.
  package var check: (@Sendable ([Buffer]) -> String?)?
  /// Bytes of working memory the fast kernel needs.
  package var scratch: @Sendable ([TensorType]) -> Int = { _ in 0 }
  package var gradient: Gradient
  /// What the operation is inside a block program; nil when it isn't element-wise.
  package var element: ElementCode?
  /// Copies or moves elements whatever they mean, so 16-bit floats pass unchanged instead of through float32.
  package var movesOnly = false
  /// The fast kernel itself takes bfloat16.
  package var takesHalf = false
  /// Floating-point operations for given inputs; nil means one for each element of the first result.
  package var flops: (@Sendable ([TensorType], [TensorType]) -> Int)?
  /// Bytes read and written; all of the inputs and outputs when nil.
  package var bytes: (@Sendable ([TensorType], [TensorType]) -> Int)?
  package var onnx: String?
  /// How many of the last results are there for the backward pass alone.
  package var savedResults = 0
  /// The same operation without results that nobody reads, and the places of those that it still gives; nil where nothing
  /// can be left out.
  package var withoutUnused: (@Sendable (_ used: [Bool]) -> (operation: Operation, kept: [Int])?)?
  /// The result can be the first input's memory itself: same bytes, another shape.
  package var isAlias = false
  /// Whether a result may be written over an input: the kernel reads each of its elements before it writes the one at
  /// the same place, and no other input's memory. Positions of the input and of the result, and the inputs' types.
  package var mayOverwrite: @Sendable (_ input: Int, _ output: Int, _ inputs: [TensorType]) -> Bool = {
    _, _, _ in false
  }

  package init(
    _ name: String,
    infer: @escaping @Sendable ([TensorType]) throws(OperationError) -> [TensorType],
    value: Value,
    kernel: KernelBinder? = nil,
    gradient: Gradient = .none,
    element: ElementCode? = nil,
    onnx: String? = nil
  ) {
    self.name = name
    self.infer = infer
    self.value = value
    self.kernel = kernel
    self.gradient = gradient
    self.element = element
    self.onnx = onnx
  }

  package enum Value: Sendable {
    /// The generic kernel: any dtype the operation allows, no speed. The oracle for the fast one.
    case reference(@Sendable (_ inputs: [Buffer], _ outputs: [Buffer]) -> Void)
    /// In smaller operations: the float64 path, the oracle and the fallback of an operation with a kernel of its own,
    /// and what is differentiated when its gradient is ``Gradient/composed``.
    case composed(@Sendable ([Tensor]) -> [Tensor])
  }
}

/// Memory with a type: what kernels read and write.
package struct Buffer: @unchecked Sendable {
  package var bytes: UnsafeMutableRawPointer
  package var type: TensorType
  /// Not row by row but part by part (`Graph.withCutColumns`); known to the kernels of gathers and to our own of products.
  package var inParts: Bool
  /// The program never writes it: a kernel may keep it in a layout of its own (``BoundKernel/preparation``).
  package var isLasting = false

  package init(_ bytes: UnsafeMutableRawPointer, _ type: TensorType, inParts: Bool = false) {
    self.bytes = bytes
    self.type = type
    self.inParts = inParts
  }

  package var shape: Shape { type.shape }
  package var dtype: DType { type.dtype }
  package var count: Int { type.shape.elementCount }

  /// As the kernels in C take float32 elements: to read, and to write.
  package var floats: UnsafePointer<Float> { UnsafePointer(mutableFloats) }
  package var mutableFloats: UnsafeMutablePointer<Float> { bytes.assumingMemoryBound(to: Float.self) }

  package func elements<Element>(as _: Element.Type) -> UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: bytes.assumingMemoryBound(to: Element.self), count: count)
  }
}

/// `nil` when the kernel doesn't take these types. The pointers stay valid for the life of the result.
package typealias KernelBinder =
  @Sendable (_ inputs: [Buffer], _ outputs: [Buffer], _ scratch: UnsafeMutableRawPointer?) -> BoundKernel?

/// A kernel with its arguments fixed: one C call.
package struct BoundKernel: @unchecked Sendable {
  package var call: ck_call
  /// Runs before the call when somebody else has written a lasting input since it ran last.
  package var preparation: ck_call?
  /// Keeps the arguments alive.
  package var owner: AnyObject?
  /// The implementation chosen, for profiles and dumps.
  package var implementation: String

  package init(call: ck_call, owner: AnyObject?, implementation: String) {
    self.call = call
    self.owner = owner
    self.implementation = implementation
  }

  /// A C kernel whose arguments are one struct.
  package init<Arguments>(
    _ implementation: String, _ arguments: Arguments, keeping other: AnyObject? = nil,
    run: @convention(c) (UnsafeMutableRawPointer?) -> Void
  ) {
    let box = ArgumentBox(arguments, keeping: other)
    self.init(
      call: ck_call(run: run, context: UnsafeMutableRawPointer(box.pointer)), owner: box,
      implementation: implementation)
  }

  /// A kernel written in Swift, such as a reference.
  package init(_ implementation: String, body: @escaping () -> Void) {
    let box = ClosureBox(body)
    self.init(
      call: ck_call(
        run: { context in Unmanaged<ClosureBox>.fromOpaque(context!).takeUnretainedValue().body() },
        context: Unmanaged.passUnretained(box).toOpaque()),
      owner: box, implementation: implementation)
  }

  package func run() { withExtendedLifetime(owner) { call.run(call.context) } }
}

private final class ArgumentBox<Arguments> {
  let pointer: UnsafeMutablePointer<Arguments>
  let other: AnyObject?

  init(_ arguments: Arguments, keeping other: AnyObject?) {
    pointer = .allocate(capacity: 1)
    pointer.initialize(to: arguments)
    self.other = other
  }

  deinit {
    pointer.deinitialize(count: 1)
    pointer.deallocate()
  }
}

private final class ClosureBox {
  let body: () -> Void
  init(_ body: @escaping () -> Void) { self.body = body }
}

/// What an element-wise operation is inside a block program.
package enum ElementCode: Sendable {
  /// An opcode of the block machine: vector code in C.
  case opcode(UInt16)
  /// The operation's own reference, called for a block at a time: enough for what is rare.
  case function(@Sendable (Float, Float) -> Float)
  /// Another dtype for the same number: loading and storing do it.
  case conversion

  package static func opcode(_ code: ck_opcode) -> ElementCode { .opcode(UInt16(code.rawValue)) }
}
