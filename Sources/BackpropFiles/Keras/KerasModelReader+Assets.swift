import BackpropNetworks
import BackpropTensors

extension KerasModelReader {
  /// Keras writes what an `IntegerLookup` was adapted to beside the configuration: a number a line, those that stand for
  /// the mask and for unknown values first; and the weights of tf-idf, of these as well, among the layer's variables.
  func addVocabulary(
    _ text: ByteRegion, _ object: KerasConfigObject, at place: [String],
    to config: inout [String: ConfigValue]
  ) throws {
    let bytes = try text.bytes(at: 0, count: text.count)
    let isMasked = config["mask_token"] ?? .null != .null && config["output_mode"] ?? "int" == "int"
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    let unknown = config["num_oov_indices"]?.int ?? 1
    let special = min(max(0, unknown), lines.count) + (isMasked ? 1 : 0)
    config["vocabulary"] = .array(
      try lines.dropFirst(special).map { line in
        guard let number = Int(line) else {
          throw object.failure("a vocabulary of whole numbers", "'\(line.prefix(40))'")
        }
        return .integer(number)
      })
    let weights = (KerasPaths.variables(of: place) + ["idf_weights"]).joined(separator: "/")
    guard config["output_mode"] == "tf_idf", let file = weightsFile, file.datasets[weights] != nil else {
      return
    }
    config["idf_weights"] = .array(
      try file.tensor(at: weights).doubles.dropFirst(special).map { .number($0) })
  }
}
