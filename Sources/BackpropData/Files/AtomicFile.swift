#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A file that gets its name once it is whole and on the disk: everything that the library writes for keeps goes
/// through here.
///
/// The bytes go to a temporary file in the same folder, which is synchronised and then renamed; then the folder is
/// synchronised. Until the rename, what stood there before stays as it was, and when anything fails the temporary file
/// is removed.
package final class AtomicFile {
  /// The path as it was given, for messages.
  private let name: String
  private let target: String
  private let temporary: String
  private let descriptor: Int32
  private let folder: Int32

  /// Writes a file through `body`.
  ///
  /// - Throws: ``DataError`` with the path and the system's reason, or what `body` throws.
  package static func write(to path: String, _ body: (AtomicFile) throws -> Void) throws {
    let file = try AtomicFile(path)
    do {
      try body(file)
      try file.commit()
    } catch {
      unlink(file.temporary)
      throw error
    }
  }

  /// Finds out whether a file could be written to `path`, before hours of work: makes the temporary file and removes it.
  package static func checkWritable(_ path: String) throws {
    let file = try AtomicFile(path)
    unlink(file.temporary)
  }

  private init(_ path: String) throws {
    name = path
    // A link stays a link: the file it leads to is replaced.
    var isRegular = true
    var mode: mode_t = 0o666
    var exists = false
    var status = stat()
    if stat(path, &status) == 0 {
      exists = true
      isRegular = status.st_mode & S_IFMT == S_IFREG
      mode = status.st_mode & 0o777
    }
    guard !path.isEmpty, path.utf8.last != UInt8(ascii: "/"), isRegular else {
      throw DataError(
        file: path, place: .wholeFile, expected: "the path of a file to write",
        found: status.st_mode & S_IFMT == S_IFDIR || path.utf8.last == UInt8(ascii: "/")
          ? "a folder" : path.isEmpty ? "an empty path" : "something that isn't a regular file")
    }
    let target = exists ? resolved(path) : path
    let parent =
      target.lastIndex(of: "/").map { $0 == target.startIndex ? "/" : String(target[..<$0]) } ?? "."

    let folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw failure(path, "open the folder \(parent)") }
    // Not mkstemp, which would keep the file from everybody but its owner.
    let temporary = "\(target).\(UInt64.random(in: .min ... .max)).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      let error = failure(path, "make a temporary file beside it")
      close(folder)
      throw error
    }
    (self.target, self.temporary, self.folder, self.descriptor) = (target, temporary, folder, descriptor)
    // Who may read the old file may read the new one; that this fails on some file systems is no reason not to write.
    if exists { _ = fchmod(descriptor, mode) }
  }

  deinit {
    close(descriptor)
    close(folder)
  }

  package func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

  package func write(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      // Linux writes no more than 2^31 - 4096 bytes at once, macOS refuses more than 2^31 - 1.
      let part = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      let count = writeBytes(descriptor, part.baseAddress, part.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(name, "write \(rest.count) more bytes") }
      rest = rest.dropFirst(count)
    }
  }

  private func commit() throws {
    guard fsync(descriptor) == 0 else { throw failure(name, "reach the disk") }
    guard rename(temporary, target) == 0 else { throw failure(name, "take its name") }
    // Some file systems can't synchronise a folder, and say so: then the rename is as safe as it gets there.
    guard fsync(folder) == 0 || errno == EINVAL || errno == ENOTSUP else {
      throw failure(name, "get its name to the disk")
    }
  }
}

private func failure(_ path: String, _ doing: String) -> DataError {
  DataError(file: path, place: .wholeFile, expected: "to \(doing)", found: describeErrno(errno))
}

/// `path` with its links followed.
private func resolved(_ path: String) -> String {
  guard let real = realpath(path, nil) else { return path }
  defer { free(real) }
  return String(cString: real)
}

/// The system's `write`, whose name the method has.
private func writeBytes(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}
