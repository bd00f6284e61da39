import Backprop

/// How results are written to standard output.
enum LogFormat: String, CaseIterable, ArgumentValue {
  case plain, json, quiet
}

struct LogOptions: ParameterGroup {
  static let title = "Output"

  @Option(
    "log", "FORMAT",
    "plain is for people, json one JSON object a line, quiet writes nothing but errors.")
  var format = LogFormat.plain
}
