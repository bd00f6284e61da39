/// The one funnel: every method on tensors comes through here, and only this file knows that an operation can be
/// computed, recorded on a tape or traced into a graph.
package func apply(
  _ operation: Operation, _ inputs: [Tensor], file: StaticString = #fileID, line: UInt = #line
) -> [Tensor] {
  let rule = operation.rule
  let types: [TensorType]
  do {
    types = try rule.infer(inputs.map(\.type))
  } catch {
    programmerError(error.description, file: file, line: line)
  }
  if !rule.movesOnly, !rule.takesHalf, inputs.contains(where: { $0.dtype.isHalf }) {
    return applyInFloat32(operation, inputs, types, file: file, line: line)
  }
  if let tape = innermostTape(among: inputs) {
    return record(operation, rule, inputs, on: tape, file: file, line: line)
  }
  if let tracer = inputs.lazy.compactMap(\.tracer).first ?? Tracer.ofTypes(for: types) {
    return trace(operation, rule, inputs, types, into: tracer)
  }
  return evaluate(rule, inputs, types, file: file, line: line)
}

/// `apply` for the many operations with one result.
package func apply(
  _ operation: Operation, _ inputs: Tensor..., file: StaticString = #fileID, line: UInt = #line
) -> Tensor {
  apply(operation, inputs, file: file, line: line)[0]
}

extension Operation {
  /// The shapes and dtypes that this operation gives for inputs of `types`; throws instead of stopping.
  package func infer(_ types: [TensorType]) throws(OperationError) -> [TensorType] { try rule.infer(types) }
}

/// bfloat16 and float16 are stored in 16 bits and computed in float32.
private func applyInFloat32(
  _ operation: Operation, _ inputs: [Tensor], _ types: [TensorType], file: StaticString, line: UInt
) -> [Tensor] {
  let wide = inputs.map { $0.dtype.isHalf ? $0.cast(to: .float32) : $0 }
  let results = apply(operation, wide, file: file, line: line)
  return zip(results, types).map { result, type in
    type.dtype.isHalf && result.dtype == .float32 ? result.cast(to: type.dtype) : result
  }
}

// MARK: Record

package func innermostTape(among inputs: [Tensor]) -> Tape? {
  var innermost: Tape?
  for input in inputs {
    if case .recorded(let value) = input.source, value.tape.level > (innermost?.level ?? -1) {
      innermost = value.tape
    }
  }
  return innermost
}

private func record(
  _ operation: Operation, _ rule: Rule, _ inputs: [Tensor], on tape: Tape, file: StaticString, line: UInt
) -> [Tensor] {
  if case .composed = rule.gradient, case .composed(let body) = rule.value { return body(inputs) }
  let outputs = apply(operation, inputs.map(tape.primal(of:)), file: file, line: line)
  let (keptInputs, keptOutputs): ([Int], [Int])
  var backward: @Sendable (Backward) -> [Tensor?]
  switch rule.gradient {
  case .none, .composed: return outputs
  case .constant(let function): (keptInputs, keptOutputs, backward) = ([], [], function)
  case .ofInputs(let kept, let function): (keptInputs, keptOutputs, backward) = (kept, [], function)
  case .ofOutputs(let kept, let inputs, let function):
    (keptInputs, keptOutputs, backward) = (inputs, kept, function)
  case .everything(let function):
    (keptInputs, keptOutputs, backward) = (Array(inputs.indices), Array(outputs.indices), function)
  }
  if let watch = OperationWatch.active { backward = watch.marking(rule.name, backward) }
  return tape.record(
    inputs: inputs, outputs: outputs, keepingInputs: keptInputs, keepingOutputs: keptOutputs,
    backward: backward)
}

// MARK: Trace

extension Tensor {
  fileprivate var tracer: Tracer? {
    if case .traced(let value) = source { return value.tracer }
    return nil
  }
}

private func trace(
  _ operation: Operation, _ rule: Rule, _ inputs: [Tensor], _ types: [TensorType], into tracer: Tracer
) -> [Tensor] {
  // Of thousands of steps, composing records thousands of operations, and the rule has said the types.
  if case .composed(let body) = rule.value, !rule.hasKernel(for: inputs.map(\.type)), !tracer.wantsTypesOnly {
    return body(inputs)
  }
  return tracer.append(operation, inputs, types)
}

extension Rule {
  /// Whether the fast kernel takes inputs of `types`.
  package func hasKernel(for types: [TensorType]) -> Bool {
    kernel != nil && types.allSatisfy { $0.dtype != .float64 }
  }
}

// MARK: Evaluate

private func evaluate(
  _ rule: Rule, _ inputs: [Tensor], _ types: [TensorType], file: StaticString, line: UInt
) -> [Tensor] {
  let storages = inputs.map { $0.storage() }
  if rule.isAlias { return [Tensor(storages[0], shape: types[0].shape, dtype: types[0].dtype)] }
  let results = types.map { Storage(byteCount: $0.byteCount) }
  let sources = zip(storages, inputs).map { Buffer($0.bytes, $1.type) }
  let targets = zip(results, types).map { Buffer($0.bytes, $1) }
  let ran = withExtendedLifetime((storages, results)) {
    if let problem = rule.check?(sources) { programmerError(problem, file: file, line: line) }
    return Kernels.runEagerly(rule, inputs: sources, outputs: targets)
  }
  if !ran, case .composed(let body) = rule.value { return body(inputs) }
  let outputs = zip(results, types).map { Tensor($0, shape: $1.shape, dtype: $1.dtype) }
  if let watch = OperationWatch.active { watch.note(rule.name, inputs, outputs) }
  return outputs
}
