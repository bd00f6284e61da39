import CKernels
import Foundation
import Synchronization

/// How many threads kernels use.
public enum Threads {
  private static let chosen = Atomic<Int>(0)
  private static let available = Int(ck_thread_count())

  /// As many as the machine has processors (or `OMP_NUM_THREADS` says), unless set. Programs compiled before it was
  /// set keep the count that they were made with.
  public static var count: Int {
    get {
      let chosen = chosen.load(ordering: .relaxed)
      return chosen > 0 ? chosen : available
    }
    set {
      require(newValue > 0, "Threads.count must be at least 1, got \(newValue)")
      chosen.store(newValue, ordering: .relaxed)
    }
  }

  /// What the library's own kernels were built for and run with here: `x86-64-v4`, `x86-64-v3` or `default`.
  public static var instructionSet: String { String(cString: ck_instruction_set()) }
}

/// Where kernels that use several threads run.
///
/// libgomp keeps one pool of threads for each thread that calls it, so two callers at once fight for the cores and a
/// fresh caller pays about 0.3 ms for a pool. So one caller at a time has the pool, and small work stays on its own
/// thread.
package enum Engine {
  /// Work, in floating-point operations, below which a second thread costs more than it saves.
  private static let parallelWork = 1 << 20

  private static let gate = RecursiveGate()

  /// Runs `body` with as many threads as its work deserves.
  static func run<Result>(work: Int, _ body: () -> Result) -> Result {
    if work < parallelWork || Threads.count == 1 { return with(threads: 1, body) }
    return exclusively(body)
  }

  /// Runs `body` as the only user of the thread pool. Nests.
  package static func exclusively<Result>(_ body: () throws -> Result) rethrows -> Result {
    gate.enter()
    defer { gate.leave() }
    return try with(threads: Threads.count, body)
  }

  package static func with<Result>(threads: Int, _ body: () throws -> Result) rethrows -> Result {
    let before = ck_thread_count()
    if before == threads { return try body() }
    ck_set_thread_count(Int32(threads))
    defer { ck_set_thread_count(before) }
    return try body()
  }
}

/// A lock that its holder may take again: a compiled step inside `fit`, an eager operation inside a callback.
private final class RecursiveGate: @unchecked Sendable {
  private let lock = NSRecursiveLock()
  func enter() { lock.lock() }
  func leave() { lock.unlock() }
}
