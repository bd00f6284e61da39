import BackpropTensors

extension Model {
  /// The outputs for rows in memory, batch by batch: one row for each.
  ///
  /// ```swift
  /// let probabilities = try model.predict(test.images)      // [10000, 10]
  /// ```
  ///
  /// Needs no `compile`; may be called from many tasks at once.
  ///
  /// - Throws: ``ModelError`` for inputs that don't fit.
  public func predict(
    _ inputs: some ColumnConvertible, batchSize: Int = 32, callbacks: [Callback] = []
  ) throws -> Tensor {
    try predict([inputs.column], batchSize: batchSize, callbacks: callbacks)[0]
  }

  /// The outputs for several inputs, one tensor for each output.
  public func predict(
    _ inputs: [any ColumnConvertible], batchSize: Int = 32, callbacks: [Callback] = []
  ) throws -> [Tensor] {
    let inputs = inputs.map(\.column)
    try DataChecks.positive("batchSize", batchSize)
    let count = try DataChecks.count(inputs, [], nil)
    try checkData(inputs)
    return try Engine.exclusively {
      for callback in callbacks { callback.model = self }
      defer { for callback in callbacks { callback.model = nil } }
      for callback in callbacks { try callback.onPredictBegin() }
      let results = try predict(inputs, count: count, batchSize: min(batchSize, count), callbacks)
      for callback in callbacks { try callback.onPredictEnd() }
      return results
    }
  }

  private func predict(
    _ inputs: [Column], count: Int, batchSize: Int, _ callbacks: [Callback]
  ) throws -> [Tensor] {
    let runsEagerly = compiled.withLock { $0?.runsEagerly ?? false }
    var results: [Storage] = []
    var types: [TensorType] = []
    for (number, start) in stride(from: 0, to: count, by: batchSize).enumerated() {
      let rows = start..<min(start + batchSize, count)
      for callback in callbacks { try callback.onPredictBatchBegin(number) }
      try prepare(inputs.map { Shape([rows.count] + $0.sampleShape.dimensions) }, random: random)
      if runsEagerly {
        let outputs = self(inputs.map { $0.rows(rows.map { Int32($0) }) }, CallContext(random: random))
        if number == 0 { (results, types) = makeResults(outputs.map(\.type), count: count) }
        for (position, output) in outputs.enumerated() {
          output.withUnsafeBytes { place($0.baseAddress!, types[position], rows, in: results[position]) }
        }
      } else {
        let program = predictionProgram(inputs, rows: rows.count)
        if number == 0 { (results, types) = makeResults(program.outputTypes, count: count) }
        for (position, column) in inputs.enumerated() { column.copyStored(rows, to: program.input(position)) }
        program.run()
        for position in types.indices {
          place(program.output(position), types[position], rows, in: results[position])
        }
      }
      for callback in callbacks { try callback.onPredictBatchEnd(number) }
    }
    return zip(results, types).map { Tensor($0, shape: $1.shape, dtype: $1.dtype) }
  }

  private func makeResults(_ batch: [TensorType], count: Int) -> ([Storage], [TensorType]) {
    let types = batch.map { TensorType(Shape([count] + $0.shape.dimensions.dropFirst()), $0.dtype) }
    return (types.map { Storage(byteCount: $0.shape.elementCount * $0.dtype.byteCount) }, types)
  }

  private func place(_ source: UnsafeRawPointer, _ type: TensorType, _ rows: Range<Int>, in result: Storage) {
    let rowBytes = type.shape.dimensions.dropFirst().reduce(1, *) * type.dtype.byteCount
    (result.bytes + rows.lowerBound * rowBytes).copyMemory(from: source, byteCount: rows.count * rowBytes)
  }

  private func predictionProgram(_ inputs: [Column], rows: Int) -> Program {
    validatePrograms()
    var key = ProgramCache.Key(purpose: .predict, inputs: inputs.map { $0.storedType(rows: rows) })
    key.columns = inputs.map { ProgramCache.ColumnKey($0, isCaptured: false) }
    return programs.program(key, name: "prediction of \(rows) rows") { arguments in
      self(zip(inputs, arguments).map { $0.reading($1) }, CallContext(random: random))
    }
  }
}
