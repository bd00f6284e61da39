import Foundation

/// Batches made ahead by one thread and handed over in order; the thread ends with the queue's last owner, with the
/// epoch, or with the first error.
final class PrefetchQueue {
  /// What thread and consumer share; the thread doesn't keep the queue itself alive.
  private final class Shared: @unchecked Sendable {
    let condition = NSCondition()
    var ready: [Result<Batch, any Error>] = []
    var isOver = false
    var isAbandoned = false
  }

  private let shared = Shared()

  init(depth: Int, start: @escaping @Sendable () throws -> Dataset.Batches) {
    let thread = Thread { [shared] in
      Self.produce(into: shared, depth: depth, start: start)
    }
    thread.name = "prefetch"
    thread.start()
  }

  deinit {
    shared.condition.lock()
    shared.isAbandoned = true
    shared.condition.broadcast()
    shared.condition.unlock()
  }

  func next() throws -> Batch? {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    while shared.ready.isEmpty, !shared.isOver { shared.condition.wait() }
    if shared.ready.isEmpty { return nil }
    let result = shared.ready.removeFirst()
    shared.condition.broadcast()
    return try result.get()
  }

  private static func produce(
    into shared: Shared, depth: Int, start: () throws -> Dataset.Batches
  ) {
    /// Waits for a place; false when nobody wants any more.
    func put(_ result: Result<Batch, any Error>) -> Bool {
      shared.condition.lock()
      defer { shared.condition.unlock() }
      while shared.ready.count >= depth, !shared.isAbandoned { shared.condition.wait() }
      if shared.isAbandoned { return false }
      shared.ready.append(result)
      shared.condition.broadcast()
      return true
    }
    do {
      let batches = try start()
      while let batch = try batches.nextBatch() {
        if !put(.success(batch)) { break }
      }
    } catch {
      _ = put(.failure(error))
    }
    shared.condition.lock()
    shared.isOver = true
    shared.condition.broadcast()
    shared.condition.unlock()
  }
}
