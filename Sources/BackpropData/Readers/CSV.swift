import BackpropTensors

/// Reading of CSV files: rows of numbers, with or without a header.
///
/// ```swift
/// // wine.csv: alcohol,acidity,quality
/// //           12.8,0.31,6
/// let wine = try CSV.load("wine.csv", label: .named("quality"))
/// ```
///
/// Fields may be quoted as in RFC 4180. Numbers are read as float64 and rounded to float32. Text columns are refused:
/// turn them into numbers first.
public enum CSV {
  /// Whether the first row holds the columns' names.
  public enum Header: Sendable {
    /// It does when any of its fields isn't a number.
    case automatic
    case present
    case absent
  }

  /// The column that holds the labels.
  public enum Label: Sendable, Equatable {
    case first
    case last
    case index(Int)
    case named(String)
  }

  public struct Options: Sendable {
    public var header: Header
    public var delimiter: Character

    public init(header: Header = .automatic, delimiter: Character = ",") {
      self.header = header
      self.delimiter = delimiter
    }
  }

  /// Numbers in rows, with the columns' names.
  public struct Table: Sendable {
    /// The header's fields; empty where the file has none.
    public let names: [String]
    /// float32 [rows, columns].
    public let values: Tensor
  }

  /// Reads all columns.
  ///
  /// - Throws: ``DataError`` with the line for a row of another length than the first, with line and column for a field
  ///   that isn't a number, and for a file without rows.
  public static func load(_ path: String, options: Options = Options()) throws -> Table {
    try decode(FileSource.bytes(of: path), name: path, options: options)
  }

  /// Reads one column as float32 labels [rows] and the others as float32 inputs [rows, columns − 1].
  ///
  /// - Throws: ``DataError``, as ``load(_:options:)``; also where the label column doesn't exist or is the only one.
  public static func load(_ path: String, label: Label, options: Options = Options()) throws -> LabelledData {
    try decode(FileSource.bytes(of: path), name: path, label: label, options: options)
  }

  /// As ``load(_:options:)``, from memory; messages call it `name`.
  public static func decode(
    _ bytes: [UInt8], name: String = "CSV data", options: Options = Options()
  ) throws -> Table {
    let parsed = try parse(bytes, name: name, options: options, label: nil)
    return Table(
      names: parsed.names, values: Tensor(parsed.values, shape: [parsed.rowCount, parsed.columnCount]))
  }

  /// As ``load(_:label:options:)``, from memory; messages call it `name`.
  public static func decode(
    _ bytes: [UInt8], name: String = "CSV data", label: Label, options: Options = Options()
  ) throws -> LabelledData {
    let parsed = try parse(bytes, name: name, options: options, label: label)
    guard parsed.columnCount > 1 else {
      throw DataError(
        file: name, place: .wholeFile, expected: "columns beside the label", found: "1 column")
    }
    return LabelledData(
      Tensor(parsed.values, shape: [parsed.rowCount, parsed.columnCount - 1]), Tensor(parsed.labels))
  }

  private static func parse(
    _ bytes: [UInt8], name: String, options: Options, label: Label?
  ) throws -> CSVParser.Result {
    try bytes.withUnsafeBufferPointer { try CSVParser.parse($0, file: name, options: options, label: label) }
  }
}
