import BackpropTensors
import Synchronization

/// What a layer is called with besides its inputs: whether this is training, where random numbers come from, which
/// steps of a sequence count.
public struct CallContext: Sendable {
  /// Dropout drops, running statistics move.
  public var isTraining: Bool
  /// The model's source of random numbers.
  public var random: RandomGenerator
  /// The masks of the inputs, in their order; nil where all steps count.
  public private(set) var masks: [Tensor?]
  /// Whether `masks` are those of the inputs of the layer that is being called: layers inside it don't take them over.
  private var isInsideLayer = false
  /// Whether the caller set the mask, which did not come with the input then.
  private(set) var isMaskGiven = false
  /// What the call of the layer that is being called was told.
  package var options: Set<CallOption> = []
  /// What the next layer that is called with this context is told.
  private var nextOptions: Set<CallOption> = []
  /// Called with each layer and its results, innermost layers first.
  package var observer: (@Sendable (Layer, [Tensor]) -> Void)?
  private let losses = AddedLosses()

  public init(isTraining: Bool = false, random: RandomGenerator? = nil, mask: Tensor? = nil) {
    self.isTraining = isTraining
    self.random = random ?? Self.defaultRandom
    masks = mask.map { [$0] } ?? []
  }

  /// bool [batch, steps]: which steps of the first input count; nil: all.
  ///
  /// Inside ``Layer/call(_:_:)-(Tensor,_)`` it is the input's ``Tensor/mask``, or what the caller set. Setting it says so
  /// to the next layer that is called with this context, and to that one alone: from there on masks travel with tensors.
  public var mask: Tensor? {
    get { masks.first ?? nil }
    set {
      masks = [newValue]
      isInsideLayer = false
    }
  }

  /// For calling layers outside of a model: what `layer(x)` takes.
  public static var inference: CallContext { CallContext() }
  public static var training: CallContext { CallContext(isTraining: true) }

  private static let defaultRandom = RandomGenerator(seed: 0)

  /// Adds a scalar to the loss that is being computed.
  public func addLoss(_ loss: Tensor) { losses.add(loss) }

  /// What the layers added so far.
  package var addedLosses: [Tensor] { losses.all }

  /// For calling a layer with options.
  func telling(_ options: Set<CallOption>) -> CallContext {
    var context = self
    context.nextOptions = options
    return context
  }

  /// What a layer's `call` is given: masks set by the caller are attached to the inputs, and the inputs' are in the
  /// context.
  func entering(_ inputs: inout [Tensor]) -> CallContext {
    if !isInsideLayer {
      for (position, mask) in masks.enumerated() where position < inputs.count && mask != nil {
        inputs[position].mask = mask
      }
    }
    var inner = self
    inner.isInsideLayer = true
    inner.isMaskGiven = !isInsideLayer && mask != nil
    inner.options = nextOptions
    inner.nextOptions = []
    inner.masks = inputs.contains { $0.mask != nil } ? inputs.map(\.mask) : []
    return inner
  }
}

private final class AddedLosses: Sendable {
  private let losses = Mutex<[Tensor]>([])
  func add(_ loss: Tensor) { losses.withLock { $0.append(loss) } }
  var all: [Tensor] { losses.withLock { $0 } }
}
