import Backprop

extension Benchmark {
  /// What `GradientMonitor` at its default costs the guide's program: epochs with and without it in turn.
  func monitoring(_ options: Options) throws {
    let train = try MNIST.load().train
    let models = try (0..<2).map { _ in try Networks.guide() }
    let monitors = [[], [GradientMonitor()]]
    var samples = models.map { _ in [Double]() }
    for round in 0..<16 {
      // The other one first every second time.
      for position in round % 2 == 0 ? [0, 1] : [1, 0] {
        let stopwatch = Stopwatch()
        try models[position].fit(
          train.images, train.labels, epochs: 2, batchSize: 64, verbose: .silent,
          callbacks: monitors[position] + [stopwatch])
        // The first round compiles.
        if round > 0 { samples[position] += stopwatch.seconds }
      }
    }
    guard (monitors[1][0] as? GradientMonitor)?.samples.isEmpty == false else {
      throw Failure(text: "the monitor measured nothing")
    }
    let without = Result(rawValue, arm: "without", unit: "an epoch", samples: samples[0])
    var with = Result(rawValue, arm: "GradientMonitor", unit: "an epoch", samples: samples[1])
    // Of epochs beside each other: what else the machine does changes from second to second.
    let ratios = zip(samples[1], samples[0]).map { $0 / $1 }
    with.ratio = ratios.sorted()[ratios.count / 2]
    for result in [without, with] { try result.show(asJSON: options.json) }
    if !options.json { check(with.ratio!, atMost: 1.10) }
  }
}
