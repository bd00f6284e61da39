import Backprop
import Foundation
import TestSupport
import Testing

@testable import BackpropImages

@Suite("Folders of images") struct ImageDatasetTests {
  /// A case of the fixture as arguments.
  private func dataset(_ options: [String: Any]) throws -> ImageDataset {
    let size = try #require(options["image_size"] as? [Int])
    // Keras' None is JSON's null.
    let hasLabels = !(options["label_mode"] is NSNull)
    let mode = try #require(LabelMode(rawValue: options["label_mode"] as? String ?? "int"))
    if let part = options["part"] as? Int {
      let both = try imageDatasets(
        fromDirectory: Images.folder, batchSize: options["batch_size"] as? Int ?? 32,
        imageSize: (size[0], size[1]),
        shuffle: options["shuffle"] as? Bool ?? true, seed: options["seed"] as? Int ?? 0,
        validationSplit: try #require(options["validation_split"] as? Double))
      return part == 0 ? both.training : both.validation
    }
    return try imageDataset(
      fromDirectory: Images.folder, labels: hasLabels ? .inferred : .none, labelMode: mode,
      classNames: options["class_names"] as? [String],
      colorMode: ColorMode(rawValue: options["color_mode"] as? String ?? "rgb") ?? .rgb,
      batchSize: options["batch_size"] as? Int ?? 32, imageSize: (size[0], size[1]),
      shuffle: options["shuffle"] as? Bool ?? true, seed: options["seed"] as? Int ?? 0,
      validationSplit: options["validation_split"] as? Double,
      subset: (options["subset"] as? String).flatMap(ImageSubset.init),
      interpolation: try #require(
        ImageInterpolation(rawValue: options["interpolation"] as? String ?? "bilinear")),
      cropToAspectRatio: options["crop_to_aspect_ratio"] as? Bool ?? false,
      padToAspectRatio: options["pad_to_aspect_ratio"] as? Bool ?? false)
  }

  static let numbers = Images.cases("dataset").indices

  @Test("Keras' classes, files in Keras' order, Keras' numbers", arguments: numbers) func keras(number: Int)
    throws
  {
    let entry = Images.cases("dataset")[number]
    let data = try dataset(try #require(entry["options"] as? [String: Any]))
    #expect(data.classNames == entry["class_names"] as? [String] ?? [])
    #expect(
      data.filePaths.map { String($0.dropFirst(Images.folder.count + 1)) } == entry["files"] as? [String])

    guard let images = entry["images"] as? [Any] else { return }
    let labels = entry["labels"] as? [Any]
    let batches = try data.batches.batches(epoch: 0)
    for (index, golden) in images.enumerated() {
      let batch = try #require(try batches.nextBatch())
      let expected = Tensor(fixture: golden)
      #expect(batch.inputs[0].type == TensorType(expected.shape, .float32))
      // Keras leaves bytes as they are where it takes the nearest, though its documentation says float32.
      let numbers = expected.cast(to: .float32).floats
      let distance = zip(batch.inputs[0].floats, numbers).map { abs($0 - $1) }.max()
      // A JPEG's pixel may be off by one.
      #expect(try #require(distance) <= 1.001, "batch \(index)")
      // float32 sums of up to 36 products.
      let exact = zip(batch.inputs[0].floats, numbers).filter { abs($0 - $1) < 1e-3 }.count
      #expect(exact * 100 >= expected.count * 99)
      if let labels {
        let label = Tensor(fixture: labels[index])
        #expect(batch.labels[0].shape == label.shape)
        #expect(batch.labels[0].cast(to: .float32).floats == label.cast(to: .float32).floats)
      } else {
        #expect(batch.labels.isEmpty)
      }
    }
    #expect(try batches.nextBatch() == nil)
    #expect(data.batches.batchCount == images.count)
  }

  @Test("an order for each epoch, the same for the same seed") func order() throws {
    func labels(seed: Int, epoch: Int) throws -> [Int32] {
      let data = try imageDataset(fromDirectory: Images.folder, batchSize: 50, imageSize: (1, 1), seed: seed)
      return try #require(try data.batches.batches(epoch: epoch).nextBatch()).labels[0].scalars(
        of: Int32.self)
    }
    let first = try labels(seed: 3, epoch: 0)
    #expect(first.count == 21)
    #expect(try labels(seed: 3, epoch: 0) == first)
    #expect(try labels(seed: 3, epoch: 1) != first)
    #expect(try labels(seed: 4, epoch: 0) != first)
    let second = try labels(seed: 3, epoch: 1)
    #expect(first.sorted() == second.sorted())
  }

  @Test("a model is fitted and resumes the order") func fitting() throws {
    let data = try imageDataset(fromDirectory: Images.folder, batchSize: 7, imageSize: (8, 8))
    let model = Sequential(seed: 1) {
      Rescaling(1 / 255)
      Flatten()
      Dense(3, activation: .softmax)
    }
    try model.compile(optimizer: Adam(learningRate: 0.05), loss: .sparseCategoricalCrossentropy)
    let losses = try model.fit(data.batches, epochs: 30, verbose: .silent)["loss"]
    #expect(try #require(losses.last) < 0.5 * (try #require(losses.first)))
  }

  /// A folder that is made for a test and gone afterwards.
  private func withFolder(_ body: (String) throws -> Void) throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("images-\(UUID().uuidString)")
      .path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
  }

  @Test("what isn't there, or isn't an image, is named") func refusals() throws {
    #expect(
      message { _ = try imageDataset(fromDirectory: "/nowhere") }
        == "/nowhere: expected a folder of images, found nothing there")
    #expect(
      message { _ = try imageDataset(fromDirectory: Images.folder, classNames: ["cats", "cows"]) }
        == "\(Images.folder): expected a folder 'cows' of that class, found birds, cats, dogs")
    #expect(
      message { _ = try imageDataset(fromDirectory: Images.folder, labelMode: .binary) }
        == "\(Images.folder): expected two classes for binary labels, found 3: birds, cats, dogs")
    #expect(
      message { _ = try imageDataset(fromDirectory: Images.folder, labels: .given([1, 2])) }
        == "\(Images.folder): expected 2 images, one for each of the given labels, found 21")
    #expect(
      message {
        _ = try imageDataset(fromDirectory: Images.folder, validationSplit: 0.01, subset: .training)
      } == "\(Images.folder): expected images for both parts, found 21, of which 0 are for validation")
    try withFolder { path in
      #expect(
        message { _ = try imageDataset(fromDirectory: path) }
          == "\(path): expected a folder for each class, found no folders")
      try FileManager.default.createDirectory(atPath: "\(path)/a", withIntermediateDirectories: true)
      #expect(
        message { _ = try imageDataset(fromDirectory: path) }
          == "\(path): expected images (.jpeg, .jpg, .png), found none")
      try Data("broken".utf8).write(to: URL(fileURLWithPath: "\(path)/a/b.PNG"))
      let data = try imageDataset(fromDirectory: path)
      #expect(
        message { _ = try data.batches.batches(epoch: 0).nextBatch() }
          == "\(path)/a/b.PNG: offset 0: expected a PNG or JPEG file, found 'broken'")
      try Data().write(to: URL(fileURLWithPath: "\(path)/a/c.GIF"))
      #expect(
        message { _ = try imageDataset(fromDirectory: path) }
          == "\(path)/a/c.GIF: expected a PNG or JPEG file, found the name of a .gif file; convert it or move it "
          + "elsewhere")
    }
  }

  @Test("links to folders are followed only when that is asked for") func links() throws {
    try withFolder { path in
      try FileManager.default.createDirectory(atPath: "\(path)/a", withIntermediateDirectories: true)
      try FileManager.default.createSymbolicLink(
        atPath: "\(path)/a/link", withDestinationPath: "\(Images.folder)/dogs")
      try Data(Images.bytes("birds/rgb.png")).write(to: URL(fileURLWithPath: "\(path)/a/x.png"))
      #expect(try imageDataset(fromDirectory: path).filePaths.count == 1)
      #expect(try imageDataset(fromDirectory: path, followLinks: true).filePaths.count == 7)
    }
  }
}
