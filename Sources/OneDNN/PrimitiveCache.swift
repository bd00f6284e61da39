#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// Primitives by what they do and the number of threads they were made for. Creating one takes 0.1–0.5 ms, finding one
/// less than a microsecond. Holds at most `capacity`; beyond, the one used longest ago goes.
///
/// Thread-safe. Two threads that miss the same key at once both create; the first to finish is kept.
package final class PrimitiveCache<Description: Hashable & Sendable, Value: Sendable>: @unchecked Sendable {
  private struct Key: Hashable {
    var description: Description
    var threads: Int
  }

  package let capacity: Int
  private var entries: [Key: (value: Value, lastUse: UInt64)] = [:]
  private var clock: UInt64 = 0
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>

  package init(capacity: Int) {
    self.capacity = max(capacity, 1)
    mutex = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  package var count: Int { locked { entries.count } }

  /// The value for `description` on `threads` threads; made by `create` if it isn't there.
  package func value<Failure: Error>(
    for description: Description, threads: Int, create: () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    let key = Key(description: description, threads: threads)
    if let found = locked({ touch(key) }) { return found }
    let made = try create()
    return locked {
      if let found = touch(key) { return found }
      if entries.count >= capacity, let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) {
        entries[oldest.key] = nil
      }
      clock += 1
      entries[key] = (made, clock)
      return made
    }
  }

  private func touch(_ key: Key) -> Value? {
    guard let index = entries.index(forKey: key) else { return nil }
    clock += 1
    entries.values[index].lastUse = clock
    return entries.values[index].value
  }

  private func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }
}
