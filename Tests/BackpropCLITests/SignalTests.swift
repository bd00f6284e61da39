import Foundation
import Testing

@testable import BackpropCLI

@Suite("Signals", .serialized) struct SignalTests {
  private func training(_ log: String, in folder: TemporaryFolder) throws -> Program {
    let program = try Program(["train", "--epochs", Program.many, "--log", log], in: folder)
    try #require(program.wait { $0.outputSoFar.contains(log == "json" ? "\"epoch\": 3" : "Epoch 3/") })
    return program
  }

  @Test(
    "an interrupt ends training after the step, with a report", arguments: [(SIGINT, 130), (SIGTERM, 143)])
  func report(number: Int32, status: Int) throws {
    let folder = try TemporaryFolder()
    let program = try training("json", in: folder)
    program.send(number)
    let result = try program.finish()
    #expect(result.status == Int32(status))
    #expect(result.errors == "")
    let objects = try result.objects()
    let end = try #require(objects.last)
    #expect(end["event"] as? String == "end")
    #expect(end["signal"] as? Int == Int(number))
    #expect(try #require(end["accuracy"] as? Double) > 0.5)
    #expect(end["steps"] as? Int == objects.dropLast().compactMap { $0["steps"] as? Int }.reduce(0, +))
  }

  @Test("for people it says so") func words() throws {
    let folder = try TemporaryFolder()
    let program = try training("plain", in: folder)
    program.send(SIGINT)
    let result = try program.finish()
    #expect(result.status == 130)
    #expect(result.lines.dropLast().last?.hasPrefix("Training was ended early by an interrupt") == true)
    #expect(result.lines.last?.hasPrefix("test: loss ") == true)
  }

  @Test("a mask that was handed down doesn't keep signals away", arguments: [SIGINT, SIGTERM])
  func mask(number: Int32) throws {
    let folder = try TemporaryFolder()
    var blocked = sigset_t()
    var before = sigset_t()
    sigemptyset(&blocked)
    sigaddset(&blocked, number)
    pthread_sigmask(SIG_BLOCK, &blocked, &before)
    let program = Result { try training("json", in: folder) }
    pthread_sigmask(SIG_SETMASK, &before, nil)
    let running = try program.get()
    running.send(number)
    try #require(running.wait { !$0.isRunning })
    #expect(try running.finish().status == 128 + number)
  }

  @Test("an epoch that is told of had steps") func emptyEpoch() throws {
    // Signals fall anywhere, also between epochs.
    for _ in 0..<10 {
      let folder = try TemporaryFolder()
      let program = try training("plain", in: folder)
      program.send(SIGINT)
      let result = try program.finish()
      #expect(!result.output.contains("loss: 0.0000 - accuracy: 0.0000"))
    }
  }
}
