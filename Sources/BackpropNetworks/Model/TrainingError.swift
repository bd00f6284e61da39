import BackpropTensors

/// A loss or gradient that wasn't finite, and where that began. The weights are as they were before the step.
public struct TrainingError: Error, CustomStringConvertible, Sendable {
  /// Counted from 1, over all epochs of the call.
  public let step: Int
  /// Counted from 1.
  public let epoch: Int
  public let loss: Double
  /// Where the first number that isn't finite was found, as `sequential/dense_1`, or whose gradient it is; nil where it
  /// was the data or the loss itself.
  public let path: String?
  /// The operation that made it of finite numbers, as `sqrt`; nil where it was there before the step.
  public let operation: String?
  /// Rows of the batch in which it is, the first eight at most; empty where the tensor has no rows.
  public let rows: [Int]
  /// What was found, in words: with the type of the first bad tensor, and how many of its elements aren't finite.
  public let cause: String

  init(step: Int, epoch: Int, loss: Double, _ found: Diagnosis.Result) {
    (self.step, self.epoch, self.loss) = (step, epoch, loss)
    (path, operation, rows, cause) = (found.path, found.operation, found.rows, found.cause)
  }

  public var description: String {
    let place = path.map { "\($0): " } ?? ""
    let what = loss.isFinite ? "a gradient isn't finite" : "the loss is \(loss.isNaN ? "nan" : "\(loss)")"
    return """
      \(what) at step \(step) (epoch \(epoch)); \(place)\(cause); training stopped before this step's update
      """
  }
}
