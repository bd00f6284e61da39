import Backprop
import Foundation
import TestSupport
import Testing

@testable import BackpropImages

/// `Tests/Fixtures/images`, with what TensorFlow and Keras read from them.
enum Images {
  static let folder = Fixture.folder.appendingPathComponent("images").path
  static let fixture = Fixture("images")

  static func cases(_ kind: String) -> [[String: Any]] {
    fixture.cases.filter { $0["kind"] as? String == kind }
  }
  static func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
  }
}

/// The message of the `DataError` that `body` throws.
func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return "no error"
  } catch let error as DataError {
    return "\(error)"
  } catch {
    return "not a DataError: \(error)"
  }
}

@Suite("Image files") struct ImageFileTests {
  static let names = Images.cases("decoded").map { $0["file"] as! String }

  @Test("TensorFlow's pixels: PNG bit for bit, JPEG within one", arguments: names) func pixels(name: String)
    throws
  {
    let entry = try #require(Images.cases("decoded").first { $0["file"] as? String == name })
    let expected = try #require(entry["decoded"] as? [String: Any])
    #expect(expected.count >= 1)
    for (mode, value) in expected {
      let golden = Tensor(fixture: value)
      let found = try ImageFile.load("\(Images.folder)/\(name)", try #require(ColorMode(rawValue: mode)))
      #expect(found.type == golden.type)
      let distance = zip(found.scalars(of: UInt8.self), golden.scalars(of: UInt8.self)).map {
        abs(Int($0) - Int($1))
      }.max()
      #expect(try #require(distance) <= (name.lowercased().hasSuffix("png") ? 0 : 1), "\(mode)")
    }
  }

  @Test("JPEG with alpha, and ink in grey, which TensorFlow doesn't read") func furtherModes() throws {
    let path = "\(Images.folder)/dogs/cmyk.jpg"
    let colours = try ImageFile.load(path, .rgb).scalars(of: UInt8.self).map(Double.init)
    let transparent = try ImageFile.load(path, .rgba).scalars(of: UInt8.self)
    let greys = try ImageFile.load(path, .grayscale).scalars(of: UInt8.self)
    #expect(greys.count == colours.count / 3)
    for (index, grey) in greys.enumerated() {
      let (red, green, blue) = (colours[3 * index], colours[3 * index + 1], colours[3 * index + 2])
      #expect(abs(0.299 * red + 0.587 * green + 0.114 * blue - Double(grey)) <= 0.6)
      #expect(transparent[4 * index..<4 * index + 3].map(Double.init) == [red, green, blue])
      #expect(transparent[4 * index + 3] == 255)
    }
    let plain = try ImageFile.load("\(Images.folder)/dogs/full.jpeg", .rgba).scalars(of: UInt8.self)
    #expect(stride(from: 3, to: plain.count, by: 4).allSatisfy { plain[$0] == 255 })
  }

  @Test("every truncation is refused with file and offset", arguments: names) func truncations(name: String)
    throws
  {
    let bytes = try Images.bytes(name)
    // Behind the pixels there is nothing to miss: libpng and libjpeg may be content without the last marker's end.
    for count in 0..<bytes.count - 12 {
      let text = message { _ = try ImageFile.decode(Array(bytes[..<count]), name: "cut") }
      #expect(text.hasPrefix("cut: offset "), "\(count): \(text)")
    }
  }

  @Test("a changed byte never ends the process", arguments: names) func damage(name: String) throws {
    var bytes = try Images.bytes(name)
    for index in bytes.indices {
      let original = bytes[index]
      for value in [0, 255, original &+ 1, original &- 1] {
        bytes[index] = value
        do {
          let image = try ImageFile.decode(bytes, name: "damaged")
          #expect(image.count <= ImageFile.mostPixels * 3)
        } catch let error as DataError {
          guard case .offset(let offset) = error.place else {
            Issue.record("\(error)")
            continue
          }
          #expect((0...bytes.count).contains(offset))
        }
      }
      bytes[index] = original
    }
  }

  static let refusals: [(name: String, bytes: [UInt8], message: String)] = [
    ("empty", [], "empty: offset 0: expected a PNG or JPEG file, found an empty file"),
    ("text", Array("not a picture".utf8), "text: offset 0: expected a PNG or JPEG file, found 'not a pi'"),
    ("gif", Array("GIF89a".utf8), "gif: offset 0: expected a PNG or JPEG file, found 'GIF89a'"),
  ]

  @Test("what is no picture is refused", arguments: refusals)
  func refusal(name: String, bytes: [UInt8], expected: String) {
    #expect(message { _ = try ImageFile.decode(bytes, name: name) } == expected)
  }

  @Test("a declared size takes no memory that the bytes couldn't fill") func hugeSizes() throws {
    // 2³⁰ × 2³⁰ pixels, then 30,000 × 2,000: the header's checksum is that of the changed header.
    var png = try Images.bytes("birds/rgb.png")
    func declare(_ width: UInt32, _ height: UInt32) {
      let sizes = [width, height].flatMap { size in
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: size >> UInt32($0)) }
      }
      png.replaceSubrange(16..<24, with: sizes)
      var checksum: UInt32 = 0xFFFF_FFFF
      for byte in png[12..<29] {
        checksum ^= UInt32(byte)
        for _ in 0..<8 { checksum = checksum & 1 == 1 ? checksum >> 1 ^ 0xEDB8_8320 : checksum >> 1 }
      }
      checksum = ~checksum
      png.replaceSubrange(
        29..<33, with: [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: checksum >> UInt32($0)) })
    }
    declare(1 << 30, 1 << 30)
    #expect(
      message { _ = try ImageFile.decode(png, name: "huge") }.hasSuffix(
        "1073741824 × 1073741824 pixels, more than the 67108864 that are read"))
    declare(30_000, 2_000)
    #expect(
      message { _ = try ImageFile.decode(png, name: "huge") }.contains(
        "30000 × 2000 pixels, more than \(png.count) bytes can hold"))

    var jpeg = try Images.bytes("dogs/baseline.jpg")
    let frame = try #require(jpeg.indices.first { jpeg[$0...].starts(with: [0xFF, 0xC0]) })
    jpeg.replaceSubrange(frame + 5..<frame + 9, with: [0xFF, 0xDC, 0xFF, 0xDC])
    #expect(
      message { _ = try ImageFile.decode(jpeg, name: "huge") }.hasSuffix(
        "65500 × 65500 pixels, more than are read"))
    jpeg.replaceSubrange(frame + 5..<frame + 9, with: [0x20, 0, 0x10, 0])
    #expect(
      message { _ = try ImageFile.decode(jpeg, name: "huge") }.hasSuffix(
        "4096 × 8192 pixels, more than the file's bytes can hold"))
  }

  @Test("a file that can't be read says so") func missing() {
    #expect(
      message { _ = try ImageFile.load("/nowhere/cat.png") }
        == "/nowhere/cat.png: expected a readable file, found No such file or directory")
  }
}
