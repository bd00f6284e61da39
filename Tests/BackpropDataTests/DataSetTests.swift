import BackpropTensors
import Testing

@testable import BackpropData

@Suite("Data sets")
struct DataSetTests {
  @Test("the embedded digits are the UCI test set: shapes, range, classes, first image")
  func digits() throws {
    let (train, test) = try Digits.load()
    #expect(train.images.shape == [1437, 64])
    #expect(test.images.shape == [360, 64])
    #expect(train.images.dtype == .float32)
    #expect(train.images.stored.dtype == .uint8)
    #expect(train.labels.dtype == .uint8)
    // sklearn.datasets.load_digits().images[0][:2] / 16 and its labels' counts.
    #expect(
      train.images[0].floats.prefix(16).map { $0 * 16 } == [
        0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0,
      ])
    let labels = train.labels.tensor.integers + test.labels.tensor.integers
    #expect(labels.prefix(10) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    #expect(
      (0..<10).map { digit in labels.count { $0 == digit } } == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
      ])
    let pixels = train.images.tensor.floats + test.images.tensor.floats
    #expect(pixels.min() == 0)
    #expect(pixels.max() == 1)
    #expect(pixels.reduce(0) { $0 + Double($1) } * 16 == 561_718)
  }

  @Test("digits in the shape of pictures, or a refusal that names the shape")
  func digitsShape() throws {
    #expect(try Digits.load(shape: [8, 8, 1]).train.images.shape == [1437, 8, 8, 1])
    #expect(
      message { _ = try Digits.load(shape: [28, 28]) }
        == "Digits: expected an image shape of 64 elements, found [28, 28]")
    #expect(
      message { _ = try MNIST.load(shape: [.max, .max]) }
        == "MNIST: expected an image shape of 784 elements, found [\(Int.max), \(Int.max)]")
  }

  /// A little MNIST: 3 images to train on and 2 to test with.
  private func folder(compressed: Bool = false) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for (name, count) in [("train", 3), ("t10k", 2)] {
      let images =
        [0, 0, 8, 3, 0, 0, 0, UInt8(count), 0, 0, 0, 28, 0, 0, 0, 28]
        + (0..<count * 784).map { UInt8(truncatingIfNeeded: $0) }
      let labels = [0, 0, 8, 1, 0, 0, 0, UInt8(count)] + (0..<count).map { UInt8(9 - $0) }
      try folder.write(
        compressed ? gzip(images) : images, to: "\(name)-images-idx3-ubyte" + (compressed ? ".gz" : ""))
      try folder.write(
        compressed ? gzip(labels) : labels, to: "\(name)-labels-idx1-ubyte" + (compressed ? ".gz" : ""))
    }
    return folder
  }

  @Test("MNIST's four files load, raw and as .gz", arguments: [false, true])
  func mnist(compressed: Bool) throws {
    let folder = try folder(compressed: compressed)
    let (train, test) = try MNIST.load(from: folder.path)
    #expect(train.images.shape == [3, 784])
    #expect(test.images.shape == [2, 784])
    #expect(train.images.dtype == .float32)
    #expect(train.images[0].floats[255] == 1)
    #expect(train.labels.tensor.integers == [9, 8, 7])
    #expect(try MNIST.load(shape: [28, 28, 1], from: folder.path).test.images.shape == [2, 28, 28, 1])
    let clothes = try FashionMNIST.load(shape: [28, 28, 1], from: folder.path)
    #expect(clothes.train.images.shape == [3, 28, 28, 1])
    #expect(clothes.train.labels.tensor.integers.map { FashionMNIST.classNames[$0] }[0] == "ankle boot")
  }

  @Test("missing files: the message names the command that fetches them")
  func missing() throws {
    let folder = try TemporaryFolder()
    #expect(
      message { _ = try MNIST.load(from: folder.path) }
        == "\(folder.path)/train-images-idx3-ubyte: expected MNIST's file, raw or .gz, found neither; fetch it with: "
        + "scripts/fetch-data mnist (in Backprop's repository), or set BACKPROP_DATA to the folder whose mnist/ holds it"
    )
    #expect(
      message { _ = try FashionMNIST.load(from: folder.path) }
        == "\(folder.path)/train-images-idx3-ubyte: expected Fashion-MNIST's file, raw or .gz, found neither; fetch it with: "
        + "scripts/fetch-data fashion-mnist (in Backprop's repository), or set BACKPROP_DATA to the folder whose "
        + "fashion-mnist/ holds it"
    )
  }

  @Test("files that hold something else are refused by name")
  func foreign() throws {
    let folder = try folder()
    let path = folder.path
    try folder.write([0, 0, 8, 1, 0, 0, 0, 2, 3, 10], to: "t10k-labels-idx1-ubyte")
    #expect(
      message { _ = try MNIST.load(from: path) }
        == "\(path)/t10k-labels-idx1-ubyte: offset 9: expected labels in 0...9, found 10 for row 1")
    try folder.write([0, 0, 8, 1, 0, 0, 0, 1, 3], to: "t10k-labels-idx1-ubyte")
    #expect(
      message { _ = try MNIST.load(from: path) }
        == "\(path)/t10k-labels-idx1-ubyte: offset 0: expected uint8[2], found uint8[1]")
    try folder.write([0, 0, 8, 1, 0, 0, 0, 1, 3], to: "train-images-idx3-ubyte")
    #expect(
      message { _ = try MNIST.load(from: path) }
        == "\(path)/train-images-idx3-ubyte: offset 0: expected uint8[n, 28, 28], found uint8[1]")
  }
}
