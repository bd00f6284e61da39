import Backprop
import Foundation

/// What one arm of a benchmark measured: printed as a line of text or as one JSON object.
struct Result: Encodable {
  var name: String
  var arm: String
  var unit: String
  var median_s: Double
  var min_s: Double
  var peak_rss_mb: Double
  var threads: Int
  var accuracy: Double?
  /// Seconds of a step beside its kernels, where that was measured.
  var overhead_s: Double?
  /// The median beside what the benchmark compares it with.
  var ratio: Double?

  init(
    _ name: String, arm: String = "backprop", unit: String, samples: [Double], threads: Int = Threads.count,
    accuracy: Double? = nil
  ) {
    self.name = name
    self.arm = arm
    self.unit = unit
    let sorted = samples.sorted()
    median_s = sorted[sorted.count / 2]
    min_s = sorted[0]
    self.threads = threads
    self.accuracy = accuracy
    peak_rss_mb = Double(peakMemory()) / 1e6
  }

  func show(asJSON: Bool) throws {
    if asJSON {
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      print(String(decoding: try encoder.encode(self), as: UTF8.self))
      return
    }
    var line = "\(name), \(arm): median \(format(median_s)) s \(unit), least \(format(min_s)), "
    line += "peak memory \(Int(peak_rss_mb)) MB, \(threads) threads"
    if let accuracy { line += ", accuracy \(format(accuracy))" }
    if let overhead_s { line += ", beside the kernels \(format(overhead_s * 1e6)) µs" }
    if let ratio { line += ", ratio \(format(ratio))" }
    print(line)
  }
}

/// Says whether a figure that Backprop is held to is reached.
func check(_ ratio: Double, atMost limit: Double) {
  print("\(ratio <= limit ? "reached" : "NOT reached") \(format(ratio)), at most \(limit)")
}

func check(_ ratio: Double, atLeast limit: Double) {
  print("\(ratio >= limit ? "reached" : "NOT reached") \(format(ratio)), at least \(limit)")
}

func format(_ number: Double) -> String { String(format: "%.4g", number) }

/// Bytes of memory that this process had at most.
func peakMemory() -> Int {
  var usage = rusage()
  #if os(Linux)
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  #else
    getrusage(RUSAGE_SELF, &usage)
    return usage.ru_maxrss
  #endif
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
  let duration = try ContinuousClock().measure(body)
  return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}
