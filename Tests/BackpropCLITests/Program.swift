import Foundation
import Testing

@testable import BackpropCLI

/// The built program, run as a process.
final class Program {
  struct Result {
    var status: Int32
    var output: String
    var errors: String

    var lines: [String] { output.split(separator: "\n").map(String.init) }

    /// Each line of the output, which must be a JSON object.
    func objects() throws -> [[String: Any]] {
      try lines.map { line in
        let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
        return try #require(value as? [String: Any], "\(line)")
      }
    }
  }

  /// Next to the test bundle.
  static let path: String = {
    var folder = (Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0]))
      .deletingLastPathComponent()
    for _ in 0..<5 {
      let candidate = folder.appendingPathComponent(CommandLineTool.name)
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate.path }
      folder.deleteLastPathComponent()
    }
    return ""
  }()

  /// More epochs than a test waits for, and few enough that what a killed test run leaves behind ends by itself.
  static let many = "20000"

  private let process = Process()
  /// Is gone when nobody holds it.
  private let folder: TemporaryFolder
  private let outputFile: URL
  private let errorsFile: URL

  /// Begins; output goes to files, so that no full pipe can stop it.
  init(
    _ arguments: [String], input: String = "", environment: [String: String] = [:], in folder: TemporaryFolder
  ) throws {
    self.folder = folder
    // A test run in the background ignores SIGINT, and what it starts would too.
    signal(SIGINT, SIG_DFL)
    let name = UUID().uuidString
    outputFile = folder.url.appendingPathComponent("\(name).out")
    errorsFile = folder.url.appendingPathComponent("\(name).err")
    let inputFile = folder.url.appendingPathComponent("\(name).in")
    try Data(input.utf8).write(to: inputFile)
    for file in [outputFile, errorsFile] {
      _ = FileManager.default.createFile(atPath: file.path, contents: nil)
    }
    process.executableURL = URL(fileURLWithPath: Self.path)
    process.arguments = arguments
    process.currentDirectoryURL = folder.url
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = try FileHandle(forReadingFrom: inputFile)
    process.standardOutput = try FileHandle(forWritingTo: outputFile)
    process.standardError = try FileHandle(forWritingTo: errorsFile)
    try process.run()
  }

  /// A test that fails leaves nothing running.
  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  /// What it has written so far.
  var outputSoFar: String { (try? String(contentsOf: outputFile, encoding: .utf8)) ?? "" }
  var isRunning: Bool { process.isRunning }

  func send(_ number: Int32) { kill(process.processIdentifier, number) }

  /// Waits for `condition`, at most so long: a busy machine may need a minute for what takes a second.
  func wait(seconds: Double = 120, until condition: (Program) -> Bool) -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
      if condition(self) { return true }
      usleep(10_000)
    }
    return false
  }

  func finish() throws -> Result {
    process.waitUntilExit()
    // A process that died of a signal, as shells count it.
    let status =
      process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    return Result(
      status: status, output: try String(contentsOf: outputFile, encoding: .utf8),
      errors: try String(contentsOf: errorsFile, encoding: .utf8))
  }
}

/// Runs the program to its end.
func backprop(
  _ arguments: [String], input: String = "", environment: [String: String] = [:],
  in folder: TemporaryFolder? = nil
) throws -> Program.Result {
  try Program(arguments, input: input, environment: environment, in: folder ?? TemporaryFolder()).finish()
}

/// By the tool of coreutils.
func sha256(of path: String) throws -> String {
  let (process, output) = (Process(), Pipe())
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = ["sha256sum", path]
  process.standardOutput = output
  try process.run()
  let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  return String(
    try #require(text.split(separator: " ").first { $0.count == 64 }, "sha256sum \(path): \(text)"))
}

/// A folder that is gone when the test is over.
final class TemporaryFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("backprop-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  @discardableResult
  func write(_ text: String, to name: String) throws -> String { try write(Array(text.utf8), to: name) }

  @discardableResult
  func write(_ bytes: [UInt8], to name: String) throws -> String {
    let file = url.appendingPathComponent(name)
    try Data(bytes).write(to: file)
    return file.path
  }

  var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []).sorted() }
}
