import Backprop

/// A model file and the data that is shown to its model.
struct ModelFile {
  let path: String
  let model: Model

  /// - Throws: ``DataError``.
  init(_ path: String, seed: Int = 0) throws {
    self.path = path
    model = try Model.load(path, seed: seed) {
      StandardError.writeLine("\(CommandLineTool.name): warning: \(path): \($0)")
    }
  }

  /// The shape of a sample, where the file says it.
  var sampleShape: Shape? {
    let input = (model.sublayers.first as? Input)?.configuration.batchShape
    guard let sizes = (input ?? model.preparedSizes?.first)?.dropFirst() else { return nil }
    let known = sizes.compactMap { $0 }
    return known.count == sizes.count ? Shape(known) : nil
  }

  /// Rows in the shape that the model takes: pictures for one that flattens them itself, rows of pixels for others.
  ///
  /// - Throws: ``CommandError`` when the rows have more or fewer numbers.
  func shaping(_ rows: Column, of title: String) throws -> Column {
    guard let sampleShape else { return rows }
    let (expected, found) = (sampleShape.elementCount, rows.sampleShape.elementCount)
    if found == expected { return rows.reshapingSamples(to: sampleShape) }
    let hint = found == expected + 1 ? "; if one column holds labels, name it with --label" : ""
    throw CommandError(
      "\(path) takes samples of shape \(sampleShape), \(expected) numbers; the rows of \(title) have \(found)\(hint)"
    )
  }

  /// Sees to it that there is a loss and something to count beside it, that take labels in one column.
  ///
  /// - Parameter optimizer: instead of the file's.
  func compile(for labels: Column, optimizer: Optimizer? = nil) throws {
    var loss = model.loss
    var metrics = model.compiledMetrics
    if let given = loss, given.name == "categorical_crossentropy" {
      // The same number from class numbers instead of columns of zeros and ones.
      loss = Loss(
        className: "SparseCategoricalCrossentropy", config: given.arguments.filter { $0.key == "from_logits" }
      )
      metrics = []
    }
    let isClassifier = loss.map { $0.name.hasSuffix("crossentropy") } ?? (model.outputWidth > 1)
    if loss == nil { loss = isClassifier ? .sparseCategoricalCrossentropy : .meanSquaredError }
    if metrics.isEmpty { metrics = isClassifier ? [.accuracy] : [.meanAbsoluteError] }
    try model.compile(optimizer: optimizer ?? model.optimizer ?? SGD(), loss: loss, metrics: metrics)
  }

  /// What goes wrong with data, by the name of the data.
  static func naming<Result>(_ title: String, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as ModelError where error.kind == .data {
      throw CommandError("\(title): \(error)")
    }
  }
}

extension LoadedData {
  /// In the shape that a saved model takes.
  ///
  /// - Throws: ``CommandError`` when the rows have more or fewer numbers.
  func shaped(for file: ModelFile?) throws -> LoadedData {
    guard let file else { return self }
    func shape(_ data: LabelledData) throws -> LabelledData {
      LabelledData(try file.shaping(data.inputs, of: title), data.labels)
    }
    return LoadedData(title: title, rows: try shape(rows), test: try test.map(shape))
  }
}
