import BackpropTensors

/// 1,797 handwritten digits of 8×8 pixels, carried by the library: a data set that needs no download.
///
/// The test set of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning
/// Repository 1998, https://doi.org/10.24432/C50P49, licensed CC BY 4.0; the same that scikit-learn's `load_digits` gives.
public enum Digits {
  /// Images [1437, 64] and [360, 64] that read as float32 in 0…1 (kept as uint8 in 0...16), labels uint8 in 0...9.
  ///
  /// The first 1,437 rows train and the last 360 test, in the order of the original file, so that the split is the same
  /// everywhere.
  ///
  /// - Parameter shape: one image's shape, such as `[8, 8, 1]` for convolutions.
  /// - Throws: ``DataError`` when `shape` doesn't have 64 elements.
  public static func load(shape: Shape = [64]) throws -> (train: LabelledData, test: LabelledData) {
    let rows = try IDX.decode(PackageResources.digits_idx_gz, name: "the embedded digits")
    let (count, width) = (rows.shape[0], rows.shape[1])
    let shape = try checkedImageShape(shape, pixels: width - 1, of: "Digits")
    var pixels: [UInt8] = []
    var labels: [UInt8] = []
    rows.withUnsafeBytes { bytes in
      // A row is 64 pixels and the digit.
      for start in stride(from: 0, to: count * width, by: width) {
        pixels += bytes[start..<start + width - 1]
        labels.append(bytes[start + width - 1])
      }
    }
    let images = Column(
      Tensor(pixels, shape: Shape([count] + shape.dimensions)), scale: 1 / 16)
    let all = LabelledData(images, Tensor(labels))
    return (all[0..<1437], all[1437..<count])
  }
}

extension LabelledData {
  /// The inputs of a data set of pictures.
  public var images: Column { inputs }
}

/// `shape` if one image of `pixels` pixels fits it.
func checkedImageShape(_ shape: Shape, pixels: Int, of dataSet: String) throws -> Shape {
  var count = 1
  var overflow = false
  for dimension in shape where !overflow {
    (count, overflow) = count.multipliedReportingOverflow(by: dimension)
  }
  guard !overflow, count == pixels, shape.allSatisfy({ $0 > 0 }) else {
    throw DataError(
      file: dataSet, place: .wholeFile, expected: "an image shape of \(pixels) elements", found: "\(shape)")
  }
  return shape
}
