import CKernels
import Synchronization

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
    if work < parallelWork || ck_thread_count() == 1 { return onOneThread(body) }
    return exclusively(body)
  }

  /// Runs `body` as the only user of the thread pool.
  package static func exclusively<Result>(_ body: () throws -> Result) rethrows -> Result {
    gate.enter()
    defer { gate.leave() }
    return try body()
  }

  private static func onOneThread<Result>(_ body: () -> Result) -> Result {
    let threads = ck_thread_count()
    guard threads > 1 else { return body() }
    ck_set_thread_count(1)
    defer { ck_set_thread_count(Int32(threads)) }
    return body()
  }
}
