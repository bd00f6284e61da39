import CKernels
import OneDNN

/// How rules become calls: the fast kernel where there is one for these types, else the reference.
package enum Kernels {
  /// Binds an operation to memory for a compiled program. `nil`: it has only a composed form for these types.
  package static func bind(
    _ rule: Rule, inputs: [Buffer], outputs: [Buffer], scratch: UnsafeMutableRawPointer?
  ) -> BoundKernel? {
    if let kernel = rule.kernel?(inputs, outputs, scratch) { return kernel }
    guard case .reference(let reference) = rule.value else { return nil }
    return BoundKernel("reference") { reference(inputs, outputs) }
  }

  /// Computes at once. Small operations run on the calling thread alone; the rest wait for the engine's threads.
  static func runEagerly(_ rule: Rule, inputs: [Buffer], outputs: [Buffer]) -> Bool {
    let work = rule.flops?(inputs.map(\.type), outputs.map(\.type)) ?? outputs.reduce(0) { $0 + $1.count }
    return Engine.run(work: work) {
      // Asked here, where the thread count is the kernel's.
      let scratchBytes = rule.kernel == nil ? 0 : rule.scratch(inputs.map(\.type))
      let scratch = scratchBytes > 0 ? Storage(byteCount: scratchBytes) : nil
      return withExtendedLifetime(scratch) {
        if let kernel = rule.kernel?(inputs, outputs, scratch?.bytes) {
          kernel.run()
          checkFailures(in: rule.name)
          return true
        }
        guard case .reference(let reference) = rule.value else { return false }
        reference(inputs, outputs)
        return true
      }
    }
  }

  /// Stops when an execution of oneDNN's failed: its results would be garbage.
  static func checkFailures(in name: String) {
    do {
      try Execution.Failure.shared.check()
    } catch {
      programmerError("\(name): \(error)")
    }
  }
}
