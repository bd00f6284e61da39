import BackpropTensors
import Synchronization

/// In force while a file's model is built: weights are made without being initialised, because the file's come next, and
/// take no more memory than the file has bytes for, whatever its configuration says.
package final class WeightBudget: Sendable {
  @TaskLocal package static var current: WeightBudget?

  private struct State: Sendable {
    var bytes: Int
    var refusal: ModelError?
  }

  private let state: Mutex<State>

  /// - Parameter bytes: what all weights together may take.
  package init(bytes: Int) { state = Mutex(State(bytes: bytes)) }

  /// A tensor whose elements are yet to be set; an empty one when it would take too much, which ``check()`` reports.
  func blank(_ shape: Shape, _ dtype: DType, path: String) -> Tensor {
    let isAllowed = state.withLock { state in
      let size = Self.size(shape, times: dtype.byteCount)
      guard let size, size <= state.bytes else {
        let left = state.bytes
        state.refusal =
          state.refusal
          ?? ModelError(
            .shape, at: path,
            "expected a weight of shape \(shape), but the file has only \(left) bytes left for it")
        return false
      }
      state.bytes -= size
      return true
    }
    guard isAllowed else { return Tensor([] as [Float], shape: [0]).cast(to: dtype) }
    return Tensor(Storage(byteCount: shape.elementCount * dtype.byteCount), shape: shape, dtype: dtype)
  }

  /// Throws what was refused since.
  func check() throws {
    if let refusal = state.withLock({ $0.refusal }) { throw refusal }
  }

  /// Shapes that a layer gives: larger ones than any machine could compute would overflow in the next layer.
  func check(_ shapes: [Shape], at path: String) throws {
    for shape in shapes where Self.size(shape, times: 1).map({ $0 > 1 << 32 }) ?? true {
      throw ModelError(.shape, at: path, "gives \(shape), more than any sample has")
    }
  }

  /// nil where it doesn't fit or an axis is negative.
  private static func size(_ shape: Shape, times factor: Int) -> Int? {
    var size = factor
    for axis in shape.dimensions {
      guard axis >= 0 else { return nil }
      let (next, overflow) = size.multipliedReportingOverflow(by: max(axis, 1))
      if overflow { return nil }
      size = next
    }
    return shape.dimensions.contains(0) ? 0 : size
  }
}
