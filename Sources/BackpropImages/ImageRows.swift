import BackpropTensors
import BackpropData

/// Images that are read at once and kept as bytes, for what goes over the rows more than once.
package struct ImageRows {
  package let files: [String]
  /// The class of each; empty where there are none.
  package let labels: [Int]
  package let classNames: [String]

  /// A folder with a folder for each class.
  ///
  /// - Throws: `DataError`.
  package init(classesIn path: String) throws {
    let folder = try ImageFolder(path, .inferred, classNames: nil, followLinks: false)
    (files, labels, classNames) = (folder.files, folder.labels, folder.classNames)
  }

  /// Every image in a folder and the folders in it.
  ///
  /// - Throws: `DataError`.
  package init(imagesIn path: String) throws {
    files = try ImageFolder(path, .none, classNames: nil, followLinks: false).files
    (labels, classNames) = ([], [])
  }

  package init(file: String) { (files, labels, classNames) = ([file], [], []) }

  /// uint8 [files, height, width, channels]; pictures of other sizes are brought to this one and rounded.
  ///
  /// - Throws: `DataError` that names the file.
  package func load(height: Int, width: Int, _ mode: ColorMode) throws -> Tensor {
    let size = ImageSize(height: height, width: width, interpolation: .bilinear, fit: .stretched)
    let count = height * width * mode.channels
    let (total, overflow) = count.multipliedReportingOverflow(by: files.count)
    guard !overflow, total <= Self.mostBytes else {
      throw DataError(
        file: files[0], place: .wholeFile,
        expected:
          "images of at most \(Self.mostBytes / max(1, files.count)) bytes, for there are \(files.count)",
        found: "\(count) bytes each (\(height)x\(width), \(mode))", advice: "choose a smaller size")
    }
    let storage = Storage(byteCount: total)
    let bytes = storage.bytes.bindMemory(to: UInt8.self, capacity: total)
    var numbers = [Float](repeating: 0, count: count)
    for (row, path) in files.enumerated() {
      try ImageFile.withPixels(of: FileSource.bytes(of: path), mode, name: path) { pixels in
        numbers.withUnsafeMutableBufferPointer { size.resize(pixels, into: $0.baseAddress!) }
      }
      for (index, number) in numbers.enumerated() { bytes[row * count + index] = UInt8(number.rounded()) }
    }
    return Tensor(storage, shape: [files.count, height, width, mode.channels], dtype: .uint8)
  }

  /// 8 GiB.
  private static let mostBytes = 1 << 33
}
