/// The value of `function` at `point` and its gradient there: the same shape as `point`.
///
/// ```swift
/// let (value, gradient) = valueAndGradient(at: Tensor([1, 2, 3] as [Float])) { x in x.squared().sum() }
/// // value 14, gradient [2, 4, 6]
/// ```
///
/// Nests: a gradient inside the closure can itself be differentiated. `function` must give a scalar.
public func valueAndGradient(
  at point: Tensor, of function: (Tensor) throws -> Tensor, file: StaticString = #fileID, line: UInt = #line
) rethrows -> (value: Tensor, gradient: Tensor) {
  let (value, gradients) = try valueAndGradient(
    at: [point], of: { try function($0[0]) }, file: file, line: line)
  return (value, gradients[0])
}

/// The value of `function` at several tensors at once and the gradient for each.
public func valueAndGradient(
  at points: [Tensor], of function: ([Tensor]) throws -> Tensor, file: StaticString = #fileID,
  line: UInt = #line
) rethrows -> (value: Tensor, gradients: [Tensor]) {
  let (values, pullback) = try valueWithPullback(at: points, of: { [try function($0)] })
  requireScalar(values[0], file: file, line: line)
  return (values[0], pullback([Tensor.ones(like: values[0])]))
}

/// The gradient of `function` at `point`.
public func gradient(
  at point: Tensor, of function: (Tensor) throws -> Tensor, file: StaticString = #fileID, line: UInt = #line
) rethrows -> Tensor {
  try valueAndGradient(at: point, of: function, file: file, line: line).gradient
}

/// The gradients of `function` at several tensors.
public func gradient(
  at points: [Tensor], of function: ([Tensor]) throws -> Tensor, file: StaticString = #fileID,
  line: UInt = #line
) rethrows -> [Tensor] {
  try valueAndGradient(at: points, of: function, file: file, line: line).gradients
}

/// The value of `function`, which reads `variables`, and its gradient for each of them.
///
/// A variable that the value doesn't depend on has a nil gradient.
public func valueAndGradient(
  at variables: [Variable], of function: () throws -> Tensor, file: StaticString = #fileID, line: UInt = #line
) rethrows -> (value: Tensor, gradients: [Tensor?]) {
  let tape = Tape()
  let scope = WatchScope(variables, on: tape)
  let value = try VariableScopes.with(scope, function)
  requireScalar(value, file: file, line: line)
  let primal = tape.primal(of: value)
  let gradients = tape.gradients(of: [(value, Tensor.ones(like: primal))], at: variables.map(scope.watched))
  return (primal, gradients)
}

/// The values of `function` at `points` and a function that takes a cotangent for each value to one for each point: the
/// vector–Jacobian product.
public func valueWithPullback(
  at points: [Tensor], of function: ([Tensor]) throws -> [Tensor]
) rethrows -> (values: [Tensor], pullback: @Sendable ([Tensor]) -> [Tensor]) {
  let tape = Tape()
  let watched = points.map(tape.watch)
  let results = try function(watched)
  let pullback: @Sendable ([Tensor]) -> [Tensor] = { cotangents in
    for (result, cotangent) in zip(results, cotangents) {
      require(
        result.shape == cotangent.shape,
        "the cotangent of a value of shape \(result.shape) must have that shape, got \(cotangent.shape)")
    }
    let gradients = tape.gradients(of: Array(zip(results, cotangents)), at: watched)
    return zip(gradients, points).map { gradient, point in gradient ?? Tensor.zeros(like: point) }
  }
  return (results.map(tape.primal(of:)), pullback)
}

/// Cotangents pulled back through `function` at `points`: `cotangents`ᵀ · Jacobian.
public func vectorJacobianProduct(
  at points: [Tensor], _ cotangents: [Tensor], of function: ([Tensor]) throws -> [Tensor]
) rethrows -> [Tensor] {
  try valueWithPullback(at: points, of: function).pullback(cotangents)
}

/// The Hessian of `function` at `point` times `vector`, without the Hessian: the gradient of (gradient · vector)
/// (Pearlmutter, 1994).
public func hessianVectorProduct(
  at point: Tensor, _ vector: Tensor, of function: (Tensor) throws -> Tensor
) rethrows -> Tensor {
  try gradient(at: point) { point in
    try (gradient(at: point, of: function) * vector).sum()
  }
}

private func requireScalar(_ value: Tensor, file: StaticString, line: UInt) {
  require(
    value.count == 1 && value.dtype.isFloatingPoint,
    "a gradient is that of one number; the function gave \(value.type): add .sum() or .mean()", file: file,
    line: line)
}

extension Tensor {
  /// The same elements, cut off from every tape: a constant for differentiation.
  public func stopGradient() -> Tensor {
    var tensor = self
    while case .recorded(let value) = tensor.source { tensor = value.primal }
    return tensor
  }
}

/// Reading a watched variable gives its value recorded on a tape.
private final class WatchScope: VariableScope {
  private let tape: Tape
  private let values: [ObjectIdentifier: Tensor]

  init(_ variables: [Variable], on tape: Tape) {
    self.tape = tape
    var values: [ObjectIdentifier: Tensor] = [:]
    for variable in variables where values[ObjectIdentifier(variable)] == nil {
      values[ObjectIdentifier(variable)] = tape.watch(variable.value)
    }
    self.values = values
  }

  func watched(_ variable: Variable) -> Tensor { values[ObjectIdentifier(variable)]! }

  func read(_ variable: Variable, outer: VariableScope?) -> Tensor {
    values[ObjectIdentifier(variable)] ?? outer?.read(variable, outer: nil) ?? variable.stored
  }

  func write(_ value: Tensor, to variable: Variable, outer: VariableScope?) {
    require(
      values[ObjectIdentifier(variable)] == nil,
      "variable \(variable.name) is written inside the closure that its gradient is taken of")
    let value = tape.primal(of: value)
    if let outer { outer.write(value, to: variable, outer: nil) } else { variable.store(value) }
  }
}
