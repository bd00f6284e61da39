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
    try IDXPictures(title: "MNIST", name: "mnist").load(shape: shape, from: folder)
  }
}
