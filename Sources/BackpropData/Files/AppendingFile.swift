#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A file that grows while others read it: logs and event files, of which a killed process shall leave what was written.
package final class AppendingFile {
  package let path: String
  private let descriptor: OpenDescriptor

  /// Goes on with the file at `path`.
  package convenience init(_ path: String) throws {
    let number = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
    guard number >= 0 else { throw failure(path, "open it to append to it") }
    self.init(path, OpenDescriptor(number))
  }

  /// A new file; nil where something has its name.
  package static func make(_ path: String) throws -> AppendingFile? {
    let number = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o666)
    if number < 0, errno == EEXIST { return nil }
    guard number >= 0 else { throw failure(path, "make it") }
    return AppendingFile(path, OpenDescriptor(number))
  }

  private init(_ path: String, _ descriptor: OpenDescriptor) {
    self.path = path
    self.descriptor = descriptor
  }

  package func append(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try descriptor.write($0, for: path) }
  }

  /// Some disks say only here that what was written is lost. Files that are dropped are closed, too, but nobody hears of it.
  package func close() throws {
    if descriptor.number < 0 { return }
    try succeed(path, "reach the disk", except: [EINVAL, ENOTSUP]) { fsync(descriptor.number) }
    try succeed(path, "close it") { descriptor.close() }
  }
}
