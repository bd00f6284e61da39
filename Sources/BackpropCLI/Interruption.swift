import Backprop
import Foundation
import Synchronization

/// SIGINT and SIGTERM: the first asks training to end after its step, the second ends the process at once.
enum Interruption {
  private static let received = Atomic<Int32>(0)

  /// The signal that came, if one did.
  static var signal: Int32? {
    let number = received.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }

  /// What the process ends with after a signal.
  static var exitCode: ExitCode? {
    switch signal {
    case SIGINT: .interrupted
    case SIGTERM: .terminated
    default: nil
    }
  }

  /// From here on signals are noted instead of ending the process; also those that shells have jobs in the background
  /// ignore, for who sends them there means it. They are let through as well: a program that starts this one from a
  /// thread of Dispatch hands down its mask, under which they would wait for ever.
  static func watch() {
    // Made here: a handler is no place for the first use of a global.
    received.store(0, ordering: .relaxed)
    var watched = sigset_t()
    sigemptyset(&watched)
    for number in [SIGINT, SIGTERM] {
      _ = Foundation.signal(number) { Interruption.note($0) }
      sigaddset(&watched, number)
    }
    pthread_sigmask(SIG_UNBLOCK, &watched, nil)
  }

  /// From here on writing to a pipe that nobody reads fails instead of ending the process: Ctrl-C under
  /// `backprop train --output FILE | tee LOG` ends tee as well, and the line that tells of it must not lose the model.
  static func outlivePipes() { _ = Foundation.signal(SIGPIPE, SIG_IGN) }

  /// Runs inside the signal handler: nothing but an atomic and two system calls.
  private static func note(_ number: Int32) {
    let isFirst = received.compareExchange(expected: 0, desired: number, ordering: .relaxed).exchanged
    if isFirst { return }
    _ = Foundation.signal(number, SIG_DFL)
    raise(number)
  }

  /// Ends `fit` after the step during which a signal came.
  final class Watcher: Callback, @unchecked Sendable {
    private func look() { if Interruption.signal != nil { model?.interruptTraining() } }

    // Not where an epoch begins: it would end without a step and report numbers of nothing. Who interrupts there gets one
    // step more.
    override func onEpochEnd(_ epoch: Int, _ logs: Logs) { look() }
    override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) { look() }
  }
}
