import BackpropTensors

/// 70,000 handwritten digits of 28×28 pixels (LeCun, Cortes and Burges).
///
/// ```swift
/// let (train, test) = try MNIST.load()
/// train.images.shape    // [60000, 784]
/// train.images.dtype    // float32, in 0…1; kept as uint8
/// train.labels.dtype    // uint8, in 0...9
/// ```
///
/// The four IDX files lie in ``DataFolder``'s `mnist`, raw or as .gz; `scripts/fetch-data mnist` puts them there.
public enum MNIST {
  /// 60,000 rows to train on and 10,000 to test with.
  ///
  /// - Parameters:
  ///   - shape: one image's shape, such as `[28, 28, 1]` for convolutions.
  ///   - folder: where the four files are; by default `mnist` in ``DataFolder``.
  /// - Throws: ``DataError`` when a file is missing, isn't IDX, is cut short, or holds something else than images of
  ///   28×28 and labels in 0...9, one for each image; also when `shape` doesn't have 784 elements.
  public static func load(
    shape: Shape = [784], from folder: String? = nil
  ) throws -> (train: LabelledData, test: LabelledData) {
    let shape = try checkedImageShape(shape, pixels: 784, of: "MNIST")
    let folder = folder ?? DataFolder.path + "/mnist"
    return (
      try part("train", shape: shape, folder: folder), try part("t10k", shape: shape, folder: folder)
    )
  }

  private static func part(_ name: String, shape: Shape, folder: String) throws -> LabelledData {
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

  private static func find(_ name: String, in folder: String) throws -> String {
    let candidates = ["\(folder)/\(name)", "\(folder)/\(name).gz"]
    if let path = candidates.first(where: DataFolder.contains) { return path }
    throw DataError(
      file: candidates[0], place: .wholeFile, expected: "MNIST's file, raw or .gz", found: "neither",
      advice:
        "fetch it with: scripts/fetch-data mnist (in Backprop's repository), or set BACKPROP_DATA to the folder "
        + "whose mnist/ holds it")
  }

  /// `nil` stands for any size.
  private static func check(_ tensor: Tensor, at path: String, dimensions: [Int?]) throws {
    let fits =
      tensor.rank == dimensions.count && zip(tensor.shape, dimensions).allSatisfy { $1 == nil || $0 == $1 }
    guard fits, tensor.dtype == .uint8 else {
      let wanted = dimensions.map { $0.map(String.init) ?? "n" }.joined(separator: ", ")
      throw DataError(
        file: path, place: .offset(0), expected: "uint8[\(wanted)]", found: "\(tensor.type)")
    }
  }
}
