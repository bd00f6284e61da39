import Backprop
import Foundation

/// What can be measured, by name.
enum Benchmark: String, CaseIterable {
  case seedMLP = "seed-mlp"
  case seedEager = "seed-eager"
  case mlpWide = "mlpwide"
  case autoencoder = "autoenc"
  case convnet
  case resnet20
  /// mlpwide and resnet20 under `mixed_bfloat16` beside float32.
  case bf16
  case lstm, gru
  case gpt
  case coldStart = "coldstart"
  /// What `coldstart` starts.
  case coldStartOnce = "coldstart-once"
  /// Test accuracies of the guide's program over seeds 0–9.
  case seeds
  /// Test accuracies of convolutional networks on MNIST and Fashion-MNIST.
  case accuracy
  /// `predict` of one sample: both of the next two.
  case latency
  case latencyGuide = "latency-guide"
  case latencyConvnet = "latency-convnet"
  /// Saving and loading a model of 400 MB beside the disk's own speed.
  case files
  /// The guide's program with and without `GradientMonitor`.
  case monitor

  func run(_ options: Options) throws {
    switch self {
    case .seedMLP: try epochs(eager: false, options).show(asJSON: options.json)
    case .seedEager: try epochs(eager: true, options).show(asJSON: options.json)
    case .mlpWide:
      try steps(Networks.wide(), batch(256), labels(256), options).show(asJSON: options.json)
    case .autoencoder:
      let x = batch(256)
      try steps(Networks.autoencoder(), x, x, options).show(asJSON: options.json)
    case .convnet:
      let x = RandomGenerator(seed: 1).uniform([128, 28, 28, 1])
      try steps(Networks.convnet(), x, labels(128), options).show(asJSON: options.json)
    case .resnet20:
      let x = RandomGenerator(seed: 1).uniform([128, 32, 32, 3])
      try steps(Networks.resnet20(), x, labels(128), options).show(asJSON: options.json)
    case .bf16: try mixedPrecision(options)
    case .gpt:
      let text = RandomGenerator(seed: 1).integers([12, 2 * 64], in: 0..<65)
      let (x, y) = (text.sliced(axis: 1, from: 0, count: 64), text.sliced(axis: 1, from: 64, count: 64))
      try steps(Networks.gpt(), x, y, options).show(asJSON: options.json)
    case .lstm, .gru:
      let words = RandomGenerator(seed: 1).integers([32, 200], in: 0..<20_000)
      let model = try self == .lstm ? Networks.recurrent(LSTM(128)) : Networks.recurrent(GRU(128))
      try steps(model, words, Tensor((0..<32).map { Int32($0 % 2) }), options).show(asJSON: options.json)
    case .coldStart: try coldStart(options).show(asJSON: options.json)
    case .coldStartOnce: try coldStartOnce()
    case .seeds: try seeds()
    case .accuracy: try Accuracy.run()
    case .latency:
      for benchmark in [Self.latencyGuide, .latencyConvnet] { try benchmark.run(options) }
    case .latencyGuide: try latency(.guide, options).show(asJSON: options.json)
    case .latencyConvnet: try latency(.convnet, options).show(asJSON: options.json)
    case .files: try FileSpeed.run(options)
    case .monitor: try monitoring(options)
    }
  }

  /// Seconds of each epoch but the first, as a user's callback sees them.
  private func epochs(eager: Bool, _ options: Options) throws -> Result {
    let (train, test) = try MNIST.load()
    let model = try Networks.guide(eager: eager)
    let stopwatch = Stopwatch()
    try model.fit(
      train.images, train.labels, epochs: eager ? 3 : 6, batchSize: 64, verbose: .silent,
      callbacks: [stopwatch])
    let accuracy = try model.evaluate(test.images, test.labels)["accuracy"]
    var result = Result(
      rawValue, unit: "an epoch", samples: Array(stopwatch.seconds.dropFirst()),
      accuracy: accuracy)
    if !eager {
      let profile = try model.profile(train.images, train.labels, batchSize: 64)
      result.overhead_s = profile.overhead
      if options.profile { show(profile) }
    }
    return result
  }

  /// Seconds of each call of `trainOnBatch` on the same batch, its loss read.
  private func steps(_ model: Model, _ x: Tensor, _ y: Tensor, _ options: Options) throws -> Result {
    let first = try model.trainOnBatch(x, y)["loss"]!
    for _ in 0..<4 { _ = try model.trainOnBatch(x, y) }
    var samples: [Double] = []
    let end = ContinuousClock.now + .seconds(8)
    while samples.count < 10 || (ContinuousClock.now < end && samples.count < 300) {
      samples.append(try seconds { _ = try model.trainOnBatch(x, y) })
    }
    let last = try model.trainOnBatch(x, y)["loss"]!
    guard last < first else { throw Failure(text: "the loss was \(first) at first and is \(last) now") }
    let result = Result(rawValue, unit: "a step", samples: samples)
    if options.profile { show(try model.profile(x, y, batchSize: x.shape[0], runs: 50)) }
    return result
  }

  /// Both policies in turn, three times; each figure is the median of all steps.
  private func mixedPrecision(_ options: Options) throws {
    let images = RandomGenerator(seed: 1).uniform([128, 32, 32, 3])
    let networks: [(name: String, x: Tensor, limit: Double, make: () throws -> Model)] = [
      ("mlpwide", batch(256), 0.65, { try Networks.wide() }),
      ("resnet20", images, 0.70, { try Networks.resnet20() }),
    ]
    let policies: [DTypePolicy] = [.float32, .mixedBFloat16]
    for network in networks {
      let models = try policies.map { try DTypePolicy.withDefault($0, network.make) }
      let y = labels(network.x.shape[0])
      var samples = models.map { _ in [Double]() }
      for _ in 0..<3 {
        for (position, model) in models.enumerated() {
          for _ in 0..<3 { _ = try model.trainOnBatch(network.x, y) }
          let end = ContinuousClock.now + .seconds(2)
          while ContinuousClock.now < end {
            samples[position].append(try seconds { _ = try model.trainOnBatch(network.x, y) })
          }
        }
      }
      let results = zip(policies, samples).map { policy, samples in
        Result(network.name, arm: "backprop \(policy)", unit: "a step", samples: samples)
      }
      for result in results { try result.show(asJSON: options.json) }
      if options.profile {
        show(try models[1].profile(network.x, y, batchSize: network.x.shape[0], runs: 20))
      }
      if !options.json {
        check(results[1].median_s / results[0].median_s, atMost: network.limit)
      }
    }
  }

  private func batch(_ rows: Int) -> Tensor { RandomGenerator(seed: 1).uniform([rows, 784]) }

  private func labels(_ rows: Int) -> Tensor { Tensor((0..<rows).map { Int32($0 * 7 % 10) }) }

  // MARK: Cold start

  /// From starting the process to its word that the first training step is done.
  private func coldStart(_ options: Options) throws -> Result {
    let samples = try (0..<7).map { _ in
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      process.arguments = [Benchmark.coldStartOnce.rawValue]
      let output = Pipe()
      process.standardOutput = output
      let time = try seconds {
        try process.run()
        _ = output.fileHandleForReading.availableData
      }
      process.waitUntilExit()
      return time
    }
    return Result(rawValue, unit: "to the first step's end", samples: samples)
  }

  private func coldStartOnce() throws {
    let model = try Networks.guide()
    _ = try model.trainOnBatch(batch(64), Tensor((0..<64).map { Int32($0 % 10) }))
    FileHandle.standardOutput.write(Data("done\n".utf8))
  }

  private func seeds() throws {
    let (train, test) = try MNIST.load()
    let accuracies = try (0..<10).map { (seed: Int) -> Double in
      let model = try Networks.guide(seed: seed)
      try model.fit(train.images, train.labels, epochs: 5, batchSize: 64, verbose: .silent)
      let accuracy = try model.evaluate(test.images, test.labels)["accuracy"]!
      print("seed \(seed): \(format(accuracy))")
      return accuracy
    }
    let sorted = accuracies.sorted()
    print(
      "median \(format((sorted[4] + sorted[5]) / 2)), least \(format(sorted[0])), largest \(format(sorted[9]))"
    )
  }
}

struct Failure: Error, CustomStringConvertible {
  let text: String
  var description: String { text }
}

/// Each kernel with its share of the step and what it reaches.
private func show(_ profile: StepProfile) {
  let total = profile.kernels.reduce(0) { $0 + $1.seconds }
  let peak = profile.kernels.map { Double($0.flops) / $0.seconds }.max() ?? 1
  print("      µs  share  GFLOP/s  of best   GB/s  kernel")
  for kernel in profile.kernels {
    let rate = Double(kernel.flops) / kernel.seconds
    print(
      String(
        format: "%8.2f %5.1f%% %8.1f %7.0f%% %6.1f  ", kernel.seconds * 1e6, kernel.seconds / total * 100,
        rate / 1e9,
        rate / peak * 100, Double(kernel.bytes) / kernel.seconds / 1e9)
        + "\(kernel.name) [\(kernel.implementation)]")
  }
  print(
    "sum \(format(total * 1e6)) µs; step \(format(profile.step * 1e6)) µs, bare loop \(format(profile.bareLoop * 1e6)) µs"
  )
}

/// Notes how long each epoch takes.
final class Stopwatch: Callback, @unchecked Sendable {
  private(set) var seconds: [Double] = []
  private var start = ContinuousClock.now

  override func onEpochBegin(_ epoch: Int) throws { start = ContinuousClock.now }

  override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws {
    let duration = ContinuousClock.now - start
    seconds.append(Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18)
  }
}
