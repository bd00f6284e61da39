import BackpropData
import BackpropNetworks
import BackpropTensors

extension Model {
  /// Writes the weights alone: as Keras' `save_weights` does where `path` ends in `.weights.h5` (with the optimizer's
  /// state), by name where it ends in `.safetensors` or `.npz`.
  ///
  /// ```swift
  /// try model.saveWeights("mnist.safetensors")      // dense.kernel, dense.bias, dense_1.kernel, …
  /// ```
  ///
  /// - Throws: `ModelError` when there are no weights yet; `DataError` with the path when the name ends otherwise or the
  ///   file can't be written.
  public func saveWeights(_ path: String) throws {
    let format = try WeightFormat.named(by: path)
    guard isBuilt else {
      throw ModelError(
        .order, at: self.path, "has no weights yet; call build(sampleShape:) or fit before saveWeights")
    }
    // One state of the model, not a mixture of two steps of training.
    switch format {
    case .keras:
      let writer = KerasModelWriter(file: path)
      let group = Engine.exclusively { writer.weights(of: self) }
      try FilePiece.write(HDF5Writer.pieces(group), to: path)
    case .safetensors: try Safetensors.save(namedTensors(), to: path)
    case .npz: try NPZ.save(namedTensors(), to: path)
    }
  }

  /// Reads weights that ``saveWeights(_:)``, Keras or another program wrote; the model must be built. Nothing is changed
  /// unless every weight is there with its shape.
  ///
  /// - Throws: `DataError` naming the file and the tensor where one is missing, of another shape, or nobody's.
  public func loadWeights(_ path: String) throws {
    let format = try WeightFormat.named(by: path)
    guard isBuilt else {
      throw ModelError(
        .order, at: self.path, "has no weights yet; call build(sampleShape:) before loadWeights")
    }
    switch format {
    case .keras:
      let reader = KerasWeightReader(file: try HDF5Reader(ByteRegion(path: path)))
      try Engine.exclusively {
        let before = getWeights()
        do {
          try reader.read(into: self)
        } catch {
          try setWeights(before)
          throw error
        }
        // The optimizer's state comes along where it fits; Keras' weights come with and without it.
        if let optimizer { _ = try reader.read(into: optimizer, of: self) }
      }
    case .safetensors: try assign(try Safetensors.load(path), from: path)
    case .npz: try assign(try NPZ.load(path), from: path)
    }
  }

  private func namedTensors() -> [String: Tensor] {
    Engine.exclusively {
      Dictionary(uniqueKeysWithValues: namedWeights.map { ($0.name, $0.weight.variable.stored) })
    }
  }

  private func assign(_ tensors: [String: Tensor], from path: String) throws {
    var values: [(Weight, Tensor)] = []
    var rest = tensors
    for (name, weight) in namedWeights {
      guard let value = rest.removeValue(forKey: name) else {
        let near = nearestName(to: name, among: Array(tensors.keys))
        throw DataError(
          file: path, place: .part(name), expected: "the weight \(weight.path) of shape \(weight.shape)",
          found: "no tensor of this name", advice: near.map { "there is '\($0)'" })
      }
      guard value.shape == weight.shape else {
        throw DataError(
          file: path, place: .part(name), expected: "shape \(weight.shape) of \(weight.path)",
          found: "\(value.shape)")
      }
      values.append((weight, value))
    }
    if let (name, value) = rest.min(by: { $0.key < $1.key }) {
      throw DataError(
        file: path, place: .part(name), expected: "weights of the model alone (\(values.count))",
        found: "\(rest.count) more, such as this one of shape \(value.shape)")
    }
    Engine.exclusively {
      for (weight, value) in values { weight.variable.store(value.cast(to: weight.dtype)) }
    }
  }
}
