import Backprop

/// How results are written to standard output.
enum LogFormat: String, CaseIterable, ArgumentValue {
  case plain, json, quiet
}

struct LogOptions: ParameterGroup {
  static let title = "Output"

  @Option(
    "log", "FORMAT",
    "how results are written: plain for people, json as one JSON object a line, quiet not at all.")
  var format = LogFormat.plain
}
