/// A source of batches that need not fit in memory: asked for one epoch after the other, it hands out batches until
/// there are no more.
///
/// ```swift
/// let parts = Dataset { epoch in
///   var next = 0
///   return Dataset.Batches {
///     guard next < 100 else { return nil }
///     defer { next += 1 }
///     return try decode("part-\(next).csv")    // decode: a function of yours that gives a Batch
///   }
/// }
/// try model.fit(parts.prefetched(2), epochs: 3)
/// ```
public struct Dataset: Sendable {
  /// The batches of one epoch.
  public struct Batches {
    private let advance: () throws -> Batch?

    /// `next` gives a batch each time, nil once there are no more.
    public init(next: @escaping () throws -> Batch?) { advance = next }

    /// The next batch, or nil when the epoch is over.
    ///
    /// - Throws: whatever the source throws, such as a file that can't be read.
    public func nextBatch() throws -> Batch? { try advance() }
  }

  /// How many batches an epoch has; nil where only running through it would tell.
  public let batchCount: Int?
  private let start: @Sendable (_ epoch: Int) throws -> Batches

  /// A data set that `start` begins anew for each epoch, which counts from 0. `start` must give the same batches for
  /// the same epoch if a resumed run is to be the same run.
  public init(batchCount: Int? = nil, start: @escaping @Sendable (_ epoch: Int) throws -> Batches) {
    self.batchCount = batchCount
    self.start = start
  }

  /// The same batches in every epoch.
  public init<Source: Sequence & Sendable>(_ batches: Source) where Source.Element == Batch {
    self.init(batchCount: (batches as? any Collection)?.count) { _ in
      var iterator = batches.makeIterator()
      return Batches { iterator.next() }
    }
  }

  /// Begins an epoch.
  public func batches(epoch: Int) throws -> Batches { try start(epoch) }

  /// The same data set with up to `depth` batches made ahead on one thread of its own. For sources that decode files:
  /// data in memory gains nothing.
  public func prefetched(_ depth: Int = 2, file: StaticString = #fileID, line: UInt = #line) -> Dataset {
    require(depth > 0, "prefetched: the depth must be positive, got \(depth)", file: file, line: line)
    return Dataset(batchCount: batchCount) { [start] epoch in
      let queue = PrefetchQueue(depth: depth) { try start(epoch) }
      return Batches { try queue.next() }
    }
  }
}

extension LabelledData {
  /// These rows in batches; the last one may be smaller.
  ///
  /// - Parameter seed: shuffles, differently in each epoch; nil leaves the rows as they stand.
  public func batched(
    _ batchSize: Int, shuffledWith seed: Int? = nil, file: StaticString = #fileID, line: UInt = #line
  ) -> Dataset {
    require(
      batchSize > 0, "batched: the batch size must be positive, got \(batchSize)", file: file, line: line)
    let order = RowOrder(count: count, seed: seed)
    return Dataset(batchCount: (count + batchSize - 1) / batchSize) { epoch in
      let rows = order.rows(epoch: epoch)
      var begin = 0
      return Dataset.Batches {
        guard begin < rows.count else { return nil }
        let batch = Array(rows[begin..<min(begin + batchSize, rows.count)])
        begin += batchSize
        return Batch(inputs.rows(batch), labels.rows(batch))
      }
    }
  }
}
