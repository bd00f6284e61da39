import Backprop

/// `backprop evaluate`
struct EvaluateCommand: Command {
  static let name = "evaluate"
  static let abstract = "say how good a saved model is"
  static let discussion = [
    """
    Reads a model from a .keras file, as train and Keras write them, and prints its loss and metrics on the rows of a \
    data set or file. Of a named data set these are the rows to test with, of a file all rows.
    """,
    """
    Loss and metrics are those that the model was compiled with. Where the file doesn't say, a network that ends in \
    several numbers is taken for a classifier (cross-entropy and accuracy), one that ends in a single number for a \
    regression (squared and absolute error).
    """,
    "With --log json it prints one object with the members loss, the metrics (accuracy), and rows.",
  ]
  static let examples = [
    Example("backprop evaluate mnist.keras --data mnist", "loss and accuracy on MNIST's 10,000 test images"),
    Example("backprop evaluate mnist.keras --data mnist --log json", "the same for a script"),
    Example("backprop evaluate wine.keras --data more-wine.csv --label quality", "on the rows of a table"),
  ]

  let data = DataOptions()
  let csv = CSVOptions()
  let images = ImageOptions()
  let log = LogOptions()

  @Operand("FILE", "a model, as saved by train --output or by Keras 3 (.keras)") var file: String
  @Option("batch-size", "N", "the rows that are computed at a time", must: .rows) var batchSize = 256

  func validate() throws { try data.validate() }

  func run() throws -> ExitCode {
    let file = try ModelFile(self.file)
    let loaded = try data.load(csv, images, for: file.sampleShape)
    let rows = loaded.test ?? loaded.rows
    let inputs = try file.shaping(rows.inputs, of: loaded.title)
    try file.compile(for: rows.labels)
    let result = try ModelFile.naming(loaded.title) {
      try file.model.evaluate(inputs, rows.labels, batchSize: batchSize)
    }
    switch log.format {
    case .quiet: break
    case .plain: StandardOutput.writeLine("\(result.logs.inWords) (\(rows.count) rows)")
    case .json:
      var object = JSON.object([])
      object.add(result.logs)
      object.set("rows", .integer(rows.count))
      StandardOutput.writeLine(object.line)
    }
    return .success
  }
}

extension Model {
  /// The numbers that come out for a sample.
  var outputWidth: Int { layers.last { !$0.weights.isEmpty }?.weights.last?.shape.dimensions.last ?? 1 }
}
