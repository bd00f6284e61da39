import Backprop
import BackpropImages
import Foundation

/// How to read CSV files.
struct CSVOptions: ParameterGroup {
  static let title = "CSV files"

  @Option(
    "delimiter", "CHARACTER",
    "what stands between the fields of a CSV file: a character, or \(Delimiter.words.joined(separator: ", "))"
  )
  var delimiter = Delimiter(",")

  var options: CSV.Options { CSV.Options(delimiter: delimiter.character) }
}

/// Rows with labels, for training and evaluation.
struct DataOptions: ParameterGroup {
  static let title = "Data"

  @Option(
    "data", "NAME|FILE",
    """
    the rows: \(NamedDataSet.allCases.map { "\($0.rawValue) (\($0.meaning))" }.joined(separator: ", ")), a CSV file, an \
    IDX file (plain or gzip; give --labels too), a folder with a folder of PNG and JPEG files for each class, or - for \
    CSV on standard input. A file of the name of a data set is \
    written ./NAME.
    """)
  var data = DataSource.named(.digits)

  @Option(
    "label", "COLUMN",
    "the column of a CSV file that holds the labels: first, last, its number from 1, or its name in the header"
  )
  var label = LabelColumn.last

  @Option("labels", "FILE", "the IDX file with the labels of an IDX file")
  var labels: String? = nil

  func validate() throws {
    if label == .none { throw UsageError("--label: expected a column, got 'none'") }
    if case .named(let name) = data, labels != nil {
      throw UsageError("--labels goes with an IDX file; \(name.rawValue) has labels of its own")
    }
  }

  /// - Parameter sample: what a model takes; decides the size of images.
  /// - Throws: ``DataError``, ``CommandError``.
  func load(_ csv: CSVOptions, _ images: ImageOptions, for sample: Shape? = nil) throws -> LoadedData {
    switch data {
    case .named(let set):
      let (train, test) = try set.load()
      return LoadedData(title: set.rawValue, rows: train.flattened, test: test.flattened)
    case .file(let path) where DataSource.isFolder(path):
      let folder = try ImageRows(classesIn: path)
      let labels = Tensor(folder.labels.map(Int32.init))
      return LoadedData(
        title: path, rows: LabelledData(try images.column(folder, for: sample), labels), test: nil)
    case .file, .standardInput:
      let table = try DataFile(data)
      let rows = try labelled(table, csv).flattened
      try rows.inputs.checkFinite("inputs", of: data.title)
      try rows.labels.checkFinite("labels", of: data.title)
      return LoadedData(title: data.title, rows: rows, test: nil)
    }
  }

  private func labelled(_ file: DataFile, _ csv: CSVOptions) throws -> LabelledData {
    guard file.isIDX else {
      if labels != nil {
        throw CommandError("\(file.name) is no IDX file; --labels goes with those, --label with CSV")
      }
      return try CSV.decode(
        file.bytes, name: file.name, label: label.column ?? .last, options: csv.options)
    }
    guard let labels else {
      throw CommandError(
        "\(file.name) is an IDX file without labels; give the file that holds them with --labels")
    }
    let inputs = try file.idx()
    let values = try IDX.load(labels)
    guard values.rank > 0, values.shape[0] == inputs.count else {
      throw DataError(
        file: labels, place: .wholeFile,
        expected: "a label for each of the \(inputs.count) rows of \(file.name)",
        found: "\(values.type)")
    }
    return LabelledData(inputs, values)
  }
}

/// Rows with labels, each row a list of numbers or, from a folder, a picture.
struct LoadedData {
  let title: String
  let rows: LabelledData
  /// What was set aside for testing by whoever made the data set.
  let test: LabelledData?

  /// Of one row: a list of numbers, or a picture.
  var sampleShape: Shape { rows.inputs.sampleShape }
}

extension LabelledData {
  /// Pictures as rows of pixels.
  fileprivate var flattened: LabelledData { LabelledData(inputs.flattened, labels) }
}

extension Column {
  var flattened: Column { reshapingSamples(to: [sampleShape.elementCount]) }

  /// `fit` would say the same of rows that were shuffled, and name one that nobody can find in the file.
  func checkFinite(_ what: String, of file: String) throws {
    guard let found = firstNotFinite(stored) else { return }
    throw CommandError(
      "\(file): the \(what) hold \(found.value) in row \(found.row); leave the row out or replace the value")
  }
}

/// The bytes of a file or of standard input, which tell by their beginning what they are.
struct DataFile {
  let name: String
  let bytes: [UInt8]

  /// - Throws: ``DataError`` when it can't be read.
  init(_ source: DataSource) throws {
    name = source.title
    switch source {
    case .file(let path): bytes = try FileSource.bytes(of: path)
    case .standardInput: bytes = try StandardInput.read()
    case .named(let set): throw CommandError("\(set.rawValue) is no file")
    }
  }

  /// IDX files begin with two zeros, compressed ones as gzip does; no text does either.
  var isIDX: Bool { bytes.starts(with: [0, 0]) || bytes.starts(with: [0x1F, 0x8B]) }

  /// Bytes of three axes and more are pictures and read as 0…1, as MNIST's do; other numbers are what they are.
  ///
  /// - Throws: ``DataError``.
  func idx() throws -> Column {
    let tensor = try IDX.decode(bytes, name: name)
    guard tensor.rank > 0 else {
      throw DataError(
        file: name, place: .wholeFile, expected: "an axis that counts the rows", found: "\(tensor.type)")
    }
    return tensor.rank > 2 && tensor.dtype == .uint8 ? Column(tensor, scale: 1 / 255) : Column(tensor)
  }
}

enum StandardInput {
  /// All of it.
  static func read() throws -> [UInt8] {
    if isatty(STDIN_FILENO) == 1 {
      StandardError.writeLine("Reading rows from the terminal; Ctrl-D ends them.")
    }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = buffer.withUnsafeMutableBytes { Foundation.read(STDIN_FILENO, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw CommandError("standard input: \(String(cString: strerror(errno)))") }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
  }
}
