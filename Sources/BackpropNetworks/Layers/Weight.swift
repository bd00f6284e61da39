import BackpropTensors
import Synchronization

/// A tensor that a layer owns: trained, or kept as its state.
public final class Weight: Sendable, CustomStringConvertible {
  /// `kernel`
  public let name: String
  public let initializer: Initializer
  public let regularizer: Regularizer?
  public let constraint: Constraint?
  package let variable: Variable
  private let adjusting: (@Sendable (Tensor) -> Tensor)?
  private struct State: Sendable {
    var path: String
    var trainable: Bool
    var isProvisional: Bool
  }
  private let state: Mutex<State>

  init(
    _ value: Tensor, name: String, path: String, initializer: Initializer, regularizer: Regularizer? = nil,
    constraint: Constraint? = nil, trainable: Bool = true, isProvisional: Bool = false,
    adjusting: (@Sendable (Tensor) -> Tensor)? = nil
  ) {
    self.name = name
    self.initializer = initializer
    self.regularizer = regularizer
    self.constraint = constraint
    self.adjusting = adjusting
    variable = Variable(value, name: path)
    state = Mutex(State(path: path, trainable: trainable, isProvisional: isProvisional))
  }

  /// Whether training changes it, as long as its layer is trainable too.
  public var trainable: Bool {
    get { state.withLock { $0.trainable } }
    set {
      state.withLock { $0.trainable = newValue }
      LayerStructure.noteChange()
    }
  }

  /// Keras' path: `sequential/dense/kernel`.
  public internal(set) var path: String {
    get { state.withLock { $0.path } }
    set { state.withLock { $0.path = newValue } }
  }

  /// Draws a weight again that was made before its model, and so its seed, was there, and that nobody has set since.
  func settle(_ random: RandomGenerator) {
    let isProvisional = state.withLock { state in
      defer { state.isProvisional = false }
      return state.isProvisional
    }
    guard isProvisional else { return }
    let drawn = initializer(shape, dtype: dtype, random: random)
    variable.store(adjusting.map { $0(drawn) } ?? drawn)
  }

  public var shape: Shape { variable.shape }
  public var count: Int { shape.elementCount }
  public var dtype: DType { variable.dtype }

  /// What it holds. Setting it to a tensor of another shape or dtype stops the program.
  public var value: Tensor {
    get { variable.value }
    set {
      state.withLock { $0.isProvisional = false }
      variable.value = newValue
    }
  }

  public var description: String { "\(path): \(variable.type)" }
}
