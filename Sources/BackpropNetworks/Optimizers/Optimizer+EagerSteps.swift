import BackpropTensors
import Synchronization

extension Optimizer {
  /// ``apply(_:to:)`` for steps that run operation by operation: the update of all weights is one compiled program even
  /// so, for it is a hundred operations over every weight, of which nobody wants to see one. An optimizer of a user's own
  /// runs as it is written: who asked for eager steps may want to look into it.
  func applyEagerly(_ gradients: [Tensor?], to weights: [Weight]) {
    let present = gradients.compactMap { $0 }
    let isOwn = Self.all.contains { $0 == Swift.type(of: self) }
    guard isOwn, present.count == weights.count, VariableScopes.tracer == nil else {
      apply(gradients, to: weights)
      return
    }
    build(weights)
    _ = eagerUpdate.function(for: weights) { [unowned self] in
      apply($0, to: weights)
      return []
    }(present)
  }
}

/// The compiled update for the weights that were trained last.
final class EagerUpdate: Sendable {
  private let kept = Mutex<(weights: [ObjectIdentifier], function: CompiledFunction)?>(nil)

  func function(for weights: [Weight], _ body: @escaping @Sendable ([Tensor]) -> [Tensor]) -> CompiledFunction
  {
    let identifiers = weights.map { ObjectIdentifier($0) }
    return kept.withLock { kept in
      if let kept, kept.weights == identifiers { return kept.function }
      let function = compiled(name: "update", body)
      kept = (identifiers, function)
      return function
    }
  }
}
