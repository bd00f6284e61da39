import BackpropTensors

/// 70,000 pictures of clothes of 28×28 pixels in ten classes (Xiao, Rasul and Vollgraf, 2017), in MNIST's form and harder.
///
/// ```swift
/// let (train, test) = try FashionMNIST.load(shape: [28, 28, 1])
/// train.images.shape                  // [60000, 28, 28, 1]
/// FashionMNIST.classNames[9]          // "ankle boot"
/// ```
///
/// The four IDX files lie in ``DataFolder``'s `fashion-mnist`, raw or as .gz; `scripts/fetch-data fashion-mnist` puts them
/// there.
public enum FashionMNIST {
  /// What the labels 0...9 mean.
  public static let classNames = [
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
  ]

  /// 60,000 rows to train on and 10,000 to test with: pictures as float32 in 0…1, kept as uint8, and uint8 labels.
  ///
  /// - Parameters:
  ///   - shape: one image's shape, such as `[28, 28, 1]` for convolutions.
  ///   - folder: where the four files are; by default `fashion-mnist` in ``DataFolder``.
  /// - Throws: ``DataError`` as ``MNIST/load(shape:from:)`` does.
  public static func load(
    shape: Shape = [784], from folder: String? = nil
  ) throws -> (train: LabelledData, test: LabelledData) {
    try IDXPictures(title: "Fashion-MNIST", name: "fashion-mnist").load(shape: shape, from: folder)
  }
}
