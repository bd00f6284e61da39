import BackpropNetworks
import Foundation

/// A path with names in braces for which numbers are put in: `{epoch:03d}-{val_loss:.2f}.keras`.
struct PathTemplate {
  let text: String

  init(_ text: String) { self.text = text }

  /// Without the file's name.
  var folder: Substring { text[..<(text.lastIndex(of: "/") ?? text.startIndex)] }

  /// - Parameter epoch: from 0; the path counts from 1, as Keras does.
  /// - Throws: ``ModelError`` for names that the logs don't have and formats that aren't known.
  func filled(_ logs: Logs, epoch: Int, batch: Int?) throws -> String {
    var result = ""
    var rest = text[...]
    while let open = rest.firstIndex(of: "{") {
      result += rest[..<open]
      guard let close = rest[open...].firstIndex(of: "}") else {
        throw ModelError(.argument, "'\(text)': expected '}' after '\(rest[open...])'")
      }
      let field = rest[rest.index(after: open)..<close]
      let parts = field.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      result += try value(String(parts[0]), parts.count > 1 ? String(parts[1]) : "", logs, epoch, batch)
      rest = rest[rest.index(after: close)...]
    }
    return result + rest
  }

  private func value(_ name: String, _ format: String, _ logs: Logs, _ epoch: Int, _ batch: Int?) throws
    -> String
  {
    let integer: Int? = name == "epoch" ? epoch + 1 : name == "batch" ? batch.map { $0 + 1 } : nil
    if let integer {
      if format.isEmpty || format == "d" { return String(integer) }
      // 3d, 03d
      guard format.wholeMatch(of: /0?[0-9]{1,2}d/) != nil else { throw unknown(format, name, "as 03d") }
      return String(format: "%\(format)", integer)
    }
    guard let number = logs[name] else {
      let names = (["epoch", "batch"] + logs.names).joined(separator: ", ")
      throw ModelError(.argument, "'\(text)': there is no '\(name)' among \(names)")
    }
    if format.isEmpty { return "\(number)" }
    // .4f, 8.3f, .2e, .3g
    guard format.wholeMatch(of: /0?[0-9]{0,2}(\.[0-9]{1,2})?[feg]/) != nil else {
      throw unknown(format, name, "as .4f")
    }
    return String(format: "%\(format)", number)
  }

  private func unknown(_ format: String, _ name: String, _ example: String) -> ModelError {
    ModelError(.argument, "'\(text)': unknown format '\(format)' of '\(name)'; expected one \(example)")
  }
}
