import Synchronization

/// `body` as a compiled function: run once with traced tensors, then as one planned program.
///
/// ```swift
/// let step = compiled { inputs in [(inputs[0] * 2 + 1).relu().sum()] }
/// let result = step([Tensor([1, -3] as [Float])])   // [3]
/// ```
///
/// Variables that `body` reads and writes become the program's state and are updated in place. A program is kept for
/// each combination of shapes and dtypes (the eight used last). `body` must not look at a traced tensor's numbers, and
/// what it captures besides tensors and variables is fixed when it is recorded; call ``CompiledFunction/invalidate()``
/// when that changes. Inside another `compiled`, or where a gradient is being recorded, `body` simply runs.
public func compiled(
  name: String = "compiled", _ body: @escaping @Sendable ([Tensor]) -> [Tensor]
) -> CompiledFunction {
  CompiledFunction(name: name, body)
}

/// A function of tensors that runs as a compiled program; made by ``compiled(name:_:)``.
public final class CompiledFunction: Sendable {
  private static let capacity = 8

  public let name: String
  private let body: @Sendable ([Tensor]) -> [Tensor]
  /// Used last comes last.
  private let programs = Mutex<[Program]>([])

  init(name: String, _ body: @escaping @Sendable ([Tensor]) -> [Tensor]) {
    self.name = name
    self.body = body
  }

  public func callAsFunction(_ inputs: [Tensor]) -> [Tensor] {
    guard !VariableScopes.current.hasScope, inputs.allSatisfy(\.isStored) else { return body(inputs) }
    return Engine.exclusively {
      let program = program(for: inputs.map(\.type))
      for (position, input) in inputs.enumerated() {
        let storage = input.storage()
        program.setInput(
          position, to: UnsafeRawBufferPointer(start: storage.bytes, count: input.type.byteCount))
      }
      program.run()
      return program.outputTypes.enumerated().map { position, type in
        let storage = Storage(byteCount: type.byteCount)
        storage.bytes.copyMemory(from: program.output(position), byteCount: type.byteCount)
        return Tensor(storage, shape: type.shape, dtype: type.dtype)
      }
    }
  }

  public func callAsFunction(_ input: Tensor) -> Tensor { self([input])[0] }

  /// Forgets all programs: the next call records `body` anew.
  public func invalidate() { programs.withLock { $0 = [] } }

  /// How many programs are kept.
  package var programCount: Int { programs.withLock { $0.count } }

  package func program(for types: [TensorType]) -> Program {
    let known = programs.withLock { programs -> Program? in
      guard let position = programs.firstIndex(where: { $0.inputTypes == types }) else { return nil }
      programs.append(programs.remove(at: position))
      return programs.last
    }
    if let known { return known }
    explainRetrace(types)
    let made = Program.compile(inputs: types, name: name, body)
    programs.withLock { programs in
      programs.append(made)
      if programs.count > Self.capacity { programs.removeFirst() }
    }
    return made
  }

  /// Says which input changed and how, when any of `BACKPROP_DEBUG` is on.
  private func explainRetrace(_ types: [TensorType]) {
    guard Debug.isAny, let last = programs.withLock({ $0.last }) else { return }
    let changes = zip(last.inputTypes, types).enumerated().compactMap { position, pair in
      pair.0 == pair.1 ? nil : "input \(position) was \(pair.0), is \(pair.1)"
    }
    let count =
      last.inputTypes.count == types.count
      ? [] : ["\(types.count) inputs instead of \(last.inputTypes.count)"]
    Debug.write("[retrace] \(name): " + (changes + count).joined(separator: "; "))
  }
}

extension Tensor {
  fileprivate var isStored: Bool {
    if case .stored = source { return true }
    return false
  }
}
