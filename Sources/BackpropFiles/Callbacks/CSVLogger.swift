import BackpropNetworks
import Foundation

/// Writes the numbers of each epoch as a line of a CSV file. Keras' `CSVLogger`: `epoch` from 0, then the logs in
/// alphabetical order, `NA` where an epoch hasn't one.
public final class CSVLogger: Callback, @unchecked Sendable {
  private let log: LineLog
  private let separator: String
  private let append: Bool
  private var columns: [String]?

  /// - Parameter append: go on with a file that is there instead of beginning anew; a resumed run goes on in any case.
  public init(_ path: String, separator: Character = ",", append: Bool = false) {
    log = LineLog(path)
    self.separator = String(separator)
    self.append = append
  }

  public override var observesBatches: Bool { false }

  public override func onTrainBegin() throws {
    columns = nil
    try log.open { lines in
      guard append || parameters.resumedFrom != nil, let header = lines.first else { return [] }
      columns = header.components(separatedBy: separator).dropFirst().map { $0 }
      guard let resumed = parameters.resumedFrom else { return lines }
      return [header]
        + lines.dropFirst().filter { line in
          line.components(separatedBy: separator).first.flatMap { Int($0) }.map { $0 < resumed.epoch }
            ?? false
        }
    }
  }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {
    if columns == nil {
      let names = logs.names.sorted()
      columns = names
      try log.write((["epoch"] + names).joined(separator: separator))
    }
    let values = (columns ?? []).map { name in logs[name].map { "\($0)" } ?? "NA" }
    try log.write(([String(epoch)] + values).joined(separator: separator))
  }

  public override func onTrainEnd(_ logs: Logs) throws { try log.close() }
}

/// Writes the numbers of each epoch as a line of JSON: `{"epoch": 0, "loss": 0.5, …}`.
public final class JSONLogger: Callback, @unchecked Sendable {
  private let log: LineLog
  private let path: String
  private let append: Bool

  /// - Parameter append: go on with a file that is there instead of beginning anew; a resumed run goes on in any case.
  public init(_ path: String, append: Bool = false) {
    log = LineLog(path)
    self.path = path
    self.append = append
  }

  public override var observesBatches: Bool { false }

  public override func onTrainBegin() throws {
    try log.open { lines in
      guard let resumed = parameters.resumedFrom else { return append ? lines : [] }
      return lines.filter { line in
        guard case .object(let fields)? = try? JSONParser.parse(Array(line.utf8), name: path),
          let epoch = fields["epoch"]?.int
        else { return false }
        return epoch < resumed.epoch
      }
    }
  }

  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {
    var members = [#""epoch": \#(epoch)"#]
    for (name, value) in logs {
      let key = String(decoding: JSONWriter.write(.string(name)), as: UTF8.self)
      // JSON has no word for NaN and infinity.
      members.append("\(key): \(value.isFinite ? "\(value)" : "null")")
    }
    try log.write("{" + members.joined(separator: ", ") + "}")
  }

  public override func onTrainEnd(_ logs: Logs) throws { try log.close() }
}
