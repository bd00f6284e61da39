/// Samples with their labels, row by row.
///
/// ```swift
/// let (train, test) = try MNIST.load()
/// try model.fit(train.images, train.labels, validationData: test)
/// ```
public struct LabelledData: Sendable {
  public let inputs: Column
  public let labels: Column

  public init(
    _ inputs: some ColumnConvertible, _ labels: some ColumnConvertible, file: StaticString = #fileID,
    line: UInt = #line
  ) {
    let (inputs, labels) = (inputs.column, labels.column)
    require(
      inputs.count == labels.count,
      "\(inputs.count) samples (\(inputs.shape)) and \(labels.count) labels (\(labels.shape))",
      file: file, line: line)
    self.inputs = inputs
    self.labels = labels
  }

  /// The number of samples.
  public var count: Int { inputs.count }

  /// Neighbouring rows, copied.
  public subscript(rows: Range<Int>, file: StaticString = #fileID, line: UInt = #line) -> LabelledData {
    LabelledData(inputs[rows, file, line], labels[rows, file, line])
  }

  /// The rows at `indices`, in that order, copied.
  public func selecting(_ indices: [Int32], file: StaticString = #fileID, line: UInt = #line) -> LabelledData
  {
    LabelledData(
      inputs.selecting(indices, file: file, line: line), labels.selecting(indices, file: file, line: line))
  }

  /// Two disjoint parts: `testFraction` of the rows, rounded, drawn at random (the same for the same seed) for the
  /// second and the rest for the first.
  public func split(
    testFraction: Double, seed: Int = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> (train: LabelledData, test: LabelledData) {
    require(
      (0...1).contains(testFraction), "testFraction must be in 0...1, got \(testFraction)", file: file,
      line: line)
    let order = RowOrder(count: count, seed: seed).rows(epoch: 0)
    let testCount = Int((Double(count) * testFraction).rounded())
    return (selecting(Array(order.dropLast(testCount))), selecting(Array(order.suffix(testCount))))
  }
}
