import Backprop

/// `backprop predict`
struct PredictCommand: Command {
  static let name = "predict"
  static let abstract = "show rows to a saved model"
  static let discussion = [
    """
    Reads a model from a .keras file and prints what it says of each row of INPUT: a CSV file, an IDX file (plain or \
    gzip), the rows to test with of a named data set, or standard input, which may be CSV or IDX. IDX files of bytes \
    with three axes or more are pictures and read as 0…1.
    """,
    """
    There is one line for each row, in the order of the rows. For people it is the class and the probability of each \
    class, with tabs between them and a heading; for networks that don't end in probabilities, the numbers that come \
    out.
    """,
    """
    With --log json each line is an object with the members row (from 0), and class and probabilities, or values.
    """,
  ]
  static let examples = [
    Example("backprop predict digits.keras digits", "read the embedded test digits"),
    Example(
      "backprop predict mnist.keras t10k-images-idx3-ubyte.gz --log json", "read the pictures of an IDX file"),
    Example("backprop predict wine.keras wine.csv --label quality", "leave out the column with the labels"),
    Example("head -1 rows.csv | backprop predict wine.keras", "one row from another program"),
  ]

  let csv = CSVOptions()
  let log = LogOptions()

  @Operand("FILE", "a model, as saved by train --output or by Keras 3 (.keras)") var file: String
  @Operand(
    "INPUT",
    "the rows: a file, - for standard input, or one of \(NamedDataSet.choices.joined(separator: ", "))")
  var input = DataSource.standardInput

  @Option(
    "label", "COLUMN",
    "a column of a CSV file to leave out: none, first, last, its number from 1, or its name in the header")
  var label = LabelColumn.none

  @Option("batch-size", "N", "the rows that are computed at a time", must: .rows) var batchSize = 256

  func run() throws -> ExitCode {
    let file = try ModelFile(self.file)
    let rows = try file.shaping(try load(), of: input.title)
    let outputs = try ModelFile.naming(input.title) { try file.model.predict(rows, batchSize: batchSize) }
    let writer = PredictionWriter(
      log.format, OutputKind(of: file.model), width: outputs.count / max(rows.count, 1))
    writer.write(outputs.cast(to: .float32).floats)
    return .success
  }

  /// - Throws: ``DataError``, ``CommandError``.
  private func load() throws -> Column {
    if case .named(let set) = input { return try set.load().test.inputs }
    let data = try DataFile(input)
    let rows =
      if data.isIDX {
        try data.idx()
      } else if let column = label.column {
        try CSV.decode(data.bytes, name: data.name, label: column, options: csv.options).inputs
      } else {
        Column(try CSV.decode(data.bytes, name: data.name, options: csv.options).values)
      }
    try rows.checkFinite("inputs", of: data.name)
    return rows
  }
}

/// What the numbers that a network gives mean.
enum OutputKind: Equatable {
  /// One for each class.
  case probabilities
  /// That of class 1.
  case probability
  case values

  /// The last activation says.
  init(of model: Model) {
    let last = model.layers.last { $0.className != "Flatten" && $0.className != "Reshape" }
    let activation =
      (last as? Dense)?.configuration.activation.name ?? (last as? Activation)?.configuration.activation.name
    switch activation ?? (last is Softmax ? "softmax" : "") {
    case "softmax", "sparsemax": self = .probabilities
    case "sigmoid" where model.outputWidth == 1: self = .probability
    default: self = .values
    }
  }
}

/// Writes one line for each row.
private struct PredictionWriter {
  let format: LogFormat
  let kind: OutputKind
  let width: Int

  init(_ format: LogFormat, _ kind: OutputKind, width: Int) {
    self.format = format
    self.kind = kind
    self.width = width
  }

  func write(_ numbers: [Float]) {
    if format == .quiet { return }
    // Many lines at once: a system call for each costs more than the network.
    var text = format == .plain ? heading + "\n" : ""
    for row in 0..<(width > 0 ? numbers.count / width : 0) {
      text += line(row, Array(numbers[row * width..<(row + 1) * width])) + "\n"
      if text.utf8.count > 1 << 16 {
        StandardOutput.write(text)
        text = ""
      }
    }
    StandardOutput.write(text)
  }

  private var heading: String {
    switch kind {
    case .probabilities: (["class"] + (0..<width).map { "p\($0)" }).joined(separator: "\t")
    case .probability: "class\tp0\tp1"
    case .values: width == 1 ? "value" : (0..<width).map { "value\($0)" }.joined(separator: "\t")
    }
  }

  private func line(_ row: Int, _ outputs: [Float]) -> String {
    let probabilities = kind == .probability ? [1 - outputs[0], outputs[0]] : outputs
    let best = probabilities.indices.max { probabilities[$0] < probabilities[$1] } ?? 0
    if format == .json {
      let numbers = JSON.array(probabilities.map { .number(Double($0)) })
      let result: [(name: String, value: JSON)] =
        kind == .values ? [("values", numbers)] : [("class", .integer(best)), ("probabilities", numbers)]
      return JSON.object([("row", .integer(row))] + result).line
    }
    let numbers = probabilities.map { readable(Double($0)) }
    return ((kind == .values ? [] : [String(best)]) + numbers).joined(separator: "\t")
  }
}
