import BackpropData
import BackpropTensors

/// How labels are given to the loss.
public enum LabelMode: String, CaseIterable, Sendable {
  /// int32 [rows]: class numbers, for sparse categorical cross-entropy.
  case int
  /// float32 [rows, classes]: 1 at the class, for categorical cross-entropy.
  case categorical
  /// float32 [rows, 1]: 0 or 1, of exactly two classes, for binary cross-entropy.
  case binary
}

/// Which part of a folder that is divided by `validationSplit`.
public enum ImageSubset: String, CaseIterable, Sendable {
  case training, validation
}

/// Images that are read from files batch by batch.
public struct ImageDataset: Sendable {
  /// Images as float32 [rows, height, width, channels] in 0...255, with labels, for `fit`, `evaluate` and `predict`.
  /// Decoded ahead, on a thread of its own.
  public let batches: Dataset
  /// The names of the classes, by number.
  public let classNames: [String]
  /// The files, in the order of an epoch that isn't shuffled.
  public let filePaths: [String]
  /// The class of each file; empty where there are no labels.
  public let labels: [Int]
}

/// The images of a folder that has a folder for each class, as Keras' `image_dataset_from_directory`.
///
/// ```swift
/// import Backprop
/// import BackpropImages
///
/// let train = try imageDataset(
///   fromDirectory: "flowers", imageSize: (180, 180), validationSplit: 0.2, subset: .training)
/// let validation = try imageDataset(
///   fromDirectory: "flowers", imageSize: (180, 180), validationSplit: 0.2, subset: .validation)
/// try model.fit(train.batches, epochs: 5, validationData: validation.batches)
/// train.classNames     // ["daisy", "dandelion", …]
/// ```
///
/// PNG and JPEG files are taken, whatever folder of the class they lie in; other files are passed over, but GIF and BMP
/// files, which Keras reads, are refused. The same seed divides a folder into the same parts as Keras does; the order
/// in which an epoch takes the files is a function of seed and epoch, so that a resumed run is the same run, and not
/// that of Keras.
///
/// - Parameters:
///   - labels: `.inferred` from the names of the folders, given, or none.
///   - classNames: which folders to take, in the order of the classes; by default all, by name. Folders whose names
///     begin with a dot aren't classes.
///   - imageSize: height and width that every image is brought to.
///   - shuffle: false leaves the files sorted, in every epoch.
///   - seed: of the order, and of what is kept for validation.
///   - validationSplit: the share of the files, from the end of the (shuffled) list, that is kept for validation;
///     `subset` says which part is wanted. Both or neither.
///   - cropToAspectRatio: take the largest part in the middle that has `imageSize`'s proportions, instead of
///     distorting.
///   - padToAspectRatio: take the whole image, with zeros around.
/// - Throws: ``DataError`` that names the folder or file. Files are read while training runs: `fit` throws what is
///   wrong with one.
public func imageDataset(
  fromDirectory directory: String, labels: ImageLabels = .inferred, labelMode: LabelMode = .int,
  classNames: [String]? = nil, colorMode: ColorMode = .rgb, batchSize: Int = 32,
  imageSize: (height: Int, width: Int) = (256, 256), shuffle: Bool = true, seed: Int = 0,
  validationSplit: Double? = nil, subset: ImageSubset? = nil, interpolation: ImageInterpolation = .bilinear,
  followLinks: Bool = false, cropToAspectRatio: Bool = false, padToAspectRatio: Bool = false,
  file: StaticString = #fileID, line: UInt = #line
) throws -> ImageDataset {
  let options = ImageDatasetOptions(
    labels: labels, labelMode: labelMode, classNames: classNames, colorMode: colorMode, batchSize: batchSize,
    imageSize: imageSize, shuffle: shuffle, seed: seed, validationSplit: validationSplit,
    interpolation: interpolation, followLinks: followLinks, cropToAspectRatio: cropToAspectRatio,
    padToAspectRatio: padToAspectRatio)
  options.check(file, line)
  require(
    (validationSplit == nil) == (subset == nil),
    "imageDataset: validationSplit and subset go together; give both or neither", file: file, line: line)
  let folder = try options.folder(directory)
  return options.dataset(try subset.map { try options.part($0, of: folder, directory) } ?? folder, shuffle)
}

/// Both parts of a folder that is divided, as Keras' `image_dataset_from_directory` of the subset "both": the images for
/// validation come in the same order in every epoch.
///
/// ```swift
/// let (train, validation) = try imageDatasets(
///   fromDirectory: "flowers", imageSize: (180, 180), validationSplit: 0.2)
/// try model.fit(train.batches, epochs: 5, validationData: validation.batches)
/// ```
///
/// The parameters are those of ``imageDataset(fromDirectory:labels:labelMode:classNames:colorMode:batchSize:imageSize:shuffle:seed:validationSplit:subset:interpolation:followLinks:cropToAspectRatio:padToAspectRatio:file:line:)``.
///
/// - Throws: ``DataError`` that names the folder or file.
public func imageDatasets(
  fromDirectory directory: String, labels: ImageLabels = .inferred, labelMode: LabelMode = .int,
  classNames: [String]? = nil, colorMode: ColorMode = .rgb, batchSize: Int = 32,
  imageSize: (height: Int, width: Int) = (256, 256), shuffle: Bool = true, seed: Int = 0,
  validationSplit: Double, interpolation: ImageInterpolation = .bilinear,
  followLinks: Bool = false, cropToAspectRatio: Bool = false, padToAspectRatio: Bool = false,
  file: StaticString = #fileID, line: UInt = #line
) throws -> (training: ImageDataset, validation: ImageDataset) {
  let options = ImageDatasetOptions(
    labels: labels, labelMode: labelMode, classNames: classNames, colorMode: colorMode, batchSize: batchSize,
    imageSize: imageSize, shuffle: shuffle, seed: seed, validationSplit: validationSplit,
    interpolation: interpolation, followLinks: followLinks, cropToAspectRatio: cropToAspectRatio,
    padToAspectRatio: padToAspectRatio)
  options.check(file, line)
  let folder = try options.folder(directory)
  return (
    options.dataset(try options.part(.training, of: folder, directory), shuffle),
    options.dataset(try options.part(.validation, of: folder, directory), false)
  )
}

private struct ImageDatasetOptions {
  let labels: ImageLabels
  let labelMode: LabelMode
  let classNames: [String]?
  let colorMode: ColorMode
  let batchSize: Int
  let imageSize: (height: Int, width: Int)
  let shuffle: Bool
  let seed: Int
  let validationSplit: Double?
  let interpolation: ImageInterpolation
  let followLinks: Bool
  let cropToAspectRatio: Bool
  let padToAspectRatio: Bool

  func check(_ file: StaticString, _ line: UInt) {
    func check(_ condition: Bool, _ words: @autoclosure () -> String) {
      require(condition, "imageDataset: \(words())", file: file, line: line)
    }
    check(batchSize > 0, "the batch size must be positive, got \(batchSize)")
    let sides = 1...(1 << 15)
    check(
      sides.contains(imageSize.height) && sides.contains(imageSize.width),
      "height and width must be in \(sides), got \(imageSize)")
    check(
      validationSplit.map { 0 < $0 && $0 < 1 } ?? true,
      "validationSplit must be between 0 and 1, got \(validationSplit ?? 0)")
    check(!(cropToAspectRatio && padToAspectRatio), "either crop or pad to the aspect ratio, not both")
  }

  func folder(_ directory: String) throws -> ImageFolder {
    var folder = try ImageFolder(directory, labels, classNames: classNames, followLinks: followLinks)
    if labelMode == .binary, !folder.labels.isEmpty, folder.classNames.count != 2 {
      throw DataError(
        file: directory, place: .wholeFile, expected: "two classes for binary labels",
        found: "\(folder.classNames.count): \(folder.classNames.joined(separator: ", "))")
    }
    if shuffle { folder.shuffle(seed: seed) }
    return folder
  }

  func part(_ subset: ImageSubset, of whole: ImageFolder, _ directory: String) throws -> ImageFolder {
    let total = whole.files.count
    let validationCount = Int((validationSplit ?? 0) * Double(total))
    let range = subset == .training ? 0..<(total - validationCount) : (total - validationCount)..<total
    guard validationCount > 0, !range.isEmpty else {
      throw DataError(
        file: directory, place: .wholeFile, expected: "images for both parts",
        found: "\(total), of which \(validationCount) are for validation")
    }
    var folder = whole
    folder.keep(range)
    return folder
  }

  func dataset(_ folder: ImageFolder, _ shuffles: Bool) -> ImageDataset {
    let size = ImageSize(
      height: imageSize.height, width: imageSize.width, interpolation: interpolation,
      fit: cropToAspectRatio ? .cropped : padToAspectRatio ? .padded : .stretched)
    let reader = ImageBatchReader(folder: folder, size: size, colorMode: colorMode, labelMode: labelMode)
    let order = RowOrder(count: folder.files.count, seed: shuffles ? seed : nil)
    let batchSize = batchSize
    let batchCount = (order.count + batchSize - 1) / batchSize
    let batches = Dataset(batchCount: batchCount) { epoch in
      let rows = order.rows(epoch: epoch)
      var begin = 0
      return Dataset.Batches {
        guard begin < rows.count else { return nil }
        defer { begin += batchSize }
        return try reader.batch(rows[begin..<min(begin + batchSize, rows.count)])
      }
    }
    return ImageDataset(
      batches: batches.prefetched(2), classNames: folder.classNames, filePaths: folder.files,
      labels: folder.labels)
  }
}

/// Makes a batch of files.
private struct ImageBatchReader: Sendable {
  let folder: ImageFolder
  let size: ImageSize
  let colorMode: ColorMode
  let labelMode: LabelMode

  func batch(_ rows: ArraySlice<Int32>) throws -> Batch {
    let width = size.height * size.width * colorMode.channels
    let storage = Storage(byteCount: rows.count * width * MemoryLayout<Float>.size)
    let numbers = storage.bytes.bindMemory(to: Float.self, capacity: rows.count * width)
    for (place, row) in rows.enumerated() {
      let path = folder.files[Int(row)]
      try ImageFile.withPixels(of: FileSource.bytes(of: path), colorMode, name: path) {
        size.resize($0, into: numbers + place * width)
      }
    }
    let shape = Shape([rows.count, size.height, size.width, colorMode.channels])
    let images = Tensor(storage, shape: shape, dtype: .float32)
    if folder.labels.isEmpty { return Batch(inputs: [images], labels: []) }
    return Batch(images, labels(of: rows.map { folder.labels[Int($0)] }))
  }

  private func labels(of classes: [Int]) -> Tensor {
    switch labelMode {
    case .int: return Tensor(classes.map(Int32.init))
    case .binary: return Tensor(classes.map(Float.init), shape: [classes.count, 1])
    case .categorical:
      var numbers = [Float](repeating: 0, count: classes.count * folder.classNames.count)
      // A given label that is no class marks none, as in Keras.
      for (row, label) in classes.enumerated() where folder.classNames.indices.contains(label) {
        numbers[row * folder.classNames.count + label] = 1
      }
      return Tensor(numbers, shape: [classes.count, folder.classNames.count])
    }
  }
}
