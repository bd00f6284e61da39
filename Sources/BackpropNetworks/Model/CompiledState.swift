import BackpropTensors

/// What `compile` fixed.
struct CompiledState: Sendable {
  struct ResolvedMetric: Sendable {
    var state: MetricState
    var isWeighted: Bool
  }

  /// One output with what is asked of it.
  struct Head: Sendable {
    var name: String
    /// The number of its labels among those that are given; nil where it needs none.
    var label: Int?
    var loss: Loss?
    var weight: Double?
    /// The loss alone, where there are several.
    var lossTracker: MetricState?
    var metrics: [ResolvedMetric] = []

    /// - Throws: ``ModelError`` where the loss or a metric can't take these labels and predictions.
    func check(labels: [TensorType], prediction: TensorType) throws {
      guard let label, label < labels.count else {
        if let loss { throw ModelError(.data, "the loss \(loss.name) needs labels") }
        return
      }
      try loss?.check(labels: labels[label], predictions: prediction)
      for metric in metrics {
        try metric.state.metric.check(labels: labels[label].shape, predictions: prediction.shape)
      }
    }
  }

  var optimizer: Optimizer
  var losses: PerOutput<Loss>
  var lossWeights: PerOutput<Double>
  var metrics: PerOutput<[Metric]>
  var weightedMetrics: PerOutput<[Metric]>
  var runsEagerly: Bool
  let lossTracker = MetricState(Metric(.mean, name: "loss"))
  /// One for each output, once labels and outputs were seen.
  var heads: [Head]?

  /// - Throws: ``ModelError`` where the outputs, the labels and what `compile` was given don't fit.
  mutating func resolve(labels: [TensorType], predictions: [TensorType], outputNames: [String]) throws {
    if heads == nil {
      var made = try makeHeads(predictions.count, outputNames)
      try assignLabels(labels.count, &made)
      let metrics = try values(self.metrics, made, "lists of metrics")
      let weighted = try values(weightedMetrics, made, "lists of weighted metrics")
      for position in made.indices {
        guard let label = made[position].label else { continue }
        func resolved(_ metric: Metric, _ isWeighted: Bool) -> ResolvedMetric {
          let fitting = metric.fitting(
            loss: made[position].loss, labels: labels[label].shape, predictions: predictions[position].shape)
          return ResolvedMetric(state: fitting.state(), isWeighted: isWeighted)
        }
        made[position].metrics =
          (metrics[position] ?? []).map { resolved($0, false) }
          + (weighted[position] ?? []).map { resolved($0, true) }
      }
      heads = labels.isEmpty && made.allSatisfy({ $0.loss == nil }) ? nil : made
    }
    for (head, prediction) in zip(heads ?? [], predictions) {
      do { try head.check(labels: labels, prediction: prediction) } catch let error as ModelError {
        if heads?.count == 1 { throw error }
        throw ModelError(error.kind, "output '\(head.name)': \(error.message)")
      }
    }
  }

  private func makeHeads(_ count: Int, _ outputNames: [String]) throws -> [Head] {
    let names = outputNames.count == count ? outputNames : (1...count).map { "output_\($0)" }
    let losses = try self.losses.values(outputs: names, what: "losses")
    let weights = try lossWeights.values(outputs: names, what: "loss weights")
    let several = losses.compactMap { $0 }.count > 1
    return names.indices.map { position in
      var head = Head(name: names[position], loss: losses[position], weight: weights[position])
      if several, head.loss != nil {
        head.lossTracker = MetricState(Metric(.mean, name: "\(head.name)_loss"))
      }
      return head
    }
  }

  /// Each output's labels in order; where only those outputs that have a loss have labels, theirs in order.
  private func assignLabels(_ count: Int, _ heads: inout [Head]) throws {
    let trained = heads.indices.filter { heads[$0].loss != nil }
    if count == heads.count {
      for position in heads.indices { heads[position].label = position }
    } else if count == trained.count {
      for (label, position) in trained.enumerated() { heads[position].label = label }
    } else if count > 0 || !trained.isEmpty {
      if count == 0, let loss = heads[trained[0]].loss {
        throw ModelError(.data, "the loss \(loss.name) needs labels")
      }
      let names = heads.map(\.name).joined(separator: ", ")
      throw ModelError(
        .data, "expected labels for each of the \(heads.count) outputs (\(names)), got \(count) of them")
    }
  }

  private func values(
    _ metrics: PerOutput<[Metric]>, _ heads: [Head], _ what: String
  ) throws -> [[Metric]?] {
    if case .shared(let shared?) = metrics.form, !shared.isEmpty, heads.count > 1 {
      throw ModelError(
        .argument,
        "the model has \(heads.count) outputs; give each its metrics: metrics: [\"\(heads[0].name)\": [\(shared.map { "\"\($0.name)\"" }.joined(separator: ", "))]]"
      )
    }
    return try metrics.values(outputs: heads.map(\.name), what: what)
  }

  /// Whether the labels are classes that the outputs have.
  func checkClasses(_ labels: [Column], predictions: [Shape]) throws {
    for (head, prediction) in zip(heads ?? [], predictions) {
      guard let loss = head.loss, let label = head.label, let classes = loss.classCount(for: prediction)
      else {
        continue
      }
      try DataChecks.labels(labels[label], classes: classes, ignoring: loss.ignoredClass)
    }
  }

  // MARK: Logs

  /// The loss, the losses of outputs, their metrics.
  var trackers: [MetricState] {
    let heads = heads ?? []
    return [lossTracker] + heads.compactMap(\.lossTracker) + heads.flatMap { $0.metrics.map(\.state) }
  }

  func resetTrackers() { for tracker in trackers { tracker.reset() } }

  /// Loss first, then the losses of outputs, then the metrics; of several outputs with their names: `class_accuracy`.
  var logs: Logs {
    var logs = Logs()
    let heads = heads ?? []
    for tracker in [lossTracker] + heads.compactMap(\.lossTracker) { logs[tracker.name] = tracker.result }
    for head in heads {
      let prefix = heads.count > 1 ? "\(head.name)_" : ""
      for metric in head.metrics {
        for entry in metric.state.entries(named: prefix + metric.state.name) {
          logs[entry.name] = entry.value
        }
      }
    }
    return logs
  }
}
