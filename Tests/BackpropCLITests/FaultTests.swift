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
    private let arguments: [String]

    /// - Parameter arguments: what writes a file; the paths of the model, of that file and of its folder are put in for `SOURCE`,
    ///   `TARGET` and `FOLDER`.
    init(_ name: String = "model.safetensors", _ arguments: String = "convert SOURCE TARGET") throws {
      let watched = folder.url.appendingPathComponent("watched")
      try FileManager.default.createDirectory(at: watched, withIntermediateDirectories: true)
      source = folder.url.appendingPathComponent("source.keras").path
      target = watched.appendingPathComponent(name).path
      let paths = ["SOURCE": source, "TARGET": target, "FOLDER": watched.path]
      self.arguments = arguments.split(separator: " ").map { paths[String($0)] ?? String($0) }
      log = folder.url.appendingPathComponent("calls").path
      let made = try backprop(
        ["train", "--epochs", "1", "--hidden", "4", "--output", source, "--log", "quiet"], in: folder)
      #expect(made.status == 0, "\(made.errors)")
    }

    var watched: String { URL(fileURLWithPath: target).deletingLastPathComponent().path }
    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: watched)) ?? [] }
    var bytes: [UInt8]? { FileManager.default.contents(atPath: target).map(Array.init) }

    /// Writes the file, with call number `call` in the watched folder failing.
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
      return try backprop(arguments, environment: environment.merging(more) { $1 }, in: folder)
    }

    var calls: [String] {
      ((try? String(contentsOfFile: log, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
    }
  }

  struct Writer: CustomTestStringConvertible {
    var file: String
    var arguments = "convert SOURCE TARGET"
    var replacing = true
    var code = EIO
    var testDescription: String { "\(arguments), \(file)\(replacing ? "" : ", new")" }
  }

  static let writers = [
    Writer(file: "model.safetensors"),
    Writer(file: "model.safetensors", replacing: false, code: ENOSPC),
    Writer(file: "model.keras"),
    Writer(file: "model.weights.h5", code: ENOSPC),
    Writer(file: "model.npz"),
    Writer(file: "step.html", arguments: "explain --html TARGET"),
    // Both are tried before training begins, and so make each call twice.
    Writer(file: "model.keras", arguments: "train --epochs 1 --hidden 4 --log quiet --output TARGET"),
    Writer(file: "report.html", arguments: "train --epochs 1 --hidden 4 --log quiet --report TARGET"),
  ]

  @Test(
    "the old file stays, nothing else is left, and the message names path and cause", arguments: writers)
  func everyCall(writer: Writer) throws {
    let scene = try Scene(writer.file, writer.arguments)
    let (replacing, code) = (writer.replacing, writer.code)
    let old = replacing ? scene.old : nil
    let good = try scene.save(over: old, failing: nil)
    #expect(good.status == 0, "\(good.errors)")
    let written = try #require(scene.bytes)
    let calls = scene.calls
    #expect(written != scene.old && written.count > 500, "\(good.errors)")
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
      #expect(scene.names == (replacing ? [writer.file] : []), "\(what)")
    }
  }

  @Test("checkpoints, each in the place of the one before: what is left can be gone on from")
  func checkpoints() throws {
    let train = "train --epochs 2 --hidden 4 --log quiet --checkpoint FOLDER"
    let scene = try Scene("training.safetensors", train)
    let good = try scene.save(over: nil, failing: nil)
    #expect(good.status == 0 && scene.names == ["training.safetensors"], "\(good.errors)")
    let (written, calls) = (try #require(scene.bytes), scene.calls)
    #expect(calls.contains("renameat2") && calls.contains("rename") && calls.contains("fsync"), "\(calls)")
    for call in 1...calls.count {
      let result = try scene.save(over: nil, failing: call)
      let what = "call \(call), \(calls[call - 1]): \(result.errors)"
      #expect(result.status == 1 && result.errors.contains(scene.watched), "\(what)")
      #expect(result.errors.contains(String(cString: strerror(EIO))), "\(what)")
      let left = scene.names
      #expect(left.isEmpty || left == ["training.safetensors"], "\(what): \(left)")
      // Going on from it ends with the same bytes.
      let again = try backprop(
        train.replacing("FOLDER", with: scene.watched).split(separator: " ").map(String.init) + ["--resume"],
        in: scene.folder)
      #expect(again.status == 0 && scene.bytes == written, "\(what): \(again.errors)")
    }
  }

  @Test("a checkpoint that can't be read is no reason to begin anew")
  func resuming() throws {
    let train = "train --hidden 4 --log quiet --checkpoint FOLDER --resume --epochs"
    let scene = try Scene("training.safetensors", "\(train) 2")
    let first = try backprop(
      "\(train) 1".replacing("FOLDER", with: scene.watched).split(separator: " ").map(String.init),
      in: scene.folder)
    #expect(first.status == 0, "\(first.errors)")
    let before = try #require(scene.bytes)
    #expect(try scene.save(over: before, failing: nil).status == 0)
    let (written, calls) = (try #require(scene.bytes), scene.calls)
    #expect(calls.contains("stat") && (calls.contains("pread") || calls.contains("mmap")), "\(calls)")
    for call in 1...calls.count {
      let result = try scene.save(over: before, failing: call)
      let what = "call \(call), \(calls[call - 1]): \(result.errors)"
      #expect(result.status == 1 && result.errors.contains(scene.watched), "\(what)")
      #expect(result.errors.contains(String(cString: strerror(EIO))), "\(what)")
      #expect(scene.bytes == before || scene.bytes == written, "\(what)")
    }
  }

  struct Log: CustomTestStringConvertible {
    var file: String
    var option: String
    var testDescription: String { option }
  }

  @Test(
    "logs and event files that can't be written: path and cause, and what was trained is saved",
    arguments: [
      Log(file: "log.csv", option: "--csv-log TARGET"), Log(file: "any", option: "--tensorboard FOLDER"),
    ])
  func logs(log: Log) throws {
    let model = "model.keras"
    let scene = try Scene(log.file, "train --epochs 2 --hidden 4 --log quiet --output \(model) \(log.option)")
    let old = log.file.hasSuffix(".csv") ? Array("epoch,loss\n".utf8) : nil
    let good = try scene.save(over: old, failing: nil)
    #expect(good.status == 0, "\(good.errors)")
    let (written, calls) = (scene.bytes, scene.calls)
    #expect(calls.contains("fsync") && calls.last == "close", "\(calls)")
    // Of the hundreds of events, enough to have one of each kind.
    let writes = calls.indices.filter { calls[$0] == "write" }
    let kept = Set(writes.count < 20 ? writes : Array(writes.prefix(3) + writes.suffix(2)))
    let trained = scene.folder.url.appendingPathComponent(model).path
    for index in calls.indices where calls[index] != "write" || kept.contains(index) {
      try? FileManager.default.removeItem(atPath: trained)
      let result = try scene.save(over: old, failing: index + 1, with: ENOSPC)
      let what = "call \(index + 1), \(calls[index]): \(result.errors)"
      #expect(result.status == 1 && result.errors.contains(scene.watched), "\(what)")
      #expect(result.errors.contains(String(cString: strerror(ENOSPC))), "\(what)")
      let isSaved = FileManager.default.fileExists(atPath: trained)
      #expect(isSaved == result.errors.contains("is saved to \(model)"), "\(what)")
      if ["fsync", "close"].contains(calls[index]), index > (writes.last ?? 0) {
        #expect(isSaved, "\(what)")
      }
      guard let old, let written, let left = scene.bytes else { continue }
      #expect(left == old || written.starts(with: left), "\(what)")
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
