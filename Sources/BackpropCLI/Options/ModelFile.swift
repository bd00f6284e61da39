import Backprop

/// A model file and the data that is shown to its model.
struct ModelFile {
  let path: String
  let model: Model

  /// - Throws: ``DataError``.
  init(_ path: String) throws {
    self.path = path
    model = try Model.load(path) {
      StandardError.writeLine("\(CommandLineTool.name): warning: \(path): \($0)")
    }
  }

  /// The shape of a sample, where the file says it.
  private var sampleShape: Shape? {
    let dimensions = (model.sublayers.first as? Input)?.configuration.batchShape.dropFirst()
    guard let dimensions else { return model.preparedInputs?.first.map { Shape($0.dimensions.dropFirst()) } }
    let known = dimensions.compactMap { $0 }
    return known.count == dimensions.count ? Shape(known) : nil
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

  /// What goes wrong with data, by the name of the data.
  static func naming<Result>(_ title: String, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as ModelError where error.kind == .data {
      throw CommandError("\(title): \(error)")
    }
  }
}
