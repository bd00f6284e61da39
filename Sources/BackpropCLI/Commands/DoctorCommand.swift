import Backprop
import Foundation

/// `backprop doctor`
struct DoctorCommand: Command {
  static let name = "doctor"
  static let abstract = "say what the program runs with, and whether it works"
  static let discussion = [
    """
    Prints the release of oneDNN, the instruction set of the program's own kernels, whether the processor has \
    instructions for bfloat16, threads, memory and where data sets are looked for, measures a matrix product, and trains \
    a small network whose gradient it compares with differences. Where something isn't right the line begins with \
    'problem:' and the exit status is 1. Good to have in a report.
    """
  ]
  static let examples = [
    Example("backprop doctor", "a line for each fact"),
    Example("backprop doctor --log json", "one object"),
  ]

  let log = LogOptions()

  func run() throws -> ExitCode {
    var facts: [(name: String, value: JSON, words: String)] = []
    var problems: [String] = []
    func add(_ name: String, _ value: JSON, _ words: String) { facts.append((name, value, words)) }
    let (loaded, built) = (Machine.oneDNNVersion, Machine.oneDNNHeaderVersion)
    add("onednn", .string(loaded), "oneDNN \(loaded)")
    if loaded.split(separator: ".").first != built.split(separator: ".").first {
      problems.append("oneDNN \(loaded) was loaded, but the program was built for \(built)")
    }
    add("instruction_set", .string(Threads.instructionSet), "kernels for \(Threads.instructionSet)")
    let hasBFloat16 = ProductPrecision.hasFastBFloat16
    add(
      "bfloat16_instructions", .bool(hasBFloat16),
      hasBFloat16
        ? "instructions for bfloat16: mixed_bfloat16 uses them"
        : "no instructions for bfloat16: mixed_bfloat16 computes as float32 does")
    add(
      "threads", .integer(Threads.count), "\(Threads.count) threads of \(Machine.processorCount) processors")
    add(
      "memory", .integer(Machine.memory), "\(short(Double(Machine.memory) / 1e9)) GB of memory")
    let speed = Machine.matmulSpeed()
    add(
      "matmul_flops", .number(speed.rounded()),
      "a float32 product of 1024 × 1024: \(short(speed / 1e9)) GFLOP/s")
    let folder = DataFolder.path
    let hasData = FileManager.default.fileExists(atPath: folder)
    add("data_folder", .string(folder), "data sets in \(folder)\(hasData ? "" : " (not there yet)")")
    for name in ["OMP_NUM_THREADS", "BACKPROP_DEBUG", "BACKPROP_VERIFY"] {
      guard let value = ProcessInfo.processInfo.environment[name] else { continue }
      add(name, .string(value), "\(name)=\(value)")
    }
    let error = try Self.gradientError()
    add("gradient_error", .number(error), "a gradient against differences: off by \(short(error))")
    if !(error < 1e-2) {
      problems.append("gradients are wrong by \(short(error)): the installation can't be trusted")
    }

    switch log.format {
    case .quiet: break
    case .plain:
      for fact in facts { StandardOutput.writeLine(fact.words) }
      for problem in problems { StandardOutput.writeLine("problem: \(problem)") }
    case .json:
      var object = JSON.object(facts.map { ($0.name, $0.value) })
      object.set("problems", .array(problems.map { .string($0) }))
      StandardOutput.writeLine(object.line)
    }
    return problems.isEmpty ? .success : .failure
  }

  /// The largest difference between the gradient of a small network's loss and central differences.
  private static func gradientError() throws -> Double {
    let model = Sequential {
      Dense(5, activation: .tanh)
      Dense(3, activation: .softmax)
    }
    try model.build(sampleShape: [4])
    let x = Tensor((0..<24).map { Float($0 % 7) / 4 - 0.75 }, shape: [6, 4])
    let y = Tensor((0..<6).map { Int32($0 % 3) })
    func loss(_ kernel: Tensor) -> Tensor {
      let weights = model.getWeights()
      let hidden = (x.matmul(kernel) + weights[1]).tanh()
      let outputs = (hidden.matmul(weights[2]) + weights[3]).softmax()
      return Loss.sparseCategoricalCrossentropy(y, outputs)
    }
    let kernel = model.getWeights()[0]
    let gradient = valueAndGradient(at: kernel) { loss($0) }.1.floats
    var worst = 0.0
    for place in 0..<kernel.count {
      func moved(_ by: Float) -> Double {
        var numbers = kernel.floats
        numbers[place] += by
        return loss(Tensor(numbers, shape: kernel.shape)).item()
      }
      worst = max(worst, abs((moved(0.01) - moved(-0.01)) / 0.02 - Double(gradient[place])))
    }
    return worst
  }
}
