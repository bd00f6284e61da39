import BackpropTensors

/// The body of one step: what eager code runs and `compiled` records.
///
/// A model that overrides ``Model/trainStep(_:inputs:labels:sampleWeights:)`` makes its own step of these parts.
public struct TrainingStep: Sendable {
  public let model: Model
  let state: CompiledState
  /// [classes]: what each class counts.
  var classWeights: Tensor?
  /// Measures the step on the way.
  var probe: StepProbe?
  /// Whether gradients that aren't finite end the step as a loss that isn't does: another pass over them.
  var guardsGradients = false
  /// Whether the last step that ran eagerly was refused.
  let refusal = Box<Bool>()

  /// What `compile` was given.
  public var optimizer: Optimizer { state.optimizer }

  /// What to call the model with in training: a new one for each step, since it collects what layers add to the loss.
  public var context: CallContext {
    var context = CallContext(isTraining: true, random: model.random)
    if let probe { context.observer = { probe.observe($0, $1) } }
    return context
  }

  /// Forward, loss, backward, update, counters. Gives the loss, a scalar; writes nothing when it isn't finite.
  public func train(inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor?) -> Tensor {
    let context = context
    let predictions = Box<[Tensor]>()
    let (loss, gradients) = lossAndGradients {
      let outputs = model(inputs, context)
      predictions.value = outputs.map(\.detached)
      return totalLoss(labels, outputs, sampleWeights: sampleWeights, context)
    }
    if update(loss, gradients) {
      count(loss, inputs: inputs, labels: labels, outputs: predictions.value!, sampleWeights: sampleWeights)
    }
    return loss
  }

  /// The loss and its gradients with respect to the model's trainable weights, in their order; the optimizer's factor that
  /// keeps small gradients from vanishing is applied to the gradients only.
  public func lossAndGradients(_ loss: () -> Tensor) -> (loss: Tensor, gradients: [Tensor?]) {
    model.beginTrainingStep()
    var (value, gradients) = valueAndGradient(at: model.trainableWeights.map(\.variable)) {
      let value = loss()
      return state.optimizer.options.lossScaleFactor.map { value * $0 } ?? value
    }
    if let scale = state.optimizer.options.lossScaleFactor { value = value / scale }
    return (value, gradients)
  }

  /// Changes the weights, unless the loss isn't finite (or, where a ``TerminateOnNaN`` watches, a gradient isn't): then it
  /// is false, and the step is to end without changing anything.
  public func update(_ loss: Tensor, _ gradients: [Tensor?]) -> Bool {
    if let tracer = VariableScopes.tracer {
      tracer.guardFinite(guardsGradients ? guarded(loss, gradients) : loss)
      probe?.note(model.trainableWeights, gradients)
      state.optimizer.apply(gradients, to: model.trainableWeights)
      return true
    }
    let isRefused =
      !loss.item().isFinite
      || guardsGradients && gradients.contains { $0.flatMap(firstNotFinite) != nil }
    refusal.value = isRefused
    if isRefused { return false }
    probe?.note(model.trainableWeights, gradients)
    state.optimizer.applyEagerly(gradients, to: model.trainableWeights)
    return true
  }

  /// The loss, or NaN where a gradient isn't finite: infinity times zero is none.
  private func guarded(_ loss: Tensor, _ gradients: [Tensor?]) -> Tensor {
    gradients.compactMap { $0 }.reduce(loss.cast(to: .float32)) { $0 + ($1 * 0).sum().cast(to: .float32) }
  }

  /// The model's own step: the loss in float32, and behind it what a probe measured unless the loss isn't finite.
  func train(
    _ inputs: [Tensor], _ labels: [Tensor], _ sampleWeights: Tensor?, probe: StepProbe? = nil
  ) -> [Tensor] {
    var step = self
    step.probe = probe
    let loss = model.trainStep(step, inputs: inputs, labels: labels, sampleWeights: sampleWeights)
    let measured = probe?.measurements(model, scale: state.optimizer.options.lossScaleFactor)
    return [loss.cast(to: .float32)] + (measured.map { [$0] } ?? [])
  }

  func test(_ inputs: [Tensor], _ labels: [Tensor], _ sampleWeights: Tensor?) -> Tensor {
    model.testStep(self, inputs: inputs, labels: labels, sampleWeights: sampleWeights)
  }

  /// Forward, loss, counters.
  public func test(inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor?) -> Tensor {
    let context = CallContext(random: model.random)
    let outputs = model(inputs, context)
    let loss = totalLoss(labels, outputs, sampleWeights: sampleWeights, context)
    count(loss, inputs: inputs, labels: labels, outputs: outputs, sampleWeights: sampleWeights)
    return loss
  }

  /// The outputs' losses times their weights, with the penalties on weights and what layers added.
  public func totalLoss(
    _ labels: [Tensor], _ outputs: [Tensor], sampleWeights: Tensor?, _ context: CallContext
  ) -> Tensor {
    var terms: [Tensor] = []
    for (head, output) in zip(state.heads ?? [], outputs) {
      guard let loss = head.loss, let label = head.label else { continue }
      let sampleWeights = combined(sampleWeights, labels[label])
      let value = loss(labels[label], output, sampleWeights: sampleWeights)
      var term = value.rank == 0 ? value : value.sum()
      if let tracker = head.lossTracker {
        tracker.update(mean: term.stopGradient(), weight: output.shape.dimensions.first ?? 1)
      }
      if let weight = head.weight { term = term * weight }
      terms.append(term)
    }
    terms += context.addedLosses
    for weight in model.trainableWeights {
      if let regularizer = weight.regularizer { terms.append(regularizer(weight.value)) }
    }
    guard let first = terms.first else { return Tensor.zeros([]) }
    return terms.dropFirst().reduce(first, +)
  }

  /// Adds to the counters of loss and metrics.
  public func count(
    _ loss: Tensor, inputs: [Tensor], labels: [Tensor], outputs: [Tensor], sampleWeights: Tensor?
  ) {
    state.lossTracker.update(mean: loss, weight: inputs.first?.shape.dimensions.first ?? 1)
    for (head, output) in zip(state.heads ?? [], outputs) {
      guard let label = head.label else { continue }
      for metric in head.metrics {
        let given = metric.isWeighted ? combined(sampleWeights, labels[label]) : nil
        metric.state.update(
          labels: labels[label], predictions: output,
          sampleWeights: output.mask.map { masked(given, $0) } ?? given)
      }
    }
  }

  /// Weights that are 0 for the steps that don't count.
  private func masked(_ weights: Tensor?, _ mask: Tensor) -> Tensor {
    let counts = mask.cast(to: .float32)
    guard var weights else { return counts }
    while weights.rank < counts.rank { weights = weights.expanded(axis: -1) }
    return weights.cast(to: .float32) * counts
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

/// Hands a value out of a closure or a step, which one thread runs.
final class Box<Value>: @unchecked Sendable {
  var value: Value?
}

extension Tensor {
  /// Cut off from every tape, logits too.
  fileprivate var detached: Tensor {
    var result = stopGradient()
    result.logits = logits?.detached
    result.mask = mask?.stopGradient()
    return result
  }
}

extension Tensor.Logits {
  fileprivate var detached: Tensor.Logits { Tensor.Logits(tensor.stopGradient(), kind: kind) }
}
