#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A file in the address space, for as long as somebody holds it. Pages are read when they are touched, and shared with
/// other processes; what is written to them stays in this one.
///
/// A file that is cut short while it is mapped ends the process where a page behind its end is touched. So nothing is
/// mapped unless the caller asks for it.
package final class MappedFile: @unchecked Sendable {
  package let name: String
  package let bytes: UnsafeMutableRawBufferPointer

  /// - Throws: `DataError` when the file can't be opened, isn't a regular file or can't be mapped.
  package init(_ path: String) throws {
    name = path
    let file = try FileSource(path)
    guard file.size > 0 else {
      bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0)
      return
    }
    bytes = try file.withDescriptor { descriptor in
      let address = mmap(nil, file.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0)
      guard let address, address != MAP_FAILED else {
        throw DataError(
          file: path, place: .wholeFile, expected: "a file that can be mapped", found: describeErrno(errno))
      }
      return UnsafeMutableRawBufferPointer(start: address, count: file.size)
    }
  }

  deinit { if let start = bytes.baseAddress { munmap(start, bytes.count) } }
}
