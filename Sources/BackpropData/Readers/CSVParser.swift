/// Takes a CSV file apart: bytes in, float32 numbers out, in one pass and without a `String` for each field.
///
/// RFC 4180: fields may stand in double quotes, a quote inside them is doubled, and may then hold delimiters and line
/// breaks. Lines end in LF, CRLF or CR; empty ones don't count; a byte-order mark is skipped.
struct CSVParser {
  struct Result: Equatable {
    /// The header's fields; empty where there is none.
    var names: [String]
    var columnCount: Int
    var rowCount: Int
    /// [rowCount, columnCount], or without the label column if there is one.
    var values: [Float]
    var labels: [Float]
  }

  private let file: String
  private let bytes: UnsafeBufferPointer<UInt8>
  private let delimiter: UInt8
  private var position = 0
  /// Counts from 1.
  private var line = 1

  private enum Ending { case delimiter, row }
  private struct Field {
    /// Without the quotes around it; quotes inside are still doubled.
    var text: UnsafeBufferPointer<UInt8>
    var isQuoted = false
    var ending: Ending

    var string: String {
      let string = String(decoding: text, as: UTF8.self)
      return isQuoted
        ? string.split(separator: "\"\"", omittingEmptySubsequences: false).joined(separator: "\"") : string
    }
  }

  /// - Throws: `DataError` for a ragged row, a field that isn't a number, an unknown label column, or no rows.
  static func parse(
    _ bytes: UnsafeBufferPointer<UInt8>, file: String, options: CSV.Options, label: CSV.Label?
  ) throws -> Result {
    guard let delimiter = options.delimiter.asciiValue, !"\"\r\n".utf8.contains(delimiter) else {
      throw DataError(
        file: file, place: .wholeFile,
        expected: "a delimiter that is one ASCII character other than a quote or line break",
        found: "'\(options.delimiter)'")
    }
    var parser = CSVParser(file: file, bytes: bytes, delimiter: delimiter)
    return try parser.parse(header: options.header, label: label)
  }

  private init(file: String, bytes: UnsafeBufferPointer<UInt8>, delimiter: UInt8) {
    self.file = file
    self.bytes = bytes
    self.delimiter = delimiter
  }

  private mutating func parse(header: CSV.Header, label: CSV.Label?) throws -> Result {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    skipEmptyLines()
    guard position < bytes.count else {
      throw DataError(file: file, place: .wholeFile, expected: "rows of numbers", found: "an empty file")
    }

    // The first row says how many fields there are, and whether it is a header.
    let start = (position, line)
    let firstLine = line
    var names: [String] = []
    var looksLikeHeader = false
    repeat {
      let field = try nextField(column: names.count + 1)
      names.append(field.string)
      looksLikeHeader = looksLikeHeader || decimal(field.text) == nil
      if field.ending == .row { break }
    } while true
    let columnCount = names.count
    let hasHeader = header == .present || (header == .automatic && looksLikeHeader)
    if !hasHeader {
      (position, line) = start
      names = []
    }
    let labelColumn = try label.map { try index(of: $0, names: names, columnCount: columnCount) } ?? -1

    var result = Result(names: names, columnCount: columnCount, rowCount: 0, values: [], labels: [])
    skipEmptyLines()
    result.values.reserveCapacity(expectedFieldCount(columnCount: columnCount))

    while position < bytes.count {
      let rowLine = line
      var column = 0
      var ending = Ending.delimiter
      while ending == .delimiter {
        let fieldLine = line
        let field = try nextField(column: column + 1)
        ending = field.ending
        guard column < columnCount else {
          var found = column + 1
          while ending == .delimiter {
            found += 1
            ending = try nextField(column: found).ending
          }
          throw ragged(line: rowLine, expected: columnCount, found: found, asIn: firstLine)
        }
        guard let value = decimal(field.text) else {
          throw badNumber(
            field.text, line: fieldLine, column: column, of: columnCount, names: names,
            isLabel: column == labelColumn)
        }
        if column == labelColumn {
          result.labels.append(Float(value))
        } else {
          result.values.append(Float(value))
        }
        column += 1
      }
      guard column == columnCount else {
        throw ragged(line: rowLine, expected: columnCount, found: column, asIn: firstLine)
      }
      result.rowCount += 1
      skipEmptyLines()
    }
    guard result.rowCount > 0 else {
      throw DataError(
        file: file, place: .line(firstLine), expected: "rows of numbers after the header",
        found: "the end of the file")
    }
    return result
  }

  // MARK: Fields

  private mutating func skipEmptyLines() {
    while position < bytes.count, bytes[position] == 0x0A || bytes[position] == 0x0D { skipLineBreak() }
  }

  private mutating func skipLineBreak() {
    let isPair = bytes[position] == 0x0D && position + 1 < bytes.count && bytes[position + 1] == 0x0A
    position += isPair ? 2 : 1
    line += 1
  }

  /// Steps over one field and what ends it. `column` counts from 1.
  @inline(__always)
  private mutating func nextField(column: Int) throws -> Field {
    if position < bytes.count, bytes[position] == 0x22 { return try nextQuotedField(column: column) }
    let start = position
    while position < bytes.count {
      let byte = bytes[position]
      if byte == delimiter || byte == 0x0A || byte == 0x0D { break }
      position += 1
    }
    let text = UnsafeBufferPointer(rebasing: bytes[start..<position])
    return Field(text: text, ending: endField())
  }

  /// At a delimiter, a line break or the end: steps over it and says which.
  @inline(__always)
  private mutating func endField() -> Ending {
    guard position < bytes.count else { return .row }
    if bytes[position] == delimiter {
      position += 1
      return .delimiter
    }
    skipLineBreak()
    return .row
  }

  private mutating func nextQuotedField(column: Int) throws -> Field {
    let openingLine = line
    position += 1
    let start = position
    while true {
      guard position < bytes.count else {
        throw DataError(
          file: file, place: .field(line: openingLine, column: column), expected: "a closing quote",
          found: "the end of the file")
      }
      switch bytes[position] {
      case 0x22 where position + 1 < bytes.count && bytes[position + 1] == 0x22: position += 2
      case 0x22:
        let text = UnsafeBufferPointer(rebasing: bytes[start..<position])
        position += 1
        if position < bytes.count, ![delimiter, 0x0A, 0x0D].contains(bytes[position]) {
          throw DataError(
            file: file, place: .field(line: line, column: column),
            expected: "a delimiter after the closing quote",
            found: excerpt(bytes[position...position]))
        }
        return Field(text: text, isQuoted: true, ending: endField())
      case 0x0A, 0x0D: skipLineBreak()
      default: position += 1
      }
    }
  }

  /// A guess from the length of the next row, and never more than the rest can hold: a field takes two bytes at least.
  private func expectedFieldCount(columnCount: Int) -> Int {
    let rest = bytes.count - position
    let rowLength =
      bytes[position...].firstIndex { $0 == 0x0A || $0 == 0x0D }.map { $0 - position + 1 } ?? rest
    let guess = Double(rest) / Double(max(rowLength, 1)) * Double(columnCount)
    return Int(min(guess * 1.02, Double(rest / 2)) + 1)
  }

  // MARK: What goes wrong

  private func ragged(line: Int, expected: Int, found: Int, asIn firstLine: Int) -> DataError {
    DataError(
      file: file, place: .line(line), expected: "\(fields(expected)) as in line \(firstLine)",
      found: "\(found)")
  }

  private func fields(_ count: Int) -> String { count == 1 ? "1 field" : "\(count) fields" }

  private func badNumber(
    _ text: UnsafeBufferPointer<UInt8>, line: Int, column: Int, of columnCount: Int, names: [String],
    isLabel: Bool
  ) -> DataError {
    let isWord = text.first.map { $0 | 0x20 >= 0x61 } == true
    var advice = isLabel && isWord ? "number the classes from 0" : nil
    // One column that holds another delimiter: most likely the file is separated by that.
    let others: [(byte: UInt8, spelled: String)] = [(0x3B, ";"), (0x09, "\\t"), (0x2C, ",")]
    if columnCount == 1, let other = others.first(where: { $0.byte != delimiter && text.contains($0.byte) }) {
      advice = "try delimiter \"\(other.spelled)\""
    }
    let name = column < names.count ? " for \(excerpt(names[column].utf8))" : ""
    return DataError(
      file: file, place: .field(line: line, column: column + 1), expected: "a number" + name,
      found: text.isEmpty ? "nothing" : excerpt(text), advice: advice)
  }

  private func index(of label: CSV.Label, names: [String], columnCount: Int) throws -> Int {
    switch label {
    case .first: return 0
    case .last: return columnCount - 1
    case .index(let index):
      guard (0..<columnCount).contains(index) else {
        throw DataError(
          file: file, place: .wholeFile, expected: "a label column in 0..<\(columnCount)", found: "\(index)")
      }
      return index
    case .named(let name):
      guard let index = names.firstIndex(of: name) else {
        let found = names.isEmpty ? "no header" : names.prefix(20).joined(separator: ", ")
        throw DataError(
          file: file, place: .wholeFile, expected: "a label column named '\(name)'",
          found: found + (names.count > 20 ? ", …" : ""))
      }
      return index
    }
  }
}
