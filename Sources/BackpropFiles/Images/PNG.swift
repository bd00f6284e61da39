import BackpropNetworks
import BackpropTensors
import CZlib

/// Writes pictures as PNG, for reports and TensorBoard.
///
/// Source: PNG specification (W3C, third edition), filter type 0 throughout.
package enum PNG {
  private static let signature: [UInt8] = [0x89] + Array("PNG\r\n".utf8) + [0x1A, 0x0A]

  /// A picture of shape [height, width] or [height, width, channels] with 1, 3 or 4 channels; float elements of 0…1, or
  /// uint8.
  ///
  /// - Throws: `ModelError` for other shapes.
  package static func encode(_ picture: Tensor) throws -> [UInt8] {
    let channels = picture.rank == 3 ? picture.shape[2] : 1
    guard picture.rank == 2 || picture.rank == 3, let kind = [1: UInt8(0), 3: 2, 4: 6][channels],
      picture.shape[0] > 0, picture.shape[1] > 0
    else {
      throw ModelError(
        .shape,
        "expected a picture of shape [height, width] or [height, width, 1, 3 or 4], got \(picture.shape)")
    }
    let (height, width) = (picture.shape[0], picture.shape[1])
    let pixels: [UInt8] =
      picture.dtype == .uint8
      ? picture.scalars(of: UInt8.self)
      : picture.cast(to: .float32).floats.map { UInt8(max(0, min(255, ($0.isNaN ? 0 : $0) * 255 + 0.5))) }
    var rows: [UInt8] = []
    rows.reserveCapacity(pixels.count + height)
    for row in 0..<height {
      rows.append(0)
      rows += pixels[row * width * channels..<(row + 1) * width * channels]
    }
    var header: [UInt8] = []
    header.append(big: UInt32(width))
    header.append(big: UInt32(height))
    header += [8, kind, 0, 0, 0]
    return signature + chunk("IHDR", header) + chunk("IDAT", deflated(rows)) + chunk("IEND", [])
  }

  private static func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(big: UInt32(data.count))
    let body = Array(name.utf8) + data
    bytes += body
    var checksum = CRC32()
    body.withUnsafeBytes { checksum.add($0) }
    bytes.append(big: checksum.value)
    return bytes
  }

  private static func deflated(_ bytes: [UInt8]) -> [UInt8] {
    var size = compressBound(uLong(bytes.count))
    return [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
      // With room for the worst case it can't fail.
      let code = compress2(buffer.baseAddress, &size, bytes, uLong(bytes.count), 6)
      require(code == Z_OK, "zlib: deflating \(bytes.count) bytes gave \(code)")
      count = Int(size)
    }
  }
}

extension [UInt8] {
  fileprivate mutating func append(big value: UInt32) {
    for shift in [24, 16, 8, 0] { append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
  }
}
