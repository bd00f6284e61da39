import BackpropData
import BackpropTensors
import CImages

/// What a picture's pixels consist of.
public enum ColorMode: String, CaseIterable, Sendable {
  case grayscale, rgb, rgba

  /// Numbers for each pixel.
  public var channels: Int {
    switch self {
    case .grayscale: 1
    case .rgb: 3
    case .rgba: 4
    }
  }
}

/// Reading of PNG and JPEG files.
///
/// ```swift
/// let cat = try ImageFile.load("cat.jpg")     // uint8 [height, width, 3], in 0...255
/// ```
///
/// Pixels are those of TensorFlow's `decode_image`, through which Keras reads: of 16-bit samples the high byte, without
/// gamma, colour profile or the camera's rotation; transparency is dropped, or made (255) where `.rgba` asks for it.
/// Besides, JPEG files with inks (CMYK) are read in grey and with alpha, too. GIF and BMP files are refused.
public enum ImageFile {
  /// More pixels than this aren't decoded: 2²⁶, 192 MB in colour. Besides, no file is taken to hold more than its bytes
  /// could.
  public static let mostPixels = 1 << 26

  /// Endings of the names of files that are read, in lowercase.
  static let endings = [".jpeg", ".jpg", ".png"]
  /// Endings that Keras reads besides.
  static let refusedEndings = [".bmp", ".gif"]

  /// Reads a file: its first bytes tell what it is, not its name.
  ///
  /// - Returns: uint8 [height, width, channels].
  /// - Throws: ``DataError`` with the offset when the file can't be read, is no PNG or JPEG file, is damaged or cut
  ///   short, or has more than ``mostPixels``.
  public static func load(_ path: String, _ mode: ColorMode = .rgb) throws -> Tensor {
    try decode(FileSource.bytes(of: path), mode, name: path)
  }

  /// Decodes a file that is in memory; messages call it `name`.
  ///
  /// - Throws: ``DataError``, as ``load(_:_:)``.
  public static func decode(_ bytes: [UInt8], _ mode: ColorMode = .rgb, name: String = "image data") throws
    -> Tensor
  {
    try withPixels(of: bytes, mode, name: name, mostPixels: mostPixels) { pixels in
      let storage = Storage(byteCount: pixels.bytes.count)
      UnsafeMutableRawBufferPointer(start: storage.bytes, count: pixels.bytes.count).copyMemory(
        from: UnsafeRawBufferPointer(pixels.bytes))
      return Tensor(storage, shape: [pixels.height, pixels.width, pixels.channels], dtype: .uint8)
    }
  }

  /// Whether bytes begin as a PNG or JPEG file does.
  package static func isImage(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBufferPointer {
      ci_is_png($0.baseAddress, $0.count) != 0 || ci_is_jpeg($0.baseAddress, $0.count) != 0
    }
  }

  /// Lends the decoded pixels, without a copy.
  package static func withPixels<Result>(
    of bytes: [UInt8], _ mode: ColorMode, name: String, mostPixels: Int = mostPixels,
    _ body: (Pixels) throws -> Result
  ) throws -> Result {
    var image = ci_image()
    var failure = ci_failure()
    let (channels, limit) = (UInt32(mode.channels), UInt64(mostPixels))
    let kind: (name: String, succeeded: Bool) = try bytes.withUnsafeBufferPointer { file in
      if ci_is_png(file.baseAddress, file.count) != 0 {
        return ("PNG", ci_decode_png(file.baseAddress, file.count, channels, limit, &image, &failure) != 0)
      }
      if ci_is_jpeg(file.baseAddress, file.count) != 0 {
        return ("JPEG", ci_decode_jpeg(file.baseAddress, file.count, channels, limit, &image, &failure) != 0)
      }
      let found = bytes.isEmpty ? "an empty file" : excerpt(bytes.prefix(8))
      throw DataError(file: name, place: .offset(0), expected: "a PNG or JPEG file", found: found)
    }
    guard kind.succeeded else {
      throw DataError(
        file: name, place: .offset(failure.offset), expected: "a sound \(kind.name) file", found: failure.text
      )
    }
    defer { ci_free(&image) }
    let (height, width) = (Int(image.height), Int(image.width))
    let pixels = UnsafeBufferPointer(start: image.pixels, count: height * width * mode.channels)
    return try body(Pixels(bytes: pixels, height: height, width: width, channels: mode.channels))
  }
}

/// A decoded picture, lent.
package struct Pixels {
  /// Row by row, pixel by pixel.
  package let bytes: UnsafeBufferPointer<UInt8>
  package let height: Int
  package let width: Int
  package let channels: Int
}

extension ci_failure {
  /// The message, which C holds as a tuple of characters.
  fileprivate var text: String {
    withUnsafeBytes(of: words) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
