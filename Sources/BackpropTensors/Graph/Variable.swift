import Synchronization

/// A cell that holds a tensor and can be given another of the same shape and dtype: a weight, an optimizer's slot, a
/// running statistic, a random counter.
///
/// ```swift
/// let count = Variable(Tensor(0 as Float), name: "count")
/// count.value = count.value + 1
/// ```
///
/// Inside ``compiled(_:)`` reads and writes become the program's state: the program works on the variable's own memory,
/// so a step copies nothing. Inside ``valueAndGradient(at:of:)-(_,()->_)`` reading a watched variable gives a recorded
/// tensor.
public final class Variable: Sendable {
  public let name: String
  public let type: TensorType

  private struct State: Sendable {
    var value: Tensor
    /// A compiled program holds the address of the memory: readers get a copy, writers copy into it.
    var isPinned = false
  }

  private let state: Mutex<State>

  public init(_ value: Tensor, name: String = "variable") {
    self.name = name
    type = value.type
    state = Mutex(State(value: value.stopGradient()))
  }

  public var shape: Shape { type.shape }
  public var dtype: DType { type.dtype }

  /// What the cell holds. Setting it to a tensor of another shape or dtype stops the program.
  public var value: Tensor {
    get { VariableScopes.current.read(self) }
    set {
      require(
        newValue.type == type, "variable \(name) holds \(type), can't be set to \(newValue.type)")
      VariableScopes.current.write(newValue, to: self)
    }
  }

  /// Reads past every scope.
  package var stored: Tensor {
    state.withLock { state in
      guard state.isPinned else { return state.value }
      return Tensor(copying: state.value)
    }
  }

  /// Writes past every scope.
  package func store(_ value: Tensor) {
    require(
      !value.isTraced,
      "variable \(name) can't hold a tensor that `compiled` is recording beyond the recording")
    let value = value.stopGradient()
    defer { Self.noteWrite() }  // after it: who saw the old count looks again
    state.withLock { state in
      guard state.isPinned else {
        state.value = value
        return
      }
      let target = state.value.storage()
      let source = value.storage()
      if target !== source { target.bytes.copyMemory(from: source.bytes, byteCount: type.byteCount) }
    }
  }

  // MARK: Writes

  private static let writes = Atomic<Int>(0)

  /// How often variables of this process were written. A program that prepared something from a variable's memory
  /// prepares it again when this has changed: seldom for nothing, since networks that are in use alone aren't trained.
  static var writeCount: Int { writes.load(ordering: .acquiring) }

  /// A variable's memory has been written; gives the new count.
  @discardableResult
  static func noteWrite() -> Int { writes.add(1, ordering: .acquiringAndReleasing).newValue }

  /// Fixes the memory's address for a compiled program, for the variable's life.
  package func pin() -> Storage {
    state.withLock { state in
      if !state.isPinned {
        state.value = Tensor(copying: state.value)
        state.isPinned = true
      }
      return state.value.storage()
    }
  }
}

extension Tensor {
  /// The same elements in memory of their own.
  package init(copying tensor: Tensor) {
    let source = tensor.storage()
    let storage = Storage(byteCount: tensor.type.byteCount)
    storage.bytes.copyMemory(from: source.bytes, byteCount: tensor.type.byteCount)
    self.init(storage, shape: tensor.shape, dtype: tensor.dtype)
  }
}

/// Whoever stands between a variable and those that read and write it.
package protocol VariableScope: Sendable {
  func read(_ variable: Variable, outer: VariableScope?) -> Tensor
  func write(_ value: Tensor, to variable: Variable, outer: VariableScope?)
}

/// The scopes in force in this task, innermost first.
package final class VariableScopes: Sendable {
  @TaskLocal package static var current = VariableScopes(scope: nil, outer: nil)

  private let scope: VariableScope?
  private let outer: VariableScopes?

  private init(scope: VariableScope?, outer: VariableScopes?) {
    self.scope = scope
    self.outer = outer
  }

  /// Runs `body` with `scope` between it and the variables.
  package static func with<Result>(_ scope: VariableScope, _ body: () throws -> Result) rethrows -> Result {
    try $current.withValue(VariableScopes(scope: scope, outer: current), operation: body)
  }

  /// Runs `body` with nothing between it and the variables, as if no scope were in force.
  package static func outside<Result>(_ body: () throws -> Result) rethrows -> Result {
    try $current.withValue(VariableScopes(scope: nil, outer: nil), operation: body)
  }

  /// The tracer at work in this task, if `compiled` is recording.
  package static var tracer: Tracer? {
    var scopes: VariableScopes? = current
    while let level = scopes {
      if let tracer = level.scope as? Tracer { return tracer }
      scopes = level.outer
    }
    return nil
  }

  /// Whether anyone stands between this task and the variables.
  var hasScope: Bool { scope != nil }

  func read(_ variable: Variable) -> Tensor {
    guard let scope else { return outer?.read(variable) ?? variable.stored }
    return scope.read(variable, outer: outer)
  }

  func write(_ value: Tensor, to variable: Variable) {
    guard let scope else {
      if let outer { outer.write(value, to: variable) } else { variable.store(value) }
      return
    }
    scope.write(value, to: variable, outer: outer)
  }
}

extension VariableScopes: VariableScope {
  package func read(_ variable: Variable, outer: VariableScope?) -> Tensor { read(variable) }
  package func write(_ value: Tensor, to variable: Variable, outer: VariableScope?) {
    write(value, to: variable)
  }
}
