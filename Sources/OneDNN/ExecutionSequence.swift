import COneDNN

/// Executions that run one after the other as one call.
package final class ExecutionSequence {
  private let executions: [Execution]
  private let failure: Execution.Failure
  private let sequence: UnsafeMutablePointer<odn_sequence>

  init(_ executions: [Execution], failure: Execution.Failure) {
    self.executions = executions
    self.failure = failure
    sequence = .allocate(capacity: 1)
    let contexts = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: executions.count)
    for (index, execution) in executions.enumerated() {
      (contexts + index).initialize(to: execution.context)
    }
    sequence.initialize(to: odn_sequence(count: Int32(executions.count), executions: contexts))
  }

  deinit {
    sequence.pointee.executions.deallocate()
    sequence.deallocate()
  }

  /// The function to call with `context`.
  package var run: @convention(c) (UnsafeMutableRawPointer?) -> Void { odn_sequence_run }
  /// Valid as long as this object.
  package var context: UnsafeMutableRawPointer { UnsafeMutableRawPointer(sequence) }

  /// Runs now and throws if that fails.
  package func callAsFunction(_ request: @autoclosure () -> String) throws(OneDNNError) {
    odn_sequence_run(context)
    try failure.check { _ in request() }
  }
}
