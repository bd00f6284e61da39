import BackpropData

/// The forms that a model's weights are written in, by the end of the file's name.
package enum WeightFormat: String, CaseIterable {
  /// As Keras' `save_weights` writes them, with the optimizer's state.
  case keras = ".weights.h5"
  /// `dense.kernel`, `dense.bias`, …
  case safetensors = ".safetensors"
  /// The same names.
  case npz = ".npz"

  /// nil where the name ends otherwise.
  package init?(path: String) {
    guard let format = Self.allCases.first(where: { path.hasSuffix($0.rawValue) }) else { return nil }
    self = format
  }

  static func named(by path: String) throws -> WeightFormat {
    if let format = WeightFormat(path: path) { return format }
    throw DataError(
      file: path, place: .wholeFile,
      expected: "a name that ends in \(allCases.map(\.rawValue).joined(separator: ", "))",
      found: "'\(path.split(separator: "/").last ?? "")'")
  }
}
