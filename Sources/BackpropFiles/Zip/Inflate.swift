import BackpropData
import CZlib

/// Inflates a raw deflate stream (RFC 1951) whose inflated size is known. Memory grows with what comes out, so a wrong
/// size takes none.
func inflateRaw(_ region: ByteRegion, size: Int) throws -> [UInt8] {
  try inflate(region, size: size, windowBits: -15)
}

/// Inflates a zlib stream (RFC 1950), which HDF5's deflate filter writes.
func inflateZlib(_ bytes: [UInt8], size: Int, name: String) throws -> [UInt8] {
  try inflate(ByteRegion(bytes, name: name), size: size, windowBits: 15)
}

private func inflate(_ region: ByteRegion, size: Int, windowBits: Int32) throws -> [UInt8] {
  // Allocated, because zlib checks that the stream stays where it was.
  let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
  stream.initialize(to: z_stream())
  defer { stream.deallocate() }
  guard inflateInit2_(stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
    throw DataError(file: region.name, place: .wholeFile, expected: "zlib to start", found: "an error")
  }
  defer { inflateEnd(stream) }

  var output: [UInt8] = []
  output.reserveCapacity(min(size, region.count))
  let block = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 1 << 16)
  defer { block.deallocate() }
  var isOver = false
  try region.forEachBlock { input in
    guard !isOver else { return }
    stream.pointee.next_in = UnsafeMutablePointer(
      mutating: input.baseAddress!.assumingMemoryBound(to: UInt8.self))
    stream.pointee.avail_in = UInt32(input.count)
    repeat {
      stream.pointee.next_out = block.baseAddress
      stream.pointee.avail_out = UInt32(block.count)
      let status = CZlib.inflate(stream, Z_NO_FLUSH)
      let count = block.count - Int(stream.pointee.avail_out)
      guard output.count + count <= size else {
        throw DataError(
          file: region.name, place: .wholeFile, expected: "\(size) bytes once inflated", found: "more")
      }
      output.append(contentsOf: block[..<count])
      isOver = status == Z_STREAM_END
      // No progress for want of input is no error here: the next block brings it.
      guard isOver || status == Z_OK || status == Z_BUF_ERROR else {
        let words = stream.pointee.msg.map { String(cString: $0) } ?? "zlib status \(status)"
        throw DataError(
          file: region.name, place: .wholeFile, expected: "a sound deflate stream",
          found: "'\(words)' after \(output.count) bytes")
      }
      if status == Z_BUF_ERROR { break }
    } while !isOver && (stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0)
  }
  guard isOver, output.count == size else {
    throw DataError(
      file: region.name, place: .wholeFile, expected: "\(size) bytes once inflated", found: "\(output.count)")
  }
  return output
}
