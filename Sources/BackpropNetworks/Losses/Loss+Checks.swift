import BackpropTensors

extension Loss {
  /// Whether labels and predictions fit: what would broadcast silently is an error.
  ///
  /// - Throws: ``ModelError`` with both shapes.
  func check(labels: TensorType, predictions: TensorType) throws {
    guard try resolved() != nil else { return }
    guard predictions.shape.rank > 0 else {
      throw ModelError(.shape, "\(name): expected predictions with an axis for the batch, got a scalar")
    }
    switch kind {
    case .sparseCategoricalCrossentropy, .categoricalGeneralizedCrossEntropy:
      return try checkSparse(labels, predictions)
    case .circle: return try checkCircle(labels, predictions)
    case .ctc: return try checkCTC(labels, predictions)
    default: break
    }
    let pair = "labels of shape \(labels.shape) against predictions of shape \(predictions.shape)"
    guard labels.shape == predictions.shape || isColumn(labels, predictions) else {
      throw ModelError(.shape, "\(name): \(pair)\(hint(labels.shape, predictions.shape))")
    }
  }

  /// [n] against [n, 1], either way.
  private func isColumn(_ labels: TensorType, _ predictions: TensorType) -> Bool {
    let (a, b) = (labels.shape.dimensions, predictions.shape.dimensions)
    return a == b + [1] || b == a + [1]
  }

  private func hint(_ labels: Shape, _ predictions: Shape) -> String {
    let classes = predictions.dimensions.last ?? 0
    let isOneNumber = labels.rank == 1 || (labels.rank == 2 && labels[1] == 1)
    if kind == .categoricalCrossentropy, isOneNumber {
      return
        "; labels that are class numbers need .sparseCategoricalCrossentropy, or oneHot(classes: \(classes))"
    }
    if labels.rank == predictions.rank, Shape.broadcast(labels, predictions) != nil {
      return ": they would broadcast; give each row as many labels as it has predictions"
    }
    return "; they must be alike"
  }

  private func checkSparse(_ labels: TensorType, _ predictions: TensorType) throws {
    let axis = arguments["axis"]?.int ?? -1
    guard let position = predictions.shape.position(of: axis), predictions.shape.rank >= 2 else {
      throw ModelError(
        .shape, "\(name): expected predictions of [batch, …, classes], got shape \(predictions.shape)")
    }
    var rows = predictions.shape.dimensions
    let classes = rows.remove(at: position)
    if labels.shape.dimensions == rows || labels.shape.dimensions == rows + [1] { return }
    let isOneHot = labels.shape == predictions.shape
    let hint = isOneHot ? "; labels with one column for each class need .categoricalCrossentropy" : ""
    throw ModelError(
      .shape,
      "\(name): expected one class number in 0..<\(classes) for each row, of shape \(Shape(rows)), got labels of shape \(labels.shape)\(hint)"
    )
  }

  private func checkCircle(_ labels: TensorType, _ predictions: TensorType) throws {
    let rows = predictions.shape.dimensions.first ?? 0
    let isOneEach = labels.shape == [rows] || labels.shape == [rows, 1]
    if predictions.shape.rank == 2, isOneEach { return }
    throw ModelError(
      .shape,
      "\(name): expected predictions of [batch, size] and one class number for each row, got labels of shape \(labels.shape) against predictions of shape \(predictions.shape)"
    )
  }

  private func checkCTC(_ labels: TensorType, _ predictions: TensorType) throws {
    let isBatch = labels.shape.dimensions.first == predictions.shape.dimensions.first
    if predictions.shape.rank == 3, labels.shape.rank == 2, isBatch { return }
    throw ModelError(
      .shape,
      "\(name): expected labels of [batch, longest] and predictions of [batch, frames, classes], got labels of shape \(labels.shape) against predictions of shape \(predictions.shape)"
    )
  }

  /// The number of classes whose numbers the labels must be, nil where any label will do.
  func classCount(for predictions: Shape) -> Int? {
    switch kind {
    case .sparseCategoricalCrossentropy: return predictions[arguments["axis"]?.int ?? -1]
    case .categoricalGeneralizedCrossEntropy, .ctc: return predictions[-1]
    default: return nil
    }
  }

  /// The label that doesn't count.
  var ignoredClass: Int? { arguments["ignore_class"]?.int }
}
