import Synchronization

/// Looks at what every operation gives while a closure runs, to find where numbers stop being finite: in a result whose
/// inputs are all finite. What is evaluated in the backward pass is put down to the operation it is the gradient of.
///
/// Costs eager code one load of an atomic for each operation when nobody watches.
package final class OperationWatch: @unchecked Sendable {
  /// A result that isn't finite though the inputs were.
  package struct Finding: Sendable {
    package let operation: String
    /// What was being called, innermost last.
    package let places: [String]
    /// Computed on the way back; `operation` is that of the way there.
    package let isBackward: Bool
    package let type: TensorType
    package let statistics: TensorStatistics
    /// Positions along the first axis; at most the first eight.
    package let rows: [Int]
  }

  @TaskLocal private static var current: OperationWatch?
  private static let watchers = Atomic<Int>(0)

  /// The one that watches this task.
  package static var active: OperationWatch? {
    watchers.load(ordering: .relaxed) == 0 ? nil : current
  }

  /// In the order in which they came; more than this are of no use.
  package private(set) var findings: [Finding] = []
  private static let mostFindings = 256

  private struct Origin { let operation: String; let places: [String] }
  private var places: [String] = []
  /// The operations whose gradients are being computed, innermost last.
  private var origins: [Origin] = []

  package init() {}

  package func whileRunning<Result>(_ body: () throws -> Result) rethrows -> Result {
    Self.watchers.add(1, ordering: .relaxed)
    defer { Self.watchers.subtract(1, ordering: .relaxed) }
    return try Self.$current.withValue(self, operation: body)
  }

  /// What is evaluated in `body` belongs to `place`.
  package func inside<Result>(_ place: String, _ body: () throws -> Result) rethrows -> Result {
    places.append(place)
    defer { places.removeLast() }
    return try body()
  }

  /// `backward`, which says whose gradient it is while it runs.
  func marking(
    _ operation: String, _ backward: @escaping @Sendable (Backward) -> [Tensor?]
  ) -> @Sendable (Backward) -> [Tensor?] {
    let origin = Origin(operation: operation, places: places)
    return { [self] argument in
      origins.append(origin)
      defer { origins.removeLast() }
      return backward(argument)
    }
  }

  func note(_ operation: String, _ inputs: [Tensor], _ results: [Tensor]) {
    guard findings.count < Self.mostFindings,
      let result = results.first(where: { firstNotFinitePosition($0) != nil }),
      inputs.allSatisfy({ firstNotFinitePosition($0) == nil })
    else { return }
    let origin = origins.last
    findings.append(
      Finding(
        operation: origin?.operation ?? operation, places: origin?.places ?? places,
        isBackward: origin != nil,
        type: result.type, statistics: TensorStatistics(result), rows: Self.rows(of: result)))
  }

  /// Where along the first axis numbers aren't finite.
  package static func rows(of tensor: Tensor) -> [Int] {
    guard tensor.dtype.isFloatingPoint, tensor.rank > 0, tensor.count > 0 else { return [] }
    let width = tensor.count / tensor.shape[0]
    return tensor.withUnsafeBytes { bytes in
      let isBad = { (row: Int) -> Bool in
        (row * width..<(row + 1) * width).contains {
          !loadElement($0, from: bytes.baseAddress!, dtype: tensor.dtype).isFinite
        }
      }
      return Array((0..<tensor.shape[0]).lazy.filter(isBad).prefix(8))
    }
  }
}
