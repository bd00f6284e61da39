import Backprop
import Foundation
import TestSupport
import Testing

@testable import BackpropNetworks

/// `Documentation/Supported.md`: Keras' public classes, and what of them there is here. A row counts only where Keras' own
/// numbers for the class lie in a fixture, which other tests compare with ours.
@Suite("The table of what is supported") struct SupportTableTests {
  /// What the registries and the fixtures know of one of Keras' modules.
  private struct Module: Sendable {
    var name: String
    /// Whether a file can name it.
    var isKnown: @Sendable (String) -> Bool
    /// Fixtures whose cases have Keras' numbers, by how their names begin.
    var fixtures: [String]
    /// The key of a case that holds the name, or an object with a `class_name`.
    var key: String

    func goldenCounts() -> [String: Int] {
      var counts: [String: Int] = [:]
      for file in Self.fixtureNames where fixtures.contains(where: file.hasPrefix) {
        for golden in Fixture(file).cases {
          let value = golden[key]
          let object = value as? [String: Any]
          guard let name = value as? String ?? object?["class_name"] as? String else { continue }
          counts[name, default: 0] += 1
        }
      }
      return counts
    }

    private static let fixtureNames: [String] = {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: Fixture.folder.path)) ?? []
      return names.filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.sorted()
    }()
  }

  private static let modules: [Module] = [
    Module(
      name: "layers", isKnown: { (try? LayerRegistry.named($0)) != nil },
      fixtures: ["layers", "convolutions", "preprocessing"], key: "layer"),
    Module(
      name: "losses", isKnown: { (try? Loss(named: $0)) != nil }, fixtures: ["losses", "further_losses"],
      key: "loss"),
    Module(
      name: "metrics", isKnown: { Metric.Kind(rawValue: $0) != nil },
      fixtures: ["metrics", "further_metrics"],
      key: "metric"),
    Module(
      name: "optimizers", isKnown: { (try? Optimizer.named($0)) != nil },
      fixtures: ["optimizers", "further_optimizers"], key: "optimizer"),
    Module(
      name: "schedules", isKnown: { (try? LearningRateSchedule(named: $0)) != nil },
      fixtures: ["schedules", "further_schedules"], key: "schedule"),
    Module(
      name: "initializers", isKnown: { (try? Initializer(named: $0)) != nil }, fixtures: ["initializers"],
      key: "initializer"),
    Module(
      name: "regularizers", isKnown: { (try? Regularizer(named: $0)) != nil }, fixtures: ["regularizers"],
      key: "regularizer"),
    Module(
      name: "constraints", isKnown: { (try? Constraint(named: $0)) != nil }, fixtures: ["constraints"],
      key: "constraint"),
    Module(
      name: "activations", isKnown: { (try? ActivationFunction(named: $0)) != nil },
      fixtures: ["activations"], key: "activation"),
  ]

  private static func table() -> String {
    var text = """
      # What is supported of Keras

      Every public class of Keras \(keras), by module. *yes* means that the class is in this library's registry and that
      Keras' own numbers for it lie in `Tests/Fixtures`, in as many cases as the last column says; the tests compare ours
      with them; *untested*, that there are no such cases. `Lambda` is there in code, but no file can name it. Written by
      `scripts/support-table`.

      """
    for module in modules {
      let names =
        Fixture("surface").cases.first { $0["module"] as! String == module.name }!["names"] as! [String]
      let counts = module.goldenCounts()
      let supported = names.filter { module.isKnown($0) && counts[$0, default: 0] > 0 }
      text += "\n## \(module.name): \(supported.count) of \(names.count)\n\n| | | cases |\n|---|---|---|\n"
      for name in names {
        let count = counts[name, default: 0]
        let state = !module.isKnown(name) ? "no" : count > 0 ? "yes" : "untested"
        text += "| `\(name)` | \(state) | \(count > 0 ? "\(count)" : "") |\n"
      }
    }
    return text
  }

  private static var keras: String {
    (Fixture("surface").facts["versions"] as! [String: String])["keras"]!
  }

  @Test("is what registry and fixtures say")
  func table() throws {
    let file = Fixture.folder.deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Documentation/Supported.md")
    let table = Self.table()
    if ProcessInfo.processInfo.environment["BACKPROP_WRITE_TABLE"] == "1" {
      try table.write(to: file, atomically: true, encoding: .utf8)
    }
    let written = try String(contentsOf: file, encoding: .utf8)
    #expect(written == table, "run scripts/support-table")
  }
}
