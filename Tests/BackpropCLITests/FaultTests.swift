import Foundation
import Testing

@testable import BackpropCLI

/// The compiled shim; nil where there is no LD_PRELOAD or no C compiler.
private let faultLibrary: String? = {
  #if os(Linux)
    let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("faults/faults.c")
    let library = FileManager.default.temporaryDirectory
      .appendingPathComponent("backprop-faults-\(UUID().uuidString).so")
    for compiler in ["clang", "cc", "gcc"] {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [
        compiler, "-std=gnu17", "-include", "stdbool.h", "-O1", "-shared", "-fPIC", "-o", library.path,
        source.path, "-ldl",
      ]
      process.standardError = FileHandle.nullDevice
      guard (try? process.run()) != nil else { continue }
      process.waitUntilExit()
      if process.terminationStatus == 0 { return library.path }
    }
  #endif
  return nil
}()

/// Every system call of a save fails once, in turn: through `Tests/faults/faults.c`, which stands between the program
/// and libc.
@Suite("Saves with failing system calls", .enabled(if: faultLibrary != nil), .serialized)
struct FaultTests {
  /// A model file in one folder, and what a save is to replace in another that alone is watched.
  final class Scene {
    let folder = try! TemporaryFolder()
    let source: String
    let target: String
    let log: String
    let old = Array("what stood there before".utf8)

    init() throws {
      let watched = folder.url.appendingPathComponent("watched")
      try FileManager.default.createDirectory(at: watched, withIntermediateDirectories: true)
      source = folder.url.appendingPathComponent("source.keras").path
      target = watched.appendingPathComponent("model.safetensors").path
      log = folder.url.appendingPathComponent("calls").path
      let made = try backprop(
        ["train", "--epochs", "1", "--hidden", "4", "--output", source, "--log", "quiet"], in: folder)
      #expect(made.status == 0, "\(made.errors)")
    }

    var watched: String { URL(fileURLWithPath: target).deletingLastPathComponent().path }
    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: watched)) ?? [] }
    var bytes: [UInt8]? { FileManager.default.contents(atPath: target).map(Array.init) }

    /// Copies the model to the watched folder, with call number `call` failing.
    func save(
      over bytes: [UInt8]?, failing call: Int?, with code: Int32 = EIO, _ more: [String: String] = [:]
    )
      throws -> Program.Result
    {
      for name in names { try FileManager.default.removeItem(atPath: "\(watched)/\(name)") }
      try? FileManager.default.removeItem(atPath: log)
      if let bytes {
        try Data(bytes).write(to: URL(fileURLWithPath: target))
        // Unlike the permissions of a new file, so that they are taken over.
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: target)
      }
      var environment = [
        "LD_PRELOAD": faultLibrary!, "FAULT_FOLDER": watched, "FAULT_ERRNO": "\(code)", "FAULT_LOG": log,
      ]
      if let call { environment["FAULT_CALL"] = "\(call)" }
      return try backprop(
        ["convert", source, target], environment: environment.merging(more) { $1 }, in: folder)
    }

    var calls: [String] {
      ((try? String(contentsOfFile: log, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
    }
  }

  @Test(
    "the old file stays, nothing else is left, and the message names path and cause",
    arguments: zip([true, false], [EIO, ENOSPC]))
  func everyCall(replacing: Bool, code: Int32) throws {
    let scene = try Scene()
    let old = replacing ? scene.old : nil
    let good = try scene.save(over: old, failing: nil)
    #expect(good.status == 0, "\(good.errors)")
    let written = try #require(scene.bytes)
    let calls = scene.calls
    #expect(written != scene.old && written.count > 500)
    for name in [
      "open", "flock", "fstat", "write", "fsync", replacing ? "renameat2" : "rename", "closedir", "close",
    ]
      + (replacing ? ["fchmod", "realpath", "unlink"] : [])
    {
      #expect(calls.contains(name), "no \(name) among \(calls)")
    }
    let cause = String(cString: strerror(code))
    for call in 1...calls.count {
      let result = try scene.save(over: old, failing: call, with: code)
      let what = "call \(call), \(calls[call - 1]): \(result.errors)"
      #expect(result.status == 1, "\(what)")
      #expect(result.errors.contains(scene.target) && result.errors.contains(cause), "\(what)")
      #expect(scene.bytes == old, "\(what)")
      #expect(scene.names == (replacing ? ["model.safetensors"] : []), "\(what)")
    }
  }

  @Test("short writes, interrupted calls and file systems that can't exchange names don't matter")
  func mild() throws {
    let scene = try Scene()
    _ = try scene.save(over: scene.old, failing: nil)
    let (written, calls) = (try #require(scene.bytes), scene.calls)
    #expect(try scene.save(over: scene.old, failing: nil, ["FAULT_SHORT": "7"]).status == 0)
    #expect(scene.bytes == written && scene.calls.count > calls.count)
    for name in ["write", "fsync"] {
      let call = try #require(calls.firstIndex(of: name)) + 1
      #expect(try scene.save(over: scene.old, failing: call, with: EINTR).status == 0)
      #expect(scene.bytes == written && scene.names == ["model.safetensors"])
    }
    let exchange = try #require(calls.firstIndex(of: "renameat2")) + 1
    #expect(try scene.save(over: scene.old, failing: exchange, with: EINVAL).status == 0)
    #expect(scene.bytes == written && scene.names == ["model.safetensors"])
  }

  @Test("what a killed save left behind goes with the next save, what others are writing stays")
  func abandoned() throws {
    let scene = try Scene()
    let mark = "0123456789abcdef"
    for name in ["model.safetensors.\(mark).tmp", "model.safetensors.tmp", "other.\(mark).tmp"] {
      try scene.folder.write("half a file", to: "watched/\(name)")
    }
    let busy = try scene.folder.write(
      "in work", to: "watched/model.keras.\(mark.reversed().map(String.init).joined()).tmp")
    let descriptor = open(busy, O_RDONLY)
    #expect(flock(descriptor, LOCK_EX) == 0)
    defer { close(descriptor) }
    #expect(try backprop(["convert", scene.source, scene.target]).status == 0)
    #expect(
      scene.names.sorted()
        == [
          "model.safetensors", URL(fileURLWithPath: busy).lastPathComponent, "model.safetensors.tmp",
          "other.\(mark).tmp",
        ].sorted())
  }
}
