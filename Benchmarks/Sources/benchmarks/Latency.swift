import Backprop

/// Networks whose answer to one sample is timed.
enum LatencyNetwork {
  case guide, convnet

  func model() throws -> Sequential {
    switch self {
    case .guide: try Networks.guide()
    case .convnet: try Networks.convnet()
    }
  }

  var sample: Shape {
    switch self {
    case .guide: [1, 784]
    case .convnet: [1, 28, 28, 1]
    }
  }
}

extension Benchmark {
  /// Seconds of each call of `predict` with one sample, its result read.
  func latency(_ network: LatencyNetwork, _ options: Options) throws -> Result {
    let model = try network.model()
    let x = RandomGenerator(seed: 1).uniform(network.sample)
    let answer = try model.predict(x)
    if let folder = options.exchange {
      var tensors = ["x": x, "y": answer]
      for (number, weight) in model.getWeights().enumerated() { tensors["w\(number)"] = weight }
      try Safetensors.save(tensors, to: "\(folder)/\(rawValue).safetensors")
    }
    for _ in 0..<500 { _ = try model.predict(x) }
    var samples: [Double] = []
    let end = ContinuousClock.now + .seconds(3)
    while ContinuousClock.now < end {
      var result: [Float] = []
      samples.append(try seconds { result = try model.predict(x).floats })
      guard result == answer.floats else { throw Failure(text: "the answers differ") }
    }
    return Result(rawValue, unit: "a sample", samples: samples)
  }
}
