import Backprop
import Foundation

struct Options {
  var json = false
  var profile = false
  /// A folder where weights, inputs and answers are left for the peers.
  var exchange: String?
}

func usage(_ problem: String) -> Never {
  let names = Benchmark.allCases.map(\.rawValue).joined(separator: " | ")
  FileHandle.standardError.write(
    Data(
      "\(problem)\nusage: benchmarks \(names) [--json] [--profile] [--threads N] [--exchange FOLDER]\n".utf8))
  exit(2)
}

var options = Options()
var name: String?
var arguments = CommandLine.arguments.dropFirst().makeIterator()
while let argument = arguments.next() {
  switch argument {
  case "--json": options.json = true
  case "--profile": options.profile = true
  case "--exchange":
    guard let folder = arguments.next() else { usage("--exchange needs a folder") }
    options.exchange = folder
  case "--threads":
    guard let count = arguments.next().flatMap(Int.init), count > 0 else {
      usage("--threads needs a number above 0")
    }
    Threads.count = count
  case _ where argument.hasPrefix("-"): usage("unknown option '\(argument)'")
  default: name = argument
  }
}
guard let name else { usage("which benchmark?") }
guard let benchmark = Benchmark(rawValue: name) else { usage("there is no benchmark '\(name)'") }
do {
  try benchmark.run(options)
} catch {
  FileHandle.standardError.write(Data("benchmarks: \(error)\n".utf8))
  exit(1)
}
