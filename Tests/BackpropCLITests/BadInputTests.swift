import Foundation
import TestSupport
import Testing

@testable import BackpropCLI

/// `Tests/Fixtures/bad_input.json`: files, arguments, and what the program says of them, word for word.
@Suite("Bad files and arguments", .serialized) struct BadInputTests {
  static let fixture = Fixture("bad_input")

  #if DEBUG
    private static let limit = Duration.seconds(5)
  #else
    private static let limit = Duration.seconds(1)
  #endif

  @Test("there are at least 120 cases, and none twice") func count() throws {
    let cases = Self.fixture.cases.map { entry in
      "\(entry["arguments"] ?? "")\(entry["files"] ?? "")\(entry["input"] ?? "")"
    }
    #expect(Set(cases).count == cases.count && cases.count >= 120)
  }

  @Test("one message, within a second, and an exit code that says so", arguments: fixture.cases.indices)
  func refusal(number: Int) throws {
    let entry = Self.fixture.cases[number]
    let folder = try TemporaryFolder()
    for (name, value) in try #require(entry["files"] as? [String: [String: String]]) {
      let file = folder.url.appendingPathComponent(name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      let known = value["file"].map { Fixture.folder.appendingPathComponent("files/\($0)") }
      let bytes = try known.map { try Data(contentsOf: $0) } ?? Data(base64Encoded: value["base64"] ?? "")
      try #require(bytes).write(to: file)
    }
    let arguments = try #require(entry["arguments"] as? [String])
    let run = { try backprop(arguments, input: entry["input"] as? String ?? "", in: folder) }
    let clock = ContinuousClock()
    let start = clock.now
    let result = try run()
    var time = clock.now - start
    // On a busy machine a process may have to wait: the quickest of many counts.
    for _ in 0..<50 where time > Self.limit { time = min(time, try clock.measure { _ = try run() }) }
    #expect(result.errors == entry["errors"] as? String)
    #expect(result.status == Int32(entry["status"] as? Int ?? 0))
    #expect(result.status == 1 || result.status == 2)
    // One sentence, and where to find help when the arguments are wrong.
    let lines = result.errors.split(separator: "\n")
    #expect(lines.count == (result.status == 2 ? 2 : 1))
    #expect(lines.first?.hasPrefix("backprop: error: ") == true)
    #expect(!result.errors.contains("Backtrace") && !result.errors.contains("Fatal error"))
    #expect(time < Self.limit, "\(arguments)")
  }
}
