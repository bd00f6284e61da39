import BackpropTensors

extension Model {
  /// One training step. Gives loss and metrics since ``resetMetrics()``, as Keras does.
  ///
  /// - Throws: ``ModelError`` for data that doesn't fit, ``TrainingError`` when the loss isn't finite.
  @discardableResult
  public func trainOnBatch(
    _ inputs: Tensor, _ labels: Tensor, sampleWeight: Tensor? = nil, classWeight: [Int: Double]? = nil
  ) throws -> Logs {
    try trainOnBatch(Batch(inputs, labels, sampleWeights: sampleWeight), classWeight: classWeight)
  }

  @discardableResult
  public func trainOnBatch(_ batch: Batch, classWeight: [Int: Double]? = nil) throws -> Logs {
    try Engine.exclusively {
      let runner = try StepRunner(self, classWeight: classWeight)
      if try !runner.train(batch) { throw runner.trainingError(step: optimizer!.iterations + 1, epoch: 1) }
      return runner.logs
    }
  }

  /// Loss and metrics of one batch, added to what was counted since ``resetMetrics()``.
  @discardableResult
  public func testOnBatch(_ inputs: Tensor, _ labels: Tensor, sampleWeight: Tensor? = nil) throws -> Logs {
    try testOnBatch(Batch(inputs, labels, sampleWeights: sampleWeight))
  }

  @discardableResult
  public func testOnBatch(_ batch: Batch) throws -> Logs {
    try Engine.exclusively {
      try Evaluator(self, batchSize: max(batch.count, 1), callbacks: []).test(batch).logs
    }
  }

  /// The outputs for one batch.
  public func predictOnBatch(_ inputs: Tensor) throws -> Tensor {
    try predict(inputs, batchSize: max(inputs.shape.dimensions.first ?? 1, 1))
  }
}
