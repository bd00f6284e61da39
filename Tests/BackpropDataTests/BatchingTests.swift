import BackpropTensors
import Synchronization
import Testing

@testable import BackpropData

@Suite("Columns, orders and batches")
struct BatchingTests {
  let bytes = Column(Tensor([0, 51, 255, 102, 204, 153] as [UInt8], shape: [3, 2]), scale: 1 / 255)

  @Test("a scaled column reads as float32 in 0…1 and is kept as bytes")
  func scaled() {
    #expect(bytes.dtype == .float32)
    #expect(bytes.stored.dtype == .uint8)
    #expect(bytes.shape == [3, 2])
    #expect(bytes.count == 3)
    #expect(bytes.sampleShape == [2])
    let expected: [Float] = [0, 0.2, 1, 0.4, 0.8, 0.6]
    #expect(zip(bytes.tensor.floats, expected).allSatisfy { abs($0 - $1) < 1e-7 })
    #expect(bytes[1].shape == [2])
    #expect(bytes[1].floats.first == 1)
    let batch = bytes.rows([2, 0, 2])
    #expect(batch.shape == [3, 2])
    #expect(batch.floats[0] == batch.floats[4])
  }

  @Test("a scaled column prints the numbers it reads as")
  func prints() {
    let column = Column(Tensor([0, 64, 128, 255] as [UInt8], shape: [2, 2]), scale: 1 / 128)
    #expect("\(column)" == "[[0.        0.5      ]\n [1.        1.9921875]]")
  }

  @Test("a plain uint8 tensor is a column of uint8: never scaled")
  func plain() {
    let column = Tensor([7, 255] as [UInt8]).column
    #expect(column.dtype == .uint8)
    #expect(column.rows([1]).integers == [255])
    #expect(column[0].shape == [])
  }

  @Test("neighbouring and chosen rows keep dtype and scale; another sample shape shares the elements")
  func parts() {
    #expect(bytes[1..<3].stored.integers == [255, 102, 204, 153])
    #expect(bytes[1..<3].scale == bytes.scale)
    #expect(bytes[3..<3].count == 0)
    #expect(bytes.selecting([2, 1]).stored.integers == [204, 153, 255, 102])
    #expect(bytes.selecting([2, 1]).dtype == .float32)
    #expect(bytes.reshapingSamples(to: [2, 1, 1]).shape == [3, 2, 1, 1])
  }

  @Test("an order has every row once, the same for the same seed and epoch, another for another")
  func order() {
    let order = RowOrder(count: 1000, seed: 3)
    #expect(order.rows(epoch: 5) == RowOrder(count: 1000, seed: 3).rows(epoch: 5))
    #expect(order.rows(epoch: 5).sorted() == Array(0..<1000))
    #expect(order.rows(epoch: 5) != order.rows(epoch: 6))
    #expect(order.rows(epoch: 5) != RowOrder(count: 1000, seed: 4).rows(epoch: 5))
    #expect(RowOrder(count: 4, seed: nil).rows(epoch: 9) == [0, 1, 2, 3])
    #expect(RowOrder(count: 0, seed: 1).rows(epoch: 0).isEmpty)
    #expect(RowOrder(count: 1, seed: 1).rows(epoch: 0) == [0])
  }

  @Test("each row is as likely at each place (chi-squared over 6 places and 6,000 epochs)")
  func fairOrder() {
    var counts = [[Double]](repeating: [Double](repeating: 0, count: 6), count: 6)
    let order = RowOrder(count: 6, seed: 11)
    for epoch in 0..<6000 {
      for (place, row) in order.rows(epoch: epoch).enumerated() { counts[place][Int(row)] += 1 }
    }
    // 25 degrees of freedom: above 52.6 one time in a thousand for a fair shuffle.
    let statistic = counts.joined().reduce(0) { $0 + ($1 - 1000) * ($1 - 1000) / 1000 }
    #expect(statistic < 52.6)
  }

  @Test("an epoch's batches hold every row once, with its label; the last is partial")
  func batches() throws {
    let data = LabelledData(
      Tensor((0..<10).map(Float.init), shape: [10, 1]), Tensor((0..<10).map(Int32.init)))
    let dataset = data.batched(4, shuffledWith: 1)
    #expect(dataset.batchCount == 3)
    var seen: [Int] = []
    var sizes: [Int] = []
    let epoch = try dataset.batches(epoch: 2)
    while let batch = try epoch.nextBatch() {
      #expect(batch.inputs[0].integers == batch.labels[0].integers)
      seen += batch.labels[0].integers
      sizes.append(batch.count)
    }
    #expect(sizes == [4, 4, 2])
    #expect(seen == RowOrder(count: 10, seed: 1).rows(epoch: 2).map(Int.init))
    #expect(seen.sorted() == Array(0..<10))
  }

  @Test("a split is disjoint, complete and the same each time")
  func split() {
    let data = LabelledData(Tensor((0..<10).map(Float.init)), Tensor((0..<10).map(Int32.init)))
    let (train, test) = data.split(testFraction: 0.3, seed: 5)
    #expect(train.count == 7)
    #expect(test.count == 3)
    #expect((train.labels.tensor.integers + test.labels.tensor.integers).sorted() == Array(0..<10))
    #expect(data.split(testFraction: 0.3, seed: 5).test.labels.tensor.integers == test.labels.tensor.integers)
  }

  private struct SourceError: Error {}

  @Test("prefetching hands over the same batches in the same order, and the source's error after them")
  func prefetch() throws {
    let source = Dataset { epoch in
      var next = 0
      return Dataset.Batches {
        if epoch == 1, next == 3 { throw SourceError() }
        guard next < 20 else { return nil }
        defer { next += 1 }
        return Batch(Tensor([Float(next)]), Tensor([Float(epoch)]))
      }
    }
    for depth in [1, 2, 7] {
      let batches = try source.prefetched(depth).batches(epoch: 0)
      for index in 0..<20 { #expect(try batches.nextBatch()?.inputs[0].floats == [Float(index)]) }
      #expect(try batches.nextBatch() == nil)
      #expect(try batches.nextBatch() == nil)
      let failing = try source.prefetched(depth).batches(epoch: 1)
      for _ in 0..<3 { #expect(try failing.nextBatch() != nil) }
      #expect(throws: SourceError.self) { try failing.nextBatch() }
    }
  }

  @Test(
    "prefetching runs ahead by its depth and lets go of the source when nobody takes the batches any more")
  func prefetchStops() async throws {
    weak var source: Counter?
    do {
      let made = Counter()
      source = made
      let endless = Dataset { _ in
        Dataset.Batches {
          made.increment()
          return Batch(Tensor([Float(0)]), Tensor([Float(0)]))
        }
      }
      let batches = try endless.prefetched(3).batches(epoch: 0)
      _ = try batches.nextBatch()
      try await Task.sleep(for: .milliseconds(50))
      // One taken, three waiting, one in the thread's hands.
      #expect(made.value <= 5)
    }
    // The thread ends in its own time.
    for _ in 0..<6000 where source != nil { try await Task.sleep(for: .milliseconds(10)) }
    #expect(source == nil)
  }

  private final class Counter: Sendable {
    private let count = Mutex(0)
    func increment() { count.withLock { $0 += 1 } }
    var value: Int { count.withLock { $0 } }
  }

  @Test("mistakes stop the program")
  func mistakes() async {
    await #expect(processExitsWith: .failure) { _ = Column(Tensor(Float(1))) }
    await #expect(processExitsWith: .failure) { _ = Tensor([1] as [Float]).column.rows([1]) }
    await #expect(processExitsWith: .failure) {
      _ = LabelledData(Tensor([1, 2] as [Float]), Tensor([1] as [Float]))
    }
  }
}
