import CFiles

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
/// The bytes go to a temporary file in the same folder, which is synchronised and changes places with the old file; then
/// the folder is synchronised, and the old file goes. When any of this fails the old file is, or is put back, in its
/// place, the temporary file is removed, and the error says what failed. What a killed process left behind is removed by
/// the next save under the same name.
package final class AtomicFile {
  /// The path as it was given, for messages.
  private let name: String
  private let target: String
  private let temporary: String
  private let exists: Bool
  private let folder: OpenFolder
  private let descriptor: OpenDescriptor

  /// Writes a file through `body`.
  ///
  /// - Throws: ``DataError`` with the path and the system's reason, or what `body` throws; the old file is there then.
  package static func write(to path: String, _ body: (AtomicFile) throws -> Void) throws {
    let file = try AtomicFile(path)
    do {
      try body(file)
      try file.commit()
    } catch {
      throw file.discarding(after: error)
    }
  }

  /// Makes a folder, with those that it lies in, where it isn't there.
  package static func makeFolder(_ path: String, for what: String) throws {
    var rest = path[...]
    var folders: [Substring] = []
    while !rest.isEmpty {
      folders.append(rest)
      rest = rest.lastIndex(of: "/").map { rest[..<$0] } ?? ""
    }
    for folder in folders.reversed() {
      if mkdir(String(folder), 0o777) == 0 || errno == EEXIST { continue }
      let found = describeErrno(errno)
      throw DataError(
        file: path, place: .wholeFile, expected: "to make this folder for \(what)", found: found)
    }
    var status = stat()
    guard stat(path, &status) == 0 else { throw failure(path, "look at this folder for \(what)") }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw DataError(
        file: path, place: .wholeFile, expected: "a folder for \(what)", found: "a file of that name")
    }
  }

  /// Finds out whether a file could be written to `path`, before hours of work: makes the temporary file and removes it.
  package static func checkWritable(_ path: String) throws {
    let file = try AtomicFile(path)
    do {
      try file.call("remove the temporary file") { unlink(file.temporary) }
      try file.call("close its folder") { file.folder.close() }
      try file.call("close it") { file.descriptor.close() }
    } catch {
      throw file.discarding(after: error)
    }
  }

  /// Whether there is something at `path`; one that can't be looked at is neither there nor gone.
  package static func exists(_ path: String) throws -> Bool {
    var status = stat()
    if stat(path, &status) == 0 { return true }
    guard errno == ENOENT || errno == ENOTDIR else { throw failure(path, "look at what is there") }
    return false
  }

  /// Removes the file at `path`, where there is one.
  package static func remove(_ path: String, _ what: String) throws {
    if unlink(path) != 0, errno != ENOENT { throw failure(path, "remove \(what)") }
  }

  private init(_ path: String) throws {
    name = path
    var status = stat()
    exists = stat(path, &status) == 0
    guard exists || errno == ENOENT || errno == ENOTDIR else { throw failure(path, "look at what is there") }
    let isFolder = path.utf8.last == UInt8(ascii: "/") || (exists && status.st_mode & S_IFMT == S_IFDIR)
    guard !path.isEmpty, !isFolder, !exists || status.st_mode & S_IFMT == S_IFREG else {
      throw DataError(
        file: path, place: .wholeFile, expected: "the path of a file to write",
        found: isFolder ? "a folder" : path.isEmpty ? "an empty path" : "something that isn't a regular file")
    }
    // A link stays a link: the file it leads to is replaced.
    target = exists ? try resolved(path) : path
    let (parent, base) = Self.split(target)
    folder = try OpenFolder(parent, for: path)
    try folder.removeAbandoned(of: base)
    (temporary, descriptor) = try Self.makeTemporary(beside: target, for: path)
    guard exists else { return }
    do {
      // Who may read the old file may read the new one.
      var own = stat()
      try call("look at the temporary file") { fstat(descriptor.number, &own) }
      if own.st_mode & 0o777 != status.st_mode & 0o777 {
        try call("take over its permissions") { fchmod(descriptor.number, status.st_mode & 0o777) }
      }
    } catch {
      throw discarding(after: error)
    }
  }

  private static func split(_ path: String) -> (parent: String, base: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let parent = slash == path.startIndex ? "/" : String(path[..<slash])
    return (parent, String(path[path.index(after: slash)...]))
  }

  /// A new file that this process holds a lock on: by the lock others know that somebody is still writing it.
  private static func makeTemporary(beside target: String, for path: String) throws -> (
    String, OpenDescriptor
  ) {
    while true {
      // Not mkstemp, which would keep the file from everybody but its owner.
      let temporary = "\(target).\(OpenFolder.randomMark()).tmp"
      let number = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      guard number >= 0 else { throw failure(path, "make a temporary file beside it") }
      let descriptor = OpenDescriptor(number)
      do {
        if try isLocked(descriptor, for: path) { return (temporary, descriptor) }
      } catch {
        unlink(temporary)
        throw error
      }
    }
  }

  /// Locks a new file; false where another save under this name came first, took it for abandoned and removed it.
  private static func isLocked(_ descriptor: OpenDescriptor, for path: String) throws -> Bool {
    if flock(descriptor.number, LOCK_EX | LOCK_NB) != 0 {
      if errno == EWOULDBLOCK { return false }
      // Some network file systems have no locks; there nothing is taken for abandoned either.
      guard [EOPNOTSUPP, ENOLCK, ENOSYS].contains(errno) else {
        throw failure(path, "lock its temporary file")
      }
    }
    var status = stat()
    guard fstat(descriptor.number, &status) == 0 else { throw failure(path, "look at its temporary file") }
    return status.st_nlink > 0
  }

  package func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

  package func write(_ bytes: UnsafeRawBufferPointer) throws { try descriptor.write(bytes, for: name) }

  // MARK: - The end

  private func commit() throws {
    try call("reach the disk") { fsync(descriptor.number) }
    let keepsOld = exists ? try exchangeOrRename() : false
    if !exists { try call("take its name") { rename(temporary, target) } }
    do {
      // Some file systems can't synchronise a folder, and say so: then the rename is as safe as it gets there.
      try call("get its name to the disk", except: [EINVAL, ENOTSUP]) { folder.synchronise() }
      try call("close its folder") { folder.close() }
      try call("close it") { descriptor.close() }
      if keepsOld { try call("remove the old file") { unlink(temporary) } }
    } catch {
      if keepsOld { _ = cf_exchange(temporary, target) } else if !exists { unlink(target) }
      throw error
    }
  }

  /// Puts the new file in the old one's place; true where the old one is now under the temporary name.
  private func exchangeOrRename() throws -> Bool {
    if cf_exchange(temporary, target) == 0 { return true }
    guard [EINVAL, ENOSYS, ENOTSUP, ENOENT].contains(errno) else { throw failure(name, "take its name") }
    try call("take its name") { rename(temporary, target) }
    return false
  }

  /// Removes the temporary file; gives `error`, with a word about it where that fails, too.
  private func discarding(after error: any Error) -> any Error {
    if unlink(temporary) == 0 || errno == ENOENT { return error }
    let reason = describeErrno(errno)
    guard let error = error as? DataError else { return error }
    return DataError(
      file: error.file, place: error.place, expected: error.expected, found: error.found,
      advice: "remove \(temporary), which couldn't be removed (\(reason))")
  }

  private func call(_ doing: String, except allowed: Set<Int32> = [], _ body: () -> Int32) throws {
    try succeed(name, doing, except: allowed, body)
  }
}

#if canImport(Darwin)
  private typealias FolderStream = UnsafeMutablePointer<DIR>
#else
  private typealias FolderStream = OpaquePointer
#endif

/// The folder that a file is written to.
private final class OpenFolder {
  private var stream: FolderStream?
  private let parent: String
  private let path: String

  init(_ parent: String, for path: String) throws {
    (self.parent, self.path) = (parent, path)
    stream = opendir(parent)
    guard stream != nil else { throw failure(path, "open the folder \(parent)") }
  }

  deinit { _ = close() }

  func close() -> Int32 {
    guard let stream else { return 0 }
    self.stream = nil
    return closedir(stream)
  }

  func synchronise() -> Int32 { stream.map { fsync(dirfd($0)) } ?? 0 }

  /// What makes the name of a temporary file its own: sixteen hexadecimal digits.
  static func randomMark() -> String {
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return String(repeating: "0", count: markLength - digits.count) + digits
  }

  private static let markLength = 16

  /// Removes temporary files for `base` that no process holds a lock on: whoever wrote them was killed.
  func removeAbandoned(of base: String) throws {
    for name in try names() {
      guard name.hasPrefix("\(base)."), name.hasSuffix(".tmp"),
        name.utf8.count == base.utf8.count + Self.markLength + 5,
        name.dropFirst(base.count + 1).prefix(Self.markLength).allSatisfy(\.isHexDigit)
      else { continue }
      let file = "\(parent)/\(name)"
      let number = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
      // Gone meanwhile, or somebody else's.
      if number < 0, [ENOENT, EACCES, ELOOP].contains(errno) { continue }
      guard number >= 0 else { throw failure(path, "look at the abandoned file \(file)") }
      let descriptor = OpenDescriptor(number)
      if flock(descriptor.number, LOCK_EX | LOCK_NB) != 0 {
        if [EWOULDBLOCK, EOPNOTSUPP, ENOLCK, ENOSYS].contains(errno) { continue }
        throw failure(path, "lock the abandoned file \(file)")
      }
      guard unlink(file) == 0 || errno == ENOENT || errno == EACCES || errno == EPERM else {
        throw failure(path, "remove the abandoned file \(file)")
      }
    }
  }

  private func names() throws -> [String] {
    guard let stream else { return [] }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw failure(path, "read the folder \(parent)") }
        return names
      }
      withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        let size = MemoryLayout.size(ofValue: pointer.pointee)
        pointer.withMemoryRebound(to: CChar.self, capacity: size) { names.append(String(cString: $0)) }
      }
    }
  }
}

/// `path` with its links followed.
private func resolved(_ path: String) throws -> String {
  guard let real = realpath(path, nil) else { throw failure(path, "follow its links") }
  defer { free(real) }
  return String(cString: real)
}
