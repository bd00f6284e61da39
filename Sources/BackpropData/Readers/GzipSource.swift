import CZlib

/// A gzip stream (RFC 1952, several members allowed) inflated as it is read, so that a reader takes no more of it
/// than the size it found declared.
final class GzipSource: ByteSource {
  private let base: any ByteSource
  private let stream: UnsafeMutablePointer<z_stream>
  private let input: UnsafeMutableRawBufferPointer
  private var inputEnded = false
  private var state = State.inMember
  /// Bytes handed out so far.
  private var produced = 0

  private enum State { case inMember, betweenMembers, ended }

  /// The two bytes that every gzip stream begins with.
  static let magic: [UInt8] = [0x1F, 0x8B]

  init(_ base: any ByteSource) throws {
    self.base = base
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    input = .allocate(byteCount: 1 << 16, alignment: 16)
    // 15 bits of window, + 16: a gzip header and trailer, whose CRC-32 and length zlib checks.
    let status = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { throw failure(status) }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
    input.deallocate()
  }

  var name: String { base.name }

  /// Deflate can't do better than 258 bytes from 2 bits.
  var mostRemaining: Int {
    let compressed = Int(stream.pointee.avail_in) + base.mostRemaining
    let (inflated, overflow) = compressed.multipliedReportingOverflow(by: 1032)
    // What zlib has read but not handed out yet: at most one window and one match.
    return overflow || inflated > Int.max - (1 << 16) ? Int.max : inflated + (1 << 16)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let wanted = min(buffer.count, 1 << 30)
    guard wanted > 0, let start = buffer.baseAddress else { return 0 }
    stream.pointee.next_out = start.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = UInt32(wanted)
    while state != .ended, stream.pointee.avail_out == UInt32(wanted) {
      try refill()
      if state == .betweenMembers {
        try startNextMember()
        continue
      }
      let status = inflate(stream, Z_NO_FLUSH)
      produced += wanted - Int(stream.pointee.avail_out)
      switch status {
      case Z_OK: break
      case Z_STREAM_END: state = .betweenMembers
      case Z_BUF_ERROR where inputEnded && stream.pointee.avail_in == 0:
        throw DataError(
          file: name, place: .offset(produced), expected: "the rest of the gzip stream",
          found: "the end of the file")
      case Z_BUF_ERROR: break
      default: throw failure(status)
      }
    }
    return wanted - Int(stream.pointee.avail_out)
  }

  /// Makes sure that there is compressed input to work on, unless it has ended.
  private func refill() throws {
    guard stream.pointee.avail_in == 0, !inputEnded else { return }
    let count = try base.read(into: input)
    inputEnded = count == 0
    stream.pointee.next_in = input.baseAddress!.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_in = UInt32(count)
  }

  /// After a member: the end, padding with zeros to the end, or another member.
  private func startNextMember() throws {
    if stream.pointee.avail_in == 0 {
      state = .ended
    } else if stream.pointee.next_in.pointee == 0 {
      stream.pointee.next_in += 1
      stream.pointee.avail_in -= 1
    } else {
      let status = inflateReset(stream)
      guard status == Z_OK else { throw failure(status) }
      state = .inMember
    }
  }

  private func failure(_ status: Int32) -> DataError {
    let words = stream.pointee.msg.map { String(cString: $0) } ?? "zlib status \(status)"
    return DataError(file: name, place: .offset(produced), expected: "a sound gzip stream", found: words)
  }
}
