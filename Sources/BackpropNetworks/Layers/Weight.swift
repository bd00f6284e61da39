import BackpropTensors
import Synchronization

/// A tensor that a layer owns: trained, or kept as its state.
public final class Weight: Sendable, CustomStringConvertible {
  /// `kernel`
  public let name: String
  /// Keras' path: `sequential/dense/kernel`.
  public let path: String
  public let initializer: Initializer
  public let regularizer: Regularizer?
  public let constraint: Constraint?
  package let variable: Variable
  private let trains: Mutex<Bool>

  init(
    _ value: Tensor, name: String, path: String, initializer: Initializer, regularizer: Regularizer? = nil,
    constraint: Constraint? = nil, trainable: Bool = true
  ) {
    self.name = name
    self.path = path
    self.initializer = initializer
    self.regularizer = regularizer
    self.constraint = constraint
    variable = Variable(value, name: path)
    trains = Mutex(trainable)
  }

  /// Whether training changes it, as long as its layer is trainable too.
  public var trainable: Bool {
    get { trains.withLock { $0 } }
    set { trains.withLock { $0 = newValue } }
  }

  public var shape: Shape { variable.shape }
  public var count: Int { shape.elementCount }
  public var dtype: DType { variable.dtype }

  /// What it holds. Setting it to a tensor of another shape or dtype stops the program.
  public var value: Tensor {
    get { variable.value }
    set { variable.value = newValue }
  }

  public var description: String { "\(path): \(variable.type)" }
}
