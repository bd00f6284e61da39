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
}
