#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Writes the chunks one after the other to a file that gets its name once it is whole: a temporary file in the same
/// folder, then a rename. What stood there before stays until then.
func writeAtomically(_ chunks: [[UInt8]], to path: String) throws {
  func fail(_ doing: String) -> DataError {
    DataError(file: path, place: .wholeFile, expected: "to \(doing)", found: describeErrno(errno))
  }

  // Not mkstemp, which would keep the file from everybody but its owner.
  let temporary = "\(path).\(UInt64.random(in: .min ... .max)).tmp"
  let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
  guard descriptor >= 0 else { throw fail("make a temporary file beside it") }
  do {
    for chunk in chunks {
      try chunk.withUnsafeBytes { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
          let count = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
          if count < 0, errno == EINTR { continue }
          guard count > 0 else { throw fail("write \(rest.count) more bytes") }
          rest = rest.dropFirst(count)
        }
      }
    }
    guard fsync(descriptor) == 0 else { throw fail("reach the disk") }
    guard rename(temporary, path) == 0 else { throw fail("take its name") }
    close(descriptor)
  } catch {
    close(descriptor)
    unlink(temporary)
    throw error
  }
}
