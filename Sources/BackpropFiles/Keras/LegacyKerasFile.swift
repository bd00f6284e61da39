import BackpropData
import BackpropNetworks
import BackpropTensors

/// A whole model in one HDF5 file, as Keras 2 and Keras 3's `save("….h5")` write it: the configuration stands in
/// attributes, weights below the names of their layers. Only read here.
struct LegacyKerasFile {
  static let config = "model_config"
  private static let training = "training_config"
  private static let weights = "model_weights"
  private static let optimizerWeights = "optimizer_weights"

  private let file: HDF5Reader

  init(_ region: ByteRegion) throws { file = try HDF5Reader(region) }

  /// - Throws: `DataError` naming the file and the place in it.
  func model(seed: Int) throws -> (model: Model, warnings: [String]) {
    guard let text = try file.string(Self.config, at: "") else {
      throw file.failure(
        "", expected: "the attribute '\(Self.config)' of a whole model", found: "none",
        advice: "weights alone are read by loadWeights(_:) of a model that is built")
    }
    let config = try JSONParser.parse(Array(text.utf8), name: "\(file.region.name): \(Self.config)")
    var reader = KerasModelReader(file: file.region.name)
    let model = try reader.model(config: config, legacy: file, seed: seed) { try read(into: $0) }
    try compile(model, &reader)
    return (model, reader.warnings)
  }

  private func read(into model: Model) throws {
    for layer in model.layers {
      let weights = layer.trainableWeights + layer.nonTrainableWeights
      let group = "\(Self.weights)/\(layer.name)"
      guard file.groups[group] != nil || weights.isEmpty else {
        throw file.failure(group, expected: "the weights of layer '\(layer.name)'", found: "no such group")
      }
      let places = try names("weight_names", at: group).map { "\(group)/\($0)" }
      guard places.count == weights.count else {
        throw file.failure(
          group, expected: "\(weights.count) weights of layer '\(layer.name)'", found: "\(places.count)")
      }
      for (weight, place) in zip(weights, places) {
        guard let dataset = file.datasets[place] else {
          throw file.failure(place, expected: "the weight \(weight.path)", found: "no dataset of this name")
        }
        guard dataset.shape == weight.shape.dimensions else {
          throw file.failure(
            place, expected: "shape \(weight.shape) of \(weight.path)", found: "\(dataset.shape)")
        }
        weight.variable.store(try file.tensor(at: place).cast(to: weight.dtype))
      }
    }
  }

  private func compile(_ model: Model, _ reader: inout KerasModelReader) throws {
    guard let text = try file.string(Self.training, at: "") else { return }
    let name = "\(file.region.name): \(Self.training)"
    guard case .object(var config) = try JSONParser.parse(Array(text.utf8), name: name) else { return }
    if case .object(var optimizer)? = config.removeValue(forKey: "optimizer_config") {
      // Keras 2 had learning rates that shrink by themselves.
      if case .object(var settings)? = optimizer["config"] {
        if settings["decay"] == 0 { settings["decay"] = nil }
        optimizer["config"] = .object(settings)
      }
      config["optimizer"] = .object(optimizer)
    }
    let places = try names("weight_names", at: Self.optimizerWeights).map { "\(Self.optimizerWeights)/\($0)" }
    try reader.compile(model, config, KerasWeightReader(file: file), optimizer: places)
  }

  /// A list of texts, which Keras cuts into several attributes where it is long: `weight_names0`, `weight_names1`, …
  private func names(_ attribute: String, at group: String) throws -> [String] {
    if let names = try file.strings(attribute, at: group) { return names }
    var result: [String] = []
    for part in 0... {
      guard let names = try file.strings("\(attribute)\(part)", at: group) else { break }
      result += names
    }
    return result
  }
}
