import BackpropTensors
import Foundation
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

@testable import BackpropCLI

@Suite("Seeing what happens: explain, gradients, profile, doctor, completions")
struct SeeingTests {
  @Test("explain shows the four steps, and a page that needs nothing else")
  func explain() throws {
    let result = try backprop(["explain", "--seed", "1"])
    #expect(result.status == 0, "\(result.errors)")
    for words in [
      "1. Forward", "2. Loss", "3. Backward", "4. Update", "dense_1 W[1]", "The loss on this sample was",
    ] {
      #expect(result.output.contains(words), "\(words)")
    }
    let folder = try TemporaryFolder()
    let page = folder.url.appendingPathComponent("step.html").path
    #expect(
      try backprop(["explain", "--sample", "1,0,2", "--target", "1", "--hidden", "3", "--html", page]).status
        == 0)
    let html = try String(contentsOfFile: page, encoding: .utf8)
    #expect(html.hasPrefix("<!DOCTYPE html>") && html.contains("<svg") && !html.contains("http"))
    let wrong = try backprop(["explain", "--sample", "1,x"])
    #expect(wrong.status == 2 && wrong.errors.contains("--sample: expected numbers with commas between them"))
  }

  @Test(
    "the article's numbers and picture are what explain shows, and the picture is a file that opens by itself"
  )
  func article() throws {
    let catalogue = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Sources/Backprop/Backprop.docc")
    func text(_ name: String) throws -> String {
      try String(contentsOf: catalogue.appendingPathComponent(name), encoding: .utf8)
    }
    let folder = try TemporaryFolder()
    let shown = try backprop(["explain"], in: folder).output
    let quoted = try text("SeeingGradients.md").components(separatedBy: "```")[1]
    #expect(shown.contains(quoted.dropFirst().dropLast()))

    #expect(try backprop(["explain", "--html", "step.html"], in: folder).status == 0)
    let page = try String(contentsOf: folder.url.appendingPathComponent("step.html"), encoding: .utf8)
    let (start, end) = (page.range(of: "<line"), page.range(of: "</svg>"))
    let drawn = page[try #require(start).lowerBound..<(try #require(end).upperBound)]
    let picture = try text("Resources/explain.svg")
    #expect(picture.hasSuffix(drawn + "\n") || picture.hasSuffix(drawn))
    // Browsers forgive in a page what they don't in a file of its own.
    #expect(XMLParser(data: Data(picture.utf8)).parse())
  }

  @Test("explain of a saved classifier")
  func explainFile() throws {
    let folder = try TemporaryFolder()
    let model = folder.url.appendingPathComponent("m.keras").path
    #expect(
      try backprop(["train", "--epochs", "1", "--hidden", "3", "--output", model, "--log", "quiet"]).status
        == 0)
    let sample = (0..<64).map { String($0 % 16) }.joined(separator: ",")
    let result = try backprop(["explain", model, "--sample", sample, "--target", "3"])
    #expect(result.status == 0 && result.output.contains("softmax with cross-entropy"), "\(result.errors)")
    let misfit = try backprop(["explain", model, "--sample", "1,2", "--target", "3"])
    #expect(
      misfit.status == 1 && misfit.errors.contains("expected samples of shape [64], got [2]"),
      "\(misfit.errors)")
    let label = try backprop(["explain", model, "--sample", sample, "--target", "1.5"])
    #expect(label.status == 1 && label.errors.contains("expected the number of a class"))
  }

  @Test("train --gradients gives a verdict; --tensorboard and --csv-log write files")
  func train() throws {
    let folder = try TemporaryFolder()
    let result = try backprop(
      [
        "train", "--epochs", "2", "--gradients", "--tensorboard", "runs", "--csv-log", "log.csv", "--report",
        "r.html",
      ], in: folder)
    #expect(
      result.status == 0 && result.output.contains("gradients are healthy"),
      "\(result.output) \(result.errors)")
    #expect(
      folder.names.contains("runs") && folder.names.contains("log.csv") && folder.names.contains("r.html"))
    let log = try String(contentsOf: folder.url.appendingPathComponent("log.csv"), encoding: .utf8)
    #expect(
      log.split(separator: "\n").count == 3 && log.hasPrefix("epoch,accuracy,loss,val_accuracy,val_loss\n"),
      "\(log)")
    let sick = try backprop(
      [
        "train", "--epochs", "2", "--gradients", "--log", "json", "--activation", "sigmoid", "--hidden",
        Array(repeating: "16", count: 12).joined(separator: ","),
      ])
    let last = try #require(try sick.objects().last)
    #expect(last["event"] as? String == "gradients")
    let kinds = (last["findings"] as? [[String: Any]])?.compactMap { $0["kind"] as? String }
    #expect(kinds == ["vanishing"], "\(sick.output)")
  }

  @Test("profile lists kernels that add up")
  func profile() throws {
    let objects = try backprop(["profile", "--runs", "20", "--log", "json"]).objects()
    let kernels = try #require(objects.first?["kernels"] as? [[String: Any]])
    #expect(!kernels.isEmpty && kernels.allSatisfy { ($0["seconds"] as? Double ?? 0) > 0 })
    let plain = try backprop(["profile", "--runs", "20"])
    #expect(plain.status == 0 && plain.lines.count == kernels.count + 2, "\(plain.output)")
  }

  @Test("doctor finds this machine well")
  func doctor() throws {
    let result = try backprop(["doctor", "--log", "json"])
    #expect(result.status == 0, "\(result.output)")
    let object = try #require(try result.objects().first)
    #expect((object["gradient_error"] as? Double).map { $0 < 1e-2 } == true)
    #expect((object["problems"] as? [Any])?.isEmpty == true && object["onednn"] is String)
    #expect(object["bfloat16_instructions"] as? Bool == ProductPrecision.hasFastBFloat16)
    #expect(try backprop(["doctor"]).output.contains("oneDNN "))
  }

  @Test("bash completes commands, options and choices")
  func bash() throws {
    let folder = try TemporaryFolder()
    let script = try folder.write(try backprop(["completions", "bash"]).output, to: "completions.bash")
    func complete(_ words: String...) throws -> [String] {
      let process = Process()
      let pipe = Pipe()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      let list = words.map { "'\($0)'" }.joined(separator: " ")
      process.arguments = [
        "bash", "-c",
        "source '\(script)'; COMP_WORDS=(\(list)); COMP_CWORD=\(words.count - 1); _backprop; printf '%s\\n' \"${COMPREPLY[@]}\"",
      ]
      process.standardOutput = pipe
      try process.run()
      let data = pipe.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    }
    #expect(try complete("backprop", "tr") == ["train"])
    #expect(try complete("backprop", "train", "--check") == ["--checkpoint", "--checkpoint-steps"])
    #expect(try complete("backprop", "train", "--log", "") == ["plain", "json", "quiet"])
    #expect(try complete("backprop", "help", "ins") == ["inspect"])
    let zsh = try backprop(["completions", "zsh"])
    #expect(
      zsh.status == 0 && zsh.output.hasPrefix("#compdef backprop\n")
        && zsh.output.contains("--checkpoint-steps["))
  }
}
