import CKernels
import COneDNN

/// One or more primitives with everything their calls need, bound once: a C function and its context.
///
/// A compiled step keeps `run` and `context` in a flat array and calls one after the other. The arguments' addresses
/// are fixed in the memories; they can be changed with `Memory.setData` between runs.
package final class Execution {
  struct Stage {
    /// nil: a call alone, or nothing.
    var primitive: Primitive?
    /// oneDNN's argument numbers (`DNNL_ARG_SRC`, …) with what is passed.
    var arguments: [(number: Int32, memory: Memory)]
    /// A kernel of somebody else's, in place of a primitive.
    var call: ck_call?
    /// Keeps the call's arguments alive.
    var owner: AnyObject?

    init(primitive: Primitive, arguments: [(number: Int32, memory: Memory)]) {
      self.primitive = primitive
      self.arguments = arguments
    }

    init(call: ck_call?, owner: AnyObject?) {
      arguments = []
      self.call = call
      self.owner = owner
    }
  }

  /// Notes the first failure of a step's executions, so that the step is checked in one place.
  package final class Failure: @unchecked Sendable {
    /// The one that kernels of tensors share: written only when an execution fails, which stops the program.
    package static let shared = Failure()

    let record: UnsafeMutablePointer<odn_failure>

    package init() {
      record = .allocate(capacity: 1)
      record.initialize(to: odn_failure(status: dnnl_success, execution: nil))
    }

    deinit { record.deallocate() }

    /// Throws the first failure since the last check, and forgets it. `name` turns the failed execution's context
    /// into words.
    package func check(_ name: (UnsafeRawPointer) -> String = { _ in "an operation" }) throws(OneDNNError) {
      let failure = record.pointee
      guard failure.status != dnnl_success else { return }
      record.pointee = odn_failure(status: dnnl_success, execution: nil)
      throw OneDNNError(
        call: "dnnl_primitive_execute", status: failure.status,
        request: failure.execution.map(name) ?? "an operation")
    }
  }

  private let stages: [Stage]
  private let stream: Stream
  private let failure: Failure
  private let record: UnsafeMutablePointer<odn_execution>

  /// The stages are cut into `lanes` of equal length. Those of one lane run one after the other; the lanes, which must
  /// not depend on each other, are shared between the threads of the pool.
  init(_ stages: [Stage], lanes: Int = 1, stream: Stream = .shared, failure: Failure = Failure()) {
    precondition(lanes > 0 && stages.count % lanes == 0)
    self.stages = stages
    self.stream = stream
    self.failure = failure
    let native = UnsafeMutablePointer<odn_stage>.allocate(capacity: stages.count)
    for (index, stage) in stages.enumerated() {
      let arguments = UnsafeMutablePointer<dnnl_exec_arg_t>.allocate(capacity: stage.arguments.count)
      for (position, argument) in stage.arguments.enumerated() {
        (arguments + position).initialize(
          to: dnnl_exec_arg_t(arg: argument.number, memory: argument.memory.handle))
      }
      (native + index).initialize(
        to: odn_stage(
          primitive: stage.primitive?.handle, arguments: arguments,
          argument_count: Int32(stage.arguments.count), status: dnnl_success,
          call: stage.call ?? ck_call(run: nil, context: nil)))
    }
    record = .allocate(capacity: 1)
    record.initialize(
      to: odn_execution(
        stream: stream.handle, failure: failure.record, stage_count: Int32(stages.count),
        lane_count: Int32(lanes), stages: native))
  }

  deinit {
    for index in stages.indices { record.pointee.stages[index].arguments.deallocate() }
    record.pointee.stages.deallocate()
    record.deallocate()
  }

  /// The function to call with `context`. A failure is noted in `Failure`; until that is checked, nothing runs.
  package var run: @convention(c) (UnsafeMutableRawPointer?) -> Void { odn_execution_run }

  /// Valid as long as this object.
  package var context: UnsafeMutableRawPointer { UnsafeMutableRawPointer(record) }

  /// Runs now and throws if that fails.
  package func callAsFunction(_ request: @autoclosure () -> String) throws(OneDNNError) {
    odn_execution_run(context)
    try failure.check { _ in request() }
  }
}
