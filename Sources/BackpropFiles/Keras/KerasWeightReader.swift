import BackpropData
import BackpropNetworks
import BackpropTensors

/// Puts the numbers of `model.weights.h5` into a model that is built, and into its optimizer.
struct KerasWeightReader {
  let file: HDF5Reader

  /// - Throws: `DataError` naming the group and the layer when a number or a shape differs.
  func read(into layer: Layer, at path: [String] = []) throws {
    let weights = layer.savedWeights
    let group = KerasPaths.variables(of: path).joined(separator: "/")
    let found = count(in: group)
    guard found == weights.count else {
      throw file.failure(
        group, expected: "\(weights.count) variables of layer '\(layer.name)'",
        found: file.groups[group] == nil
          ? "no such group" : "\(found)\(try nameInFile(group, unlike: layer.name))")
    }
    for (index, weight) in weights.enumerated() {
      let place = "\(group)/\(index)"
      guard let dataset = file.datasets[place] else {
        throw file.failure(place, expected: "the weight \(weight.path)", found: "no dataset of this name")
      }
      guard dataset.shape == weight.shape.dimensions else {
        throw file.failure(
          place, expected: "shape \(weight.shape) of \(weight.path)",
          found: "\(dataset.shape)\(try nameInFile(group, unlike: layer.name))")
      }
      weight.variable.store(try file.tensor(at: place).cast(to: weight.dtype))
    }
    for (child, place) in KerasPaths.children(of: layer, at: path) { try read(into: child, at: place) }
  }

  /// Takes over the optimizer's state.
  ///
  /// - Parameter places: the datasets, in order; nil: where `.keras` files have them.
  /// - Returns: why not, where the file's doesn't fit; nothing is changed then but that the slots are there.
  func read(into optimizer: Optimizer, of model: Model, from places: [String]? = nil) throws -> String? {
    let group = KerasPaths.variables(of: KerasPaths.optimizer).joined(separator: "/")
    let found = places?.count ?? count(in: group)
    if found == 0 { return nil }
    // What was compiled but never fitted has a step count and a learning rate at most.
    if found > optimizer.variables.count { optimizer.build(model.trainableWeights) }
    let variables = optimizer.variables
    guard found == variables.count else {
      return "\(group) has \(found) variables where \(optimizer.className) has \(variables.count)"
    }
    var values: [Tensor] = []
    for (index, variable) in variables.enumerated() {
      let place = places?[index] ?? "\(group)/\(index)"
      guard let dataset = file.datasets[place] else { return "\(place) is missing" }
      guard dataset.shape == variable.shape.dimensions else {
        return "\(place) has shape \(dataset.shape) where \(variable.name) has \(variable.shape)"
      }
      values.append(try file.tensor(at: place).cast(to: variable.dtype))
    }
    for (variable, value) in zip(variables, values) { variable.store(value) }
    return nil
  }

  private func count(in group: String) -> Int {
    var count = 0
    while file.datasets["\(group)/\(count)"] != nil { count += 1 }
    return count
  }

  /// Keras since 3.6 notes the layer's name: where it is another one, that is the likelier trouble.
  private func nameInFile(_ group: String, unlike name: String) throws -> String {
    guard let noted = try file.string("name", at: group), noted != name else { return "" }
    return " of a layer '\(noted)'"
  }
}
