import BackpropTensors

/// Where the time of a training step goes.
public struct StepProfile: Sendable {
  public struct Kernel: Sendable {
    /// What is computed, and by which implementation.
    public var name: String
    public var implementation: String
    /// Median of the runs.
    public var seconds: Double
    /// What the kernel does: floating-point operations, and bytes read and written.
    public var flops: Int
    public var bytes: Int
  }

  /// The kernels in the order in which they run.
  public var kernels: [Kernel]
  /// Medians of a whole step, as `fit` runs it, and of a bare C loop over the same kernels.
  public var step: Double
  public var bareLoop: Double
  /// Memory of values and scratch, and of weights and other variables.
  public var arenaBytes: Int
  public var stateBytes: Int

  /// What the compiled step costs beside its kernels, in seconds.
  public var overhead: Double { step - bareLoop }
}

extension Model {
  /// Measures the compiled training step on rows in memory. Trains while it measures: the weights change.
  ///
  /// - Parameter runs: how many steps each figure is the median of.
  /// - Throws: as `fit`.
  public func profile(
    _ inputs: some ColumnConvertible, _ labels: some ColumnConvertible, batchSize: Int = 32, runs: Int = 500
  ) throws -> StepProfile {
    let memory = try MemoryRows([inputs.column], [labels.column], nil)
    try DataChecks.positive("batchSize", batchSize)
    try DataChecks.positive("runs", runs)
    return try Engine.exclusively {
      let runner = try StepRunner(self, training: memory, batchSize: batchSize, classWeight: nil)
      let count = min(batchSize, memory.range.count)
      let order = RowOrder(count: memory.range.count, seed: seed).rows(epoch: 0)
      let batches = order.count / count
      func batch(_ number: Int) -> ArraySlice<Int32> {
        order[number % batches * count..<(number % batches + 1) * count]
      }
      _ = batch(0).withUnsafeBufferPointer { runner.train($0) }
      guard let program = trainingProgram else {
        throw ModelError(.order, at: path, "profile needs a compiled step")
      }
      var steps: [Double] = []
      var bare: [Double] = []
      // In turn, so that a change of the machine's speed meets both; each on rows that aren't in the caches yet.
      for number in 0..<runs {
        steps.append(batch(2 * number).withUnsafeBufferPointer { rows in seconds { _ = runner.train(rows) } })
        batch(2 * number + 1).withUnsafeBytes {
          program.input(0).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
        }
        bare.append(seconds { program.runBare() })
      }
      let times = program.profile(runs: min(runs, 300))
      let kernels = zip(program.plan.kernels, times).map { kernel, time in
        StepProfile.Kernel(
          name: kernel.name, implementation: kernel.implementation, seconds: time, flops: kernel.flops,
          bytes: kernel.bytes)
      }
      return StepProfile(
        kernels: kernels, step: median(steps), bareLoop: median(bare), arenaBytes: program.plan.arenaBytes,
        stateBytes: program.plan.stateBytes)
    }
  }
}

private func seconds(_ body: () -> Void) -> Double {
  let duration = ContinuousClock().measure(body)
  return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}

private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
