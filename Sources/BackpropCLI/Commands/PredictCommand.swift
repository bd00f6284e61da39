import Backprop
import BackpropImages

/// `backprop predict`
struct PredictCommand: Command {
  static let name = "predict"
  static let abstract = "show rows to a saved model"
  static let discussion = [
    """
    Reads a model from a .keras file and prints what it says of each row of each INPUT: a CSV file, an IDX file (plain \
    or gzip), a PNG or JPEG file, a folder of these, the rows to test with of a named data set, or standard input, \
    which may be CSV or IDX. IDX files of bytes with three axes or more are pictures and read as 0…1.
    """,
    """
    There is one line for each row, in the order of the rows. For people it is the class and the probability of each \
    class, with tabs between them and a heading; for networks that don't end in probabilities, the numbers that come \
    out.
    """,
    """
    With --log json each line is an object with the members row (from 0, over all inputs), file where there are images \
    or several inputs, and class and probabilities, or values. In words, such lines end in the file's name.
    """,
  ]
  static let examples = [
    Example("backprop predict digits.keras digits", "read the embedded test digits"),
    Example(
      "backprop predict mnist.keras t10k-images-idx3-ubyte.gz --log json", "read the pictures of an IDX file"),
    Example("backprop predict wine.keras wine.csv --label quality", "leave out the column with the labels"),
    Example("backprop predict flowers.keras tulip.jpg", "what is in a picture"),
    Example("backprop predict flowers.keras *.jpg --log json", "what is in each of many"),
    Example("head -1 rows.csv | backprop predict wine.keras", "one row from another program"),
  ]

  let csv = CSVOptions()
  let images = ImageOptions()
  let log = LogOptions()

  @Operand("FILE", "a model, as saved by train --output or by Keras 3 (.keras)") var file: String
  @Operands(
    "INPUT",
    "the rows: a file, a folder of images, - for standard input, or one of \(NamedDataSet.choices.joined(separator: ", "))"
  )
  var inputs = [DataSource.standardInput]

  @Option(
    "label", "COLUMN",
    "a column of a CSV file to leave out: none, first, last, its number from 1, or its name in the header")
  var label = LabelColumn.none

  @Option("batch-size", "N", "the rows that are computed at a time", must: .rows) var batchSize = 256

  func run() throws -> ExitCode {
    let file = try ModelFile(self.file)
    var writer = PredictionWriter(log.format, OutputKind(of: file.model))
    for input in inputs {
      let loaded = try load(input, for: file.sampleShape)
      let rows = try file.shaping(loaded.rows, of: input.title)
      let outputs = try ModelFile.naming(input.title) { try file.model.predict(rows, batchSize: batchSize) }
      let files =
        loaded.files ?? (inputs.count > 1 ? Array(repeating: input.title, count: rows.count) : nil)
      writer.write(outputs.cast(to: .float32).floats, width: outputs.count / max(rows.count, 1), files: files)
    }
    return .success
  }

  /// The rows, and the files they came from where each has its own.
  ///
  /// - Throws: ``DataError``, ``CommandError``.
  private func load(_ input: DataSource, for sample: Shape?) throws -> (rows: Column, files: [String]?) {
    if case .named(let set) = input { return (try set.load().test.inputs, nil) }
    if case .file(let path) = input, DataSource.isFolder(path) {
      let rows = try ImageRows(imagesIn: path)
      return (try images.column(rows, for: sample), rows.files)
    }
    let data = try DataFile(input)
    if case .file(let path) = input, ImageFile.isImage(data.bytes) {
      return (try images.column(ImageRows(file: path), for: sample), [path])
    }
    let rows =
      if data.isIDX {
        try data.idx()
      } else if let column = label.column {
        try CSV.decode(data.bytes, name: data.name, label: column, options: csv.options).inputs
      } else {
        Column(try CSV.decode(data.bytes, name: data.name, options: csv.options).values)
      }
    try rows.checkFinite("inputs", of: data.name)
    return (rows, nil)
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
    var last: Layer? = model
    while let inside = last as? Model {
      last = inside.layers.last { $0.className != "Flatten" && $0.className != "Reshape" }
    }
    let activation =
      (last as? Dense)?.configuration.activation.name ?? (last as? Activation)?.configuration.activation.name
    switch activation ?? (last is Softmax ? "softmax" : "") {
    case "softmax", "sparsemax": self = .probabilities
    case "sigmoid" where model.outputWidth == 1: self = .probability
    default: self = .values
    }
  }
}

/// Writes one line for each row, and a heading before the first.
private struct PredictionWriter {
  private let format: LogFormat
  private let kind: OutputKind
  private var rowCount = 0

  init(_ format: LogFormat, _ kind: OutputKind) {
    self.format = format
    self.kind = kind
  }

  /// - Parameters:
  ///   - width: how many of the numbers belong to a row.
  ///   - files: where each row comes from; nil: that goes without saying.
  mutating func write(_ numbers: [Float], width: Int, files: [String]?) {
    if format == .quiet { return }
    // Many lines at once: a system call for each costs more than the network.
    var text = format == .plain && rowCount == 0 ? heading(width, hasFiles: files != nil) + "\n" : ""
    for row in 0..<(width > 0 ? numbers.count / width : 0) {
      text += line(rowCount, Array(numbers[row * width..<(row + 1) * width]), file: files?[row]) + "\n"
      rowCount += 1
      if text.utf8.count > 1 << 16 {
        StandardOutput.write(text)
        text = ""
      }
    }
    StandardOutput.write(text)
  }

  private func heading(_ width: Int, hasFiles: Bool) -> String {
    let numbers =
      switch kind {
      case .probabilities: ["class"] + (0..<width).map { "p\($0)" }
      case .probability: ["class", "p0", "p1"]
      case .values: width == 1 ? ["value"] : (0..<width).map { "value\($0)" }
      }
    return (numbers + (hasFiles ? ["file"] : [])).joined(separator: "\t")
  }

  private func line(_ row: Int, _ outputs: [Float], file: String?) -> String {
    let probabilities = kind == .probability ? [1 - outputs[0], outputs[0]] : outputs
    let best = probabilities.indices.max { probabilities[$0] < probabilities[$1] } ?? 0
    if format == .json {
      let numbers = JSON.array(probabilities.map { .number(Double($0)) })
      let result: [(name: String, value: JSON)] =
        kind == .values ? [("values", numbers)] : [("class", .integer(best)), ("probabilities", numbers)]
      let file = file.map { [(name: "file", value: JSON.string($0))] } ?? []
      return JSON.object([(name: "row", value: .integer(row))] + file + result).line
    }
    let numbers = probabilities.map { readable(Double($0)) }
    let name = file.map { [DisplayText.oneLine($0)] } ?? []
    return ((kind == .values ? [] : [String(best)]) + numbers + name).joined(separator: "\t")
  }
}
