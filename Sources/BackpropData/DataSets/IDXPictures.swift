import BackpropTensors

/// A data set in MNIST's four IDX files: pictures of 28×28 pixels in ten classes, to train on and to test with.
struct IDXPictures {
  /// What messages call it.
  let title: String
  /// Its name for `scripts/fetch-data`, and its folder's within ``DataFolder``.
  let name: String

  func load(shape: Shape, from folder: String?) throws -> (train: LabelledData, test: LabelledData) {
    let shape = try checkedImageShape(shape, pixels: 784, of: title)
    let folder = folder ?? "\(DataFolder.path)/\(name)"
    return (
      try part("train", shape: shape, folder: folder), try part("t10k", shape: shape, folder: folder)
    )
  }

  private func part(_ name: String, shape: Shape, folder: String) throws -> LabelledData {
    let imagesPath = try find("\(name)-images-idx3-ubyte", in: folder)
    let labelsPath = try find("\(name)-labels-idx1-ubyte", in: folder)
    let images = try IDX.load(imagesPath)
    try check(images, at: imagesPath, dimensions: [nil, 28, 28])
    let labels = try IDX.load(labelsPath)
    try check(labels, at: labelsPath, dimensions: [images.shape[0]])
    let wrong = labels.withUnsafeBytes { bytes in
      bytes.firstIndex { $0 > 9 }.map { (row: $0, label: bytes[$0]) }
    }
    if let wrong {
      throw DataError(
        file: labelsPath, place: .offset(8 + wrong.row), expected: "labels in 0...9",
        found: "\(wrong.label) for row \(wrong.row)")
    }
    let pixels = Column(images, scale: 1 / 255).reshapingSamples(to: shape)
    return LabelledData(pixels, labels)
  }

  private func find(_ file: String, in folder: String) throws -> String {
    let candidates = ["\(folder)/\(file)", "\(folder)/\(file).gz"]
    if let path = candidates.first(where: DataFolder.contains) { return path }
    throw DataError(
      file: candidates[0], place: .wholeFile, expected: "\(title)'s file, raw or .gz", found: "neither",
      advice:
        "fetch it with: scripts/fetch-data \(name) (in Backprop's repository), or set BACKPROP_DATA to the folder "
        + "whose \(name)/ holds it")
  }

  /// `nil` stands for any size.
  private func check(_ tensor: Tensor, at path: String, dimensions: [Int?]) throws {
    let fits =
      tensor.rank == dimensions.count && zip(tensor.shape, dimensions).allSatisfy { $1 == nil || $0 == $1 }
    guard fits, tensor.dtype == .uint8 else {
      let wanted = dimensions.map { $0.map(String.init) ?? "n" }.joined(separator: ", ")
      throw DataError(
        file: path, place: .offset(0), expected: "uint8[\(wanted)]", found: "\(tensor.type)")
    }
  }
}
