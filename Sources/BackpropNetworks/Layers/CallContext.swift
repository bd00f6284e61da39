import BackpropTensors
import Synchronization

/// What a layer is called with besides its inputs: whether this is training, where random numbers come from, which
/// steps of a sequence count.
public struct CallContext: Sendable {
  /// Dropout drops, running statistics move.
  public var isTraining: Bool
  /// The model's source of random numbers.
  public var random: RandomGenerator
  /// bool [batch, steps]: which steps of a sequence count. nil: all.
  public var mask: Tensor?
  /// Called with each layer and its results, innermost layers first.
  package var observer: (@Sendable (Layer, [Tensor]) -> Void)?
  private let losses = AddedLosses()

  public init(isTraining: Bool = false, random: RandomGenerator? = nil, mask: Tensor? = nil) {
    self.isTraining = isTraining
    self.random = random ?? Self.defaultRandom
    self.mask = mask
  }

  /// For calling layers outside of a model: what `layer(x)` takes.
  public static var inference: CallContext { CallContext() }
  public static var training: CallContext { CallContext(isTraining: true) }

  private static let defaultRandom = RandomGenerator(seed: 0)

  /// Adds a scalar to the loss that is being computed.
  public func addLoss(_ loss: Tensor) { losses.add(loss) }

  /// What the layers added so far.
  package var addedLosses: [Tensor] { losses.all }
}

private final class AddedLosses: Sendable {
  private let losses = Mutex<[Tensor]>([])
  func add(_ loss: Tensor) { losses.withLock { $0.append(loss) } }
  var all: [Tensor] { losses.withLock { $0 } }
}
