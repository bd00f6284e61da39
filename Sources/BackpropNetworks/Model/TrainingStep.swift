import BackpropTensors

/// The body of one step: what eager code runs and `compiled` records.
struct TrainingStep: Sendable {
  let model: Model
  let state: CompiledState
  /// [classes]: what each class counts.
  var classWeights: Tensor?

  /// Forward, loss, backward, update, counters. Gives the loss, a scalar, and behind it what a probe measured; writes
  /// nothing when the loss isn't finite.
  func train(
    _ inputs: [Tensor], _ labels: [Tensor], _ sampleWeights: Tensor?, probe: StepProbe? = nil
  ) -> [Tensor] {
    let weights = model.trainableWeights
    var context = CallContext(isTraining: true, random: model.random)
    if let probe { context.observer = { probe.observe($0, $1) } }
    let sampleWeights = combined(sampleWeights, labels.first)
    let predictions = Box<Tensor>()
    var (loss, gradients) = valueAndGradient(at: weights.map(\.variable)) {
      let outputs = model(inputs, context)
      predictions.value = outputs[0].detached
      let loss = totalLoss(labels, outputs, sampleWeights, context)
      return state.optimizer.options.lossScaleFactor.map { loss * $0 } ?? loss
    }
    if let scale = state.optimizer.options.lossScaleFactor { loss = loss / scale }
    if let tracer = VariableScopes.tracer {
      tracer.guardFinite(loss)
      probe?.note(weights)
      state.optimizer.apply(gradients, to: weights)
    } else if loss.item().isFinite {
      probe?.note(weights)
      state.optimizer.applyEagerly(gradients, to: weights)
    } else {
      return [loss]
    }
    count(loss, inputs, labels, predictions.value!, sampleWeights)
    guard let probe else { return [loss] }
    return [
      loss, probe.measurements(model, weights, gradients, scale: state.optimizer.options.lossScaleFactor),
    ]
  }

  /// Forward, loss, counters.
  func test(_ inputs: [Tensor], _ labels: [Tensor], _ sampleWeights: Tensor?) -> Tensor {
    let context = CallContext(random: model.random)
    let sampleWeights = combined(sampleWeights, labels.first)
    let outputs = model(inputs, context)
    let loss = totalLoss(labels, outputs, sampleWeights, context)
    count(loss, inputs, labels, outputs[0], sampleWeights)
    return loss
  }

  /// The loss with the penalties on weights and what layers added.
  func totalLoss(
    _ labels: [Tensor], _ outputs: [Tensor], _ sampleWeights: Tensor?, _ context: CallContext
  ) -> Tensor {
    var terms: [Tensor] = []
    if let loss = state.loss, let labels = labels.first {
      let value = loss(labels, outputs[0], sampleWeights: sampleWeights)
      terms.append(value.rank == 0 ? value : value.sum())
    }
    terms += context.addedLosses
    for weight in model.trainableWeights {
      if let regularizer = weight.regularizer { terms.append(regularizer(weight.value)) }
    }
    guard let first = terms.first else { return Tensor.zeros([]) }
    return terms.dropFirst().reduce(first, +)
  }

  private func count(
    _ loss: Tensor, _ inputs: [Tensor], _ labels: [Tensor], _ predictions: Tensor, _ sampleWeights: Tensor?
  ) {
    state.lossTracker.update(mean: loss, weight: inputs.first?.shape.dimensions.first ?? 1)
    guard let labels = labels.first else { return }
    for metric in state.resolved ?? [] {
      metric.state.update(
        labels: labels, predictions: predictions, sampleWeights: metric.isWeighted ? sampleWeights : nil)
    }
  }

  /// Sample weights times the weights of the samples' classes.
  private func combined(_ sampleWeights: Tensor?, _ labels: Tensor?) -> Tensor? {
    guard let classWeights, let labels else { return sampleWeights }
    let isColumn = labels.rank > 1 && labels.shape[-1] == 1
    let isOneHot = labels.rank > 1 && !isColumn
    let numbers = isOneHot ? labels.argMax(axis: -1) : isColumn ? labels.squeezed(axes: [-1]) : labels
    let weights = classWeights.gathered(numbers.cast(to: .int32))
    return sampleWeights.map { $0 * weights } ?? weights
  }
}

/// Hands a value out of a closure.
private final class Box<Value> {
  var value: Value?
}

extension Tensor {
  /// Cut off from every tape, logits too.
  fileprivate var detached: Tensor {
    var result = stopGradient()
    result.logits = logits?.detached
    return result
  }
}

extension Tensor.Logits {
  fileprivate var detached: Tensor.Logits { Tensor.Logits(tensor.stopGradient(), kind: kind) }
}
