import BackpropTensors

/// Where a run of `fit` stands; callbacks take their snapshots from it.
final class TrainingProgress: @unchecked Sendable {
  private let model: Model
  private let callbacks: [Callback]
  private let order: TrainingState.DataOrder
  var position = TrainingState.Position(epoch: 0)
  var stepCount = 0
  /// Whether training was stopped inside an epoch, whose numbers aren't those of a whole one.
  var isInsideEpoch = false

  init(_ model: Model, _ callbacks: [Callback], _ order: TrainingState.DataOrder) {
    self.model = model
    self.callbacks = callbacks
    self.order = order
  }

  /// A key for each callback.
  private var keyed: [(key: String, callback: Callback)] {
    var counts: [String: Int] = [:]
    return callbacks.map { callback in
      let name = String(describing: type(of: callback))
      let count = counts[name, default: 0]
      counts[name] = count + 1
      return (count == 0 ? name : "\(name)#\(count)", callback)
    }
  }

  func state() -> TrainingState {
    TrainingState(
      position: position, stepCount: stepCount,
      isFinished: model.stopTraining && !model.isInterrupted && !isInsideEpoch, order: order,
      machine: .current,
      callbacks: Dictionary(uniqueKeysWithValues: keyed.map { ($0.key, $0.callback.saveState()) }),
      tensors: Dictionary(
        uniqueKeysWithValues: model.trainingVariables.map { ($0.name, $0.variable.stored) }))
  }

  func restore(_ state: TrainingState) throws {
    try state.restore(model)
    stepCount = state.stepCount
    position = state.position
    for (key, callback) in keyed {
      if let saved = state.callbacks[key] { try callback.restoreState(saved) }
    }
  }
}
