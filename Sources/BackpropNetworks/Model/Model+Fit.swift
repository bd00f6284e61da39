import BackpropTensors

/// How much `fit` prints.
public enum Verbosity: Sendable {
  /// A bar on a terminal, a line an epoch elsewhere.
  case auto
  case bar
  /// A line an epoch.
  case lines
  case silent
}

extension Model {
  /// Trains on rows in memory.
  ///
  /// ```swift
  /// let history = try model.fit(train.images, train.labels, epochs: 5, batchSize: 64, validationData: test)
  /// history["val_loss"].last
  /// ```
  ///
  /// - Parameters:
  ///   - inputs, labels: tensors or columns, one row a sample.
  ///   - epochs: the epoch to end with; from `initialEpoch` on, each goes over all rows once.
  ///   - verbose: what is printed.
  ///   - validationSplit: this share of the rows, the last ones, is kept apart and evaluated after each epoch.
  ///   - validationData: what is evaluated after each epoch instead: ``LabelledData`` or a ``Dataset``.
  ///   - shuffle: another order each epoch, a function of the model's seed and the epoch.
  ///   - classWeight: how much each class counts; classes that aren't named count 1.
  ///   - sampleWeight: how much each row counts.
  ///   - stepsPerEpoch: fewer steps than the data would give.
  ///   - resumeFrom: go on where a run was interrupted, in the middle of an epoch too: the path of a checkpoint that
  ///     `BackupAndRestore` or `ModelCheckpoint` wrote, or a ``TrainingState``. With the same data, arguments, thread
  ///     count and instruction set the run ends with the bits of one that was never interrupted.
  /// - Throws: ``ModelError`` for data that doesn't fit, ``TrainingError`` when the loss isn't finite, and what
  ///   callbacks throw.
  @discardableResult
  public func fit(
    _ inputs: some ColumnConvertible, _ labels: some ColumnConvertible, epochs: Int = 1, batchSize: Int = 32,
    verbose: Verbosity = .auto, callbacks: [Callback] = [], validationSplit: Double = 0,
    validationData: (any TrainingSource)? = nil, shuffle: Bool = true, classWeight: [Int: Double]? = nil,
    sampleWeight: (any ColumnConvertible)? = nil, initialEpoch: Int = 0, stepsPerEpoch: Int? = nil,
    validationBatchSize: Int? = nil, validationFrequency: Int = 1,
    resumeFrom: (any TrainingStateSource)? = nil
  ) throws -> History {
    let rows = TrainingRows.memory(
      inputs: [inputs.column], labels: [labels.column], sampleWeights: sampleWeight?.column)
    var loop = TrainingLoop(self, rows)
    loop.epochs = epochs
    loop.batchSize = batchSize
    loop.verbose = verbose
    loop.callbacks = callbacks
    loop.validationSplit = validationSplit
    loop.validation = validationData
    loop.shuffles = shuffle
    loop.classWeight = classWeight
    loop.initialEpoch = initialEpoch
    loop.stepsPerEpoch = stepsPerEpoch
    loop.validationBatchSize = validationBatchSize
    loop.validationFrequency = validationFrequency
    loop.resumption = resumeFrom
    return try Engine.exclusively { try loop.run() }
  }

  /// Trains a model with several inputs or outputs: one column for each input, and one for each output that has labels.
  ///
  /// - Throws: ``ModelError`` for data that doesn't fit, ``TrainingError`` when the loss isn't finite, and what
  ///   callbacks throw.
  @discardableResult
  public func fit(
    _ inputs: [any ColumnConvertible], _ labels: [any ColumnConvertible], epochs: Int = 1,
    batchSize: Int = 32,
    verbose: Verbosity = .auto, callbacks: [Callback] = [], validationSplit: Double = 0,
    validationData: (any TrainingSource)? = nil, shuffle: Bool = true,
    sampleWeight: (any ColumnConvertible)? = nil, initialEpoch: Int = 0, stepsPerEpoch: Int? = nil,
    validationBatchSize: Int? = nil, validationFrequency: Int = 1
  ) throws -> History {
    var loop = TrainingLoop(self, TrainingColumns(inputs, labels, sampleWeights: sampleWeight).rows)
    loop.epochs = epochs
    loop.batchSize = batchSize
    loop.verbose = verbose
    loop.callbacks = callbacks
    loop.validationSplit = validationSplit
    loop.validation = validationData
    loop.shuffles = shuffle
    loop.initialEpoch = initialEpoch
    loop.stepsPerEpoch = stepsPerEpoch
    loop.validationBatchSize = validationBatchSize
    loop.validationFrequency = validationFrequency
    return try Engine.exclusively { try loop.run() }
  }

  /// Trains on a ``Dataset``, batch after batch, or on ``LabelledData``; see
  /// ``fit(_:_:epochs:batchSize:verbose:callbacks:validationSplit:validationData:shuffle:classWeight:sampleWeight:initialEpoch:stepsPerEpoch:validationBatchSize:validationFrequency:resumeFrom:)``.
  ///
  /// A data set decides batch size and order itself and need not fit in memory.
  @discardableResult
  public func fit(
    _ data: some TrainingSource, epochs: Int = 1, batchSize: Int = 32, verbose: Verbosity = .auto,
    callbacks: [Callback] = [], validationData: (any TrainingSource)? = nil, shuffle: Bool = true,
    classWeight: [Int: Double]? = nil, initialEpoch: Int = 0, stepsPerEpoch: Int? = nil,
    validationBatchSize: Int? = nil, validationFrequency: Int = 1,
    resumeFrom: (any TrainingStateSource)? = nil
  ) throws -> History {
    var loop = TrainingLoop(self, data.rows)
    loop.epochs = epochs
    loop.batchSize = batchSize
    loop.verbose = verbose
    loop.callbacks = callbacks
    loop.validation = validationData
    loop.shuffles = shuffle
    loop.classWeight = classWeight
    loop.initialEpoch = initialEpoch
    loop.stepsPerEpoch = stepsPerEpoch
    loop.validationBatchSize = validationBatchSize
    loop.validationFrequency = validationFrequency
    loop.resumption = resumeFrom
    return try Engine.exclusively { try loop.run() }
  }

  /// Trains on any sequence of batches, begun anew for each epoch.
  @discardableResult
  public func fit<Batches: Sequence & Sendable>(
    _ batches: Batches, epochs: Int = 1, verbose: Verbosity = .auto, callbacks: [Callback] = [],
    validationData: (any TrainingSource)? = nil, classWeight: [Int: Double]? = nil, initialEpoch: Int = 0,
    stepsPerEpoch: Int? = nil, resumeFrom: (any TrainingStateSource)? = nil
  ) throws -> History where Batches.Element == Batch {
    try fit(
      Dataset(batches), epochs: epochs, verbose: verbose, callbacks: callbacks,
      validationData: validationData,
      classWeight: classWeight, initialEpoch: initialEpoch, stepsPerEpoch: stepsPerEpoch,
      resumeFrom: resumeFrom)
  }
}
