import Synchronization

/// `body` at `inputs`, keeping only the inputs for the backward pass and computing `body` a second time there: memory
/// traded for time (Chen et al., 2016).
///
/// Variables that `body` reads get their gradients too. The second run reads what the first read (random counters
/// included, so dropout drops the same units) and writes nothing. A captured tensor whose gradient is wanted stops the
/// program: pass it in `inputs`.
public func checkpoint(_ inputs: [Tensor], _ body: @escaping @Sendable ([Tensor]) -> [Tensor]) -> [Tensor] {
  let reads = ReadScope()
  let outputs = VariableScopes.with(reads) { body(inputs.map { $0.stopGradient() }) }
  let (variables, values) = reads.taken
  let all = inputs + values
  guard let tape = innermostTape(among: all) else { return outputs }
  for output in outputs {
    require(
      !tape.isWatching(output),
      "checkpoint: the closure captures a tensor whose gradient is wanted; pass it in `inputs`")
  }
  return recompute(all, outputs: outputs, inputCount: inputs.count, variables: variables, body)
}

private func recompute(
  _ all: [Tensor], outputs: [Tensor], inputCount: Int, variables: [Variable],
  _ body: @escaping @Sendable ([Tensor]) -> [Tensor]
) -> [Tensor] {
  withCustomGradient(
    all, forward: { _ in outputs },
    backward: { gradients, all, _ in
      let (_, pullback) = valueWithPullback(at: all) { points in
        let scope = ReplayScope(variables, Array(points[inputCount...]))
        return VariableScopes.with(scope) { body(Array(points[..<inputCount])) }
      }
      let cotangents = zip(gradients, outputs).map { gradient, output in
        gradient ?? Tensor.zeros(like: output)
      }
      let pulled = pullback(cotangents)
      return zip(pulled, all).map { gradient, point in point.dtype.isFloatingPoint ? gradient : nil }
    })
}

/// Notes which variables are read, and hands their values on without the tape.
private final class ReadScope: VariableScope {
  private struct State: Sendable {
    var variables: [Variable] = []
    var values: [Tensor] = []
    var written: [ObjectIdentifier: Tensor] = [:]
  }

  private let state = Mutex(State())

  var taken: ([Variable], [Tensor]) { state.withLock { ($0.variables, $0.values) } }

  func read(_ variable: Variable, outer: VariableScope?) -> Tensor {
    if let written = state.withLock({ $0.written[ObjectIdentifier(variable)] }) { return written }
    let value = outer?.read(variable, outer: nil) ?? variable.stored
    state.withLock { state in
      guard !state.variables.contains(where: { $0 === variable }) else { return }
      state.variables.append(variable)
      state.values.append(value)
    }
    return value.stopGradient()
  }

  func write(_ value: Tensor, to variable: Variable, outer: VariableScope?) {
    state.withLock { $0.written[ObjectIdentifier(variable)] = value }
    if let outer { outer.write(value, to: variable, outer: nil) } else { variable.store(value) }
  }
}

/// Gives the values of the first run back, and keeps writes to itself.
private final class ReplayScope: VariableScope {
  private let values: Mutex<[ObjectIdentifier: Tensor]>

  init(_ variables: [Variable], _ tensors: [Tensor]) {
    let pairs = zip(variables, tensors).map { (ObjectIdentifier($0), $1) }
    values = Mutex(Dictionary(uniqueKeysWithValues: pairs))
  }

  func read(_ variable: Variable, outer: VariableScope?) -> Tensor {
    values.withLock { $0[ObjectIdentifier(variable)] } ?? outer?.read(variable, outer: nil) ?? variable.stored
  }

  func write(_ value: Tensor, to variable: Variable, outer: VariableScope?) {
    values.withLock { $0[ObjectIdentifier(variable)] = value }
  }
}
