import Backprop
import Foundation

/// `backprop profile`
struct ProfileCommand: Command {
  static let name = "profile"
  static let abstract = "say where the time of a training step goes"
  static let discussion = [
    """
    Compiles the training step of the network that train would build, or of the model FILE, runs it many times, and lists \
    its kernels in the order in which they run: median time, floating-point operations a second, bytes a second, and the \
    implementation. A kernel of oneDNN whose implementation is 'ref' or 'gemm' is slower than it could be.
    """,
    "With --log json it prints one object with the members step, overhead (seconds), arena, state (bytes) and kernels.",
  ]
  static let examples = [
    Example("backprop profile --data mnist --batch-size 64", "the step of the guide's program"),
    Example("backprop profile model.keras --data rows.csv", "the step of a saved model"),
  ]

  let data = DataOptions()
  let csv = CSVOptions()
  let images = ImageOptions()
  let network = NetworkOptions()
  let log = LogOptions()

  @Operand("FILE", "a model, as saved by train --output or by Keras 3 (.keras)") var file: String? = nil
  @Option("batch-size", "N", "the rows of a step", must: .rows) var batchSize = 32
  @Option("runs", "N", "how many steps each time is the median of", must: .positive) var runs: Int? = nil

  func validate() throws { try data.validate() }

  func run() throws -> ExitCode {
    let saved = try file.map { try ModelFile($0) }
    let loaded = try data.load(csv, images, for: saved?.sampleShape)
    let task = try LearningTask(network.task, for: loaded)
    let model: Model
    var inputs = loaded.rows.inputs
    if let saved {
      inputs = try saved.shaping(inputs, of: loaded.title)
      model = saved.model
      if !model.isCompiled { try model.compile(optimizer: Adam(), loss: task.loss, metrics: task.metrics) }
    } else {
      model = try network.makeModel(loaded.sampleShape, for: task, seed: 0)
      try model.compile(optimizer: Adam(), loss: task.loss, metrics: task.metrics)
    }
    let profile = try ModelFile.naming(loaded.title) {
      try model.profile(inputs, loaded.rows.labels, batchSize: batchSize, runs: runs ?? 300)
    }
    switch log.format {
    case .quiet: break
    case .plain: StandardOutput.writeLine(Self.table(profile))
    case .json: StandardOutput.writeLine(Self.json(profile).line)
    }
    return .success
  }

  private static func table(_ profile: StepProfile) -> String {
    var lines = ["      µs  share  GFLOP/s     GB/s  kernel"]
    let total = profile.kernels.reduce(0) { $0 + $1.seconds }
    for kernel in profile.kernels {
      let time = max(kernel.seconds, 1e-9)
      let numbers = String(
        format: "%8.1f  %4.0f%%  %7.1f  %7.1f", time * 1e6, 100 * time / max(total, 1e-9),
        Double(kernel.flops) / time / 1e9, Double(kernel.bytes) / time / 1e9)
      lines.append("\(numbers)  \(kernel.name) (\(kernel.implementation))")
    }
    lines.append(
      String(
        format:
          "a step takes %.1f µs, %.1f µs of it beside the kernels; %.2f MB of values, %.2f MB of weights and state",
        profile.step * 1e6, profile.overhead * 1e6, Double(profile.arenaBytes) / 1e6,
        Double(profile.stateBytes) / 1e6))
    return lines.joined(separator: "\n")
  }

  private static func json(_ profile: StepProfile) -> JSON {
    let kernels = profile.kernels.map { kernel in
      JSON.object([
        ("name", .string(kernel.name)), ("implementation", .string(kernel.implementation)),
        ("seconds", .number(kernel.seconds)), ("flops", .integer(kernel.flops)),
        ("bytes", .integer(kernel.bytes)),
      ])
    }
    return .object([
      ("step", .number(profile.step)), ("overhead", .number(profile.overhead)),
      ("arena", .integer(profile.arenaBytes)),
      ("state", .integer(profile.stateBytes)), ("kernels", .array(kernels)),
    ])
  }
}
