import BackpropTensors

/// What can be trained on or evaluated with: rows in memory, or batches that come one after the other.
public protocol TrainingSource: Sendable {
  var rows: TrainingRows { get }
}

/// One of the two; see ``TrainingSource``.
public enum TrainingRows: Sendable {
  case memory(inputs: [Column], labels: [Column], sampleWeights: Column?)
  case stream(Dataset)
}

extension LabelledData: TrainingSource {
  public var rows: TrainingRows { .memory(inputs: [inputs], labels: [labels], sampleWeights: nil) }
}

/// Rows in memory for a model with several inputs or outputs.
///
/// ```swift
/// let test = TrainingColumns([images, ages], [classes, weights])
/// try model.fit([trainImages, trainAges], [trainClasses, trainWeights], validationData: test)
/// ```
public struct TrainingColumns: TrainingSource {
  /// One for each of the model's inputs.
  public var inputs: [Column]
  /// One for each output that has labels.
  public var labels: [Column]
  public var sampleWeights: Column?

  public init(
    _ inputs: [any ColumnConvertible], _ labels: [any ColumnConvertible],
    sampleWeights: (any ColumnConvertible)? = nil
  ) {
    self.inputs = inputs.map(\.column)
    self.labels = labels.map(\.column)
    self.sampleWeights = sampleWeights?.column
  }

  public var rows: TrainingRows { .memory(inputs: inputs, labels: labels, sampleWeights: sampleWeights) }
}

extension Dataset: TrainingSource {
  public var rows: TrainingRows { .stream(self) }
}

/// Columns and a range of their rows.
struct MemoryRows: Sendable {
  var inputs: [Column]
  var labels: [Column]
  var sampleWeights: Column?
  var range: Range<Int>

  init(_ inputs: [Column], _ labels: [Column], _ sampleWeights: Column?) throws {
    let count = try DataChecks.count(inputs, labels, sampleWeights)
    self.inputs = inputs
    self.labels = labels
    self.sampleWeights = sampleWeights
    range = 0..<count
  }

  var columns: [Column] { inputs + labels + (sampleWeights.map { [$0] } ?? []) }

  func types(_ columns: [Column], rows: Int) -> [TensorType] {
    columns.map { TensorType(Shape([rows] + $0.sampleShape.dimensions), $0.dtype) }
  }

  /// Columns' rows as one list of tensors in the order of ``columns``, taken apart.
  func parts(_ tensors: [Tensor]) -> (inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor?) {
    let labelsEnd = inputs.count + labels.count
    return (
      Array(tensors[..<inputs.count]), Array(tensors[inputs.count..<labelsEnd]),
      sampleWeights == nil ? nil : tensors[labelsEnd]
    )
  }
}

extension Column {
  /// Copies the kept bytes of some rows.
  func copyStored(_ rows: Range<Int>, to target: UnsafeMutableRawPointer) {
    let rowBytes = sampleShape.elementCount * stored.dtype.byteCount
    stored.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      target.copyMemory(from: base + rows.lowerBound * rowBytes, byteCount: rows.count * rowBytes)
    }
  }

  /// The type of the kept bytes of `count` rows.
  func storedType(rows count: Int) -> TensorType {
    TensorType(Shape([count] + sampleShape.dimensions), stored.dtype)
  }

  /// Kept rows that arrived as `tensor`, as they read.
  func reading(_ tensor: Tensor) -> Tensor {
    guard isScaled else { return tensor }
    let all = Tensor.range(to: tensor.shape[0])
    return Column(tensor, scale: scale, shift: shift).rows(at: all)
  }
}
