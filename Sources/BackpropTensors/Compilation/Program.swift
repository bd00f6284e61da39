import CKernels
import OneDNN

/// One compiled graph: a flat list of bound kernels over one arena and the variables' own memory.
///
/// Running it allocates nothing and must be done by one thread at a time, inside ``Engine/exclusively(_:)``.
package final class Program: @unchecked Sendable {
  package let name: String
  package let inputTypes: [TensorType]
  package let outputTypes: [TensorType]
  package let plan: Plan

  private let arena: Storage
  private let graph: Graph  // keeps constants and variables alive
  private let owners: [AnyObject]
  private let calls: UnsafeMutableBufferPointer<ck_call>
  private let callCount: Int
  private let preparations: [ck_call]
  private let writesVariables: Bool
  /// How often variables had been written when the preparations ran last.
  private var preparedAt = -1
  private let firstWriter: Int
  private let guarded: UnsafePointer<Float>?
  private let inputs: [UnsafeMutableRawPointer]
  private let outputs: [UnsafeRawPointer]

  /// Runs `body` once with traced tensors of the given types and compiles what it did.
  package static func compile(
    inputs types: [TensorType], name: String = "program", _ body: ([Tensor]) throws -> [Tensor]
  ) rethrows -> Program {
    let start = ContinuousClock.now
    let recorded = try Tracer.record { tracer in
      tracer.finish(try body(types.map(tracer.input)).map { $0.stopGradient() })
    }
    let traced = ContinuousClock.now
    let graph = Compiler.optimized(recorded, named: name)
    let optimized = ContinuousClock.now
    let program = Program(graph, name: name)
    Debug.time.print(
      name,
      "trace \(traced - start), passes \(optimized - traced), plan and bind \(ContinuousClock.now - optimized)"
    )
    return program
  }

  private init(_ graph: Graph, name: String) {
    self.name = name
    self.graph = graph
    let memory = graph.planned()
    let arena = Storage(byteCount: max(memory.arenaBytes, 1))
    self.arena = arena
    let bound = Engine.exclusively { graph.bound(to: memory, arena: arena) }
    owners = bound.owners
    calls = .allocate(capacity: max(bound.calls.count, 1))
    _ = calls.update(fromContentsOf: bound.calls)
    callCount = bound.calls.count
    preparations = bound.preparations
    writesVariables = !graph.writes.isEmpty
    firstWriter = bound.firstWriterCall
    func address(_ id: Graph.ValueID) -> UnsafeMutableRawPointer {
      switch memory.snapshots[id] ?? memory.places[id]! {
      case .arena(let offset): arena.bytes + offset
      case .constant(let tensor): tensor.storage().bytes
      case .variable(let variable): variable.pin().bytes
      }
    }
    inputs = graph.inputs.map(address)
    outputs = graph.outputs.map { UnsafeRawPointer(address($0)) }
    guarded = graph.guarded.map { UnsafePointer(address($0).assumingMemoryBound(to: Float.self)) }
    inputTypes = graph.inputs.map(graph.type)
    outputTypes = graph.outputs.map(graph.type)
    plan = Plan(
      kernels: bound.kernels, arenaBytes: memory.arenaBytes, unsharedBytes: memory.unsharedBytes,
      stateBytes: graph.stateBytes)
    Debug.plan.print(name, plan)
  }

  deinit { calls.deallocate() }

  /// The memory of an argument: write it before ``run()``.
  package func input(_ position: Int) -> UnsafeMutableRawPointer { inputs[position] }

  /// Copies an argument in; a large one by all threads.
  package func setInput(_ position: Int, to bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 1 << 18, bytes.count % 4 == 0 else {
      inputs[position].copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
      return
    }
    var copy = ck_copy()
    copy.dst = inputs[position]
    copy.src = bytes.baseAddress
    (copy.dst_dtype, copy.src_dtype) = (Int32(CK_F32.rawValue), Int32(CK_F32.rawValue))
    copy.rank = 1
    copy.dims.0 = Int64(bytes.count / 4)
    (copy.src_strides.0, copy.dst_strides.0) = (1, 1)
    ck_copy_run(&copy)
  }

  /// The memory of a result: valid until the next run.
  package func output(_ position: Int) -> UnsafeRawPointer { outputs[position] }

  /// One step. False: the guarded loss isn't finite, and no variable was changed.
  @discardableResult
  package func run() -> Bool {
    prepare()
    guard let guarded else {
      ck_run(calls.baseAddress, Int64(callCount))
      checkFailures()
      noteWrites()
      return true
    }
    ck_run(calls.baseAddress, Int64(firstWriter))
    checkFailures()
    guard guarded.pointee.isFinite else { return false }
    ck_run(calls.baseAddress! + firstWriter, Int64(callCount - firstWriter))
    noteWrites()
    return true
  }

  private func prepare() {
    if preparations.isEmpty { return }
    let count = Variable.writeCount
    if count == preparedAt { return }
    preparations.withUnsafeBufferPointer { ck_run($0.baseAddress, Int64($0.count)) }
    preparedAt = count
  }

  /// The program's own writes leave its preparations as they are.
  private func noteWrites() {
    guard writesVariables else { return }
    let count = Variable.noteWrite()
    if count == preparedAt + 1 { preparedAt = count }
  }

  private func checkFailures() {
    Kernels.checkFailures(in: name)
  }

  /// Seconds of each kernel: the median of `runs`. Changes variables as running does.
  package func profile(runs: Int) -> [Double] {
    prepare()
    defer { noteWrites() }
    var samples = [[Double]](repeating: [], count: callCount)
    let clock = ContinuousClock()
    for _ in 0..<runs {
      for position in 0..<callCount {
        let time = clock.measure { ck_run(calls.baseAddress! + position, 1) }
        samples[position].append(
          Double(time.components.attoseconds) * 1e-18 + Double(time.components.seconds))
      }
    }
    return samples.map { $0.sorted()[$0.count / 2] }
  }

  /// All kernels in a bare C loop, without a look at the guarded loss: what a step costs at least.
  package func runBare() {
    prepare()
    ck_run(calls.baseAddress, Int64(callCount))
    noteWrites()
  }
}

extension Graph {
  /// Bytes of the variables that the program reads or writes.
  fileprivate var stateBytes: Int {
    var variables: [ObjectIdentifier: Int] = [:]
    for value in values {
      if case .state(let variable) = value.origin {
        variables[ObjectIdentifier(variable)] = variable.type.byteCount
      }
    }
    for write in writes { variables[ObjectIdentifier(write.variable)] = write.variable.type.byteCount }
    return variables.values.reduce(0, +)
  }
}

/// What a program will do, known before it runs.
package struct Plan: Sendable, CustomStringConvertible {
  package var kernels: [PlannedKernel]
  /// Memory of all values and scratchpads.
  package var arenaBytes: Int
  /// What the values would take if none shared memory.
  package var unsharedBytes: Int
  /// Memory of the variables.
  package var stateBytes: Int

  package var peakBytes: Int { arenaBytes + stateBytes }
  package var flops: Int { kernels.reduce(0) { $0 + $1.flops } }
  /// Bytes that the kernels read and write.
  package var bytes: Int { kernels.reduce(0) { $0 + $1.bytes } }

  package var description: String {
    func megabytes(_ bytes: Int) -> String { String(Double(bytes / 10_000) / 100) + " MB" }
    let lines = kernels.map { "  \($0.name) [\($0.implementation)] \($0.flops) FLOP, \($0.bytes) B" }
    return """
      \(kernels.count) kernels, \(flops) FLOP, \(megabytes(bytes)) moved; \
      arena \(megabytes(arenaBytes)) (\(megabytes(unsharedBytes)) without sharing), state \(megabytes(stateBytes))
      \(lines.joined(separator: "\n"))
      """
  }
}
