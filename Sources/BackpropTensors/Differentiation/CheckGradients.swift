/// How ``checkGradients(at:by:epsilon:absoluteTolerance:relativeTolerance:of:)-(_,_,_,_,_,([Tensor])->Tensor)`` moves the
/// inputs.
public enum GradientCheck: Sendable, Hashable {
  /// One element after the other: 2 · *n* evaluations for *n* elements, and an error names the element.
  case everyElement
  /// All elements of an input at once, along a random direction: 2 evaluations for each input, whatever its size.
  case randomDirection(seed: Int)
}

/// A gradient that isn't what the function's values say.
public struct GradientError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Which input.
  public let input: Int
  /// The element's position in it; nil for a random direction.
  public let element: [Int]?
  /// By reverse mode.
  public let gradient: Double
  /// (f(x + ε) − f(x − ε)) / 2ε
  public let difference: Double

  public var description: String {
    let place = element.map { $0.isEmpty ? "" : " at \($0)" } ?? " along a random direction"
    return "the gradient of input \(input)\(place) is \(gradient), central differences give \(difference)"
  }
}

/// Compares the gradients of `function` at `points` with central differences, in float64; throws a ``GradientError`` at
/// the first that differs by more than `absoluteTolerance + relativeTolerance · |difference|`.
///
/// ```swift
/// try checkGradients(at: [x, w]) { inputs in inputs[0].matmul(inputs[1]).tanh() }
/// ```
///
/// The inputs are converted to float64; a result that isn't one number is summed with random weights. Stay away from
/// kinks (the 0 of relu): there the differences give the mean of both sides. Operations with a kernel of their own are
/// checked in their composed form, the only one that computes in float64; a cast to float32 inside `function` leaves too
/// few digits.
public func checkGradients(
  at points: [Tensor], by check: GradientCheck = .everyElement, epsilon: Double = 1e-6,
  absoluteTolerance: Double = 1e-5, relativeTolerance: Double = 1e-3, of function: ([Tensor]) throws -> Tensor
) throws {
  let points = points.map { $0.stopGradient().cast(to: .float64) }
  func number(_ points: [Tensor]) throws -> Tensor {
    let result = try function(points)
    if result.count == 1 { return result.sum() }
    return (result * RandomGenerator(seed: 1).uniform(result.shape, from: 0.5, to: 1.5)).sum()
  }
  let gradients = try gradient(at: points, of: number)
  for (input, point) in points.enumerated() {
    func compare(_ gradient: Double, along direction: [Double], element: [Int]?) throws {
      func moved(_ step: Double) throws -> Double {
        var moved = points
        let elements = zip(point.doubles, direction).map { $0 + step * $1 }
        moved[input] = Tensor(elements, shape: point.shape)
        return try number(moved).item()
      }
      let difference = (try moved(epsilon) - moved(-epsilon)) / (2 * epsilon)
      // Written so that NaN on either side fails.
      guard abs(gradient - difference) <= absoluteTolerance + relativeTolerance * abs(difference) else {
        throw GradientError(input: input, element: element, gradient: gradient, difference: difference)
      }
    }
    let elements = gradients[input].doubles
    switch check {
    case .everyElement:
      for place in elements.indices {
        var direction = [Double](repeating: 0, count: elements.count)
        direction[place] = 1
        let position = zip(point.shape.strides, point.shape.dimensions).map { place / $0 % $1 }
        try compare(elements[place], along: direction, element: position)
      }
    case .randomDirection(let seed):
      let direction = RandomGenerator(seed: seed &+ input).normal(point.shape).doubles
      try compare(zip(elements, direction).reduce(0) { $0 + $1.0 * $1.1 }, along: direction, element: nil)
    }
  }
}

/// The same for a function of one tensor.
public func checkGradients(
  at point: Tensor, by check: GradientCheck = .everyElement, epsilon: Double = 1e-6,
  absoluteTolerance: Double = 1e-5, relativeTolerance: Double = 1e-3, of function: (Tensor) throws -> Tensor
) throws {
  try checkGradients(
    at: [point], by: check, epsilon: epsilon, absoluteTolerance: absoluteTolerance,
    relativeTolerance: relativeTolerance, of: { try function($0[0]) })
}
