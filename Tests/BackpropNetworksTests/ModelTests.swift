import Backprop
import Testing

@testable import BackpropNetworks

/// Four clouds of points on a plane, one class each.
func clouds(_ count: Int, seed: Int = 1) -> LabelledData {
  let random = RandomGenerator(seed: seed)
  let labels = Tensor((0..<count).map { UInt8($0 % 4) })
  let centres = Tensor([[2, 2], [-2, 2], [-2, -2], [2, -2]] as [[Float]])
  return LabelledData(centres.gathered(labels) + random.normal([count, 2]) * 0.5, labels)
}

func network(seed: Int = 0, dropout: Double = 0) -> Sequential {
  Sequential(seed: seed) {
    Dense(16, activation: .relu)
    if dropout > 0 { Dropout(dropout) }
    Dense(4, activation: .softmax)
  }
}

@Suite("Models", .serialized) struct ModelTests {
  @Test("fit, evaluate and predict agree, compiled and eager", arguments: [false, true])
  func learns(_ runsEagerly: Bool) throws {
    let (train, test) = (clouds(500), clouds(100, seed: 2))
    let model = network()
    try model.compile(
      optimizer: Adam(learningRate: 0.01), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy],
      runEagerly: runsEagerly)
    let history = try model.fit(train, epochs: 8, batchSize: 32, verbose: .silent, validationData: test)
    let result = try model.evaluate(test)
    #expect(result["accuracy"]! > 0.97)
    #expect(history["loss"].count == 8 && history["loss"].last! < history["loss"].first! / 2)
    #expect(abs(history["val_loss"].last! - result.loss) < 1e-6)
    let predictions = try model.predict(test.inputs)
    #expect(predictions.shape == [100, 4])
    let correct = (predictions.argMax(axis: -1) .== test.labels.stored).cast(to: .float32).mean().item()
    #expect(abs(correct - result["accuracy"]!) < 1e-6)
    #expect(model.compiledMetrics.map(\.className) == ["SparseCategoricalAccuracy"])
  }

  @Test("compiled and eager training give the same weights")
  func eagerEqualsCompiled() throws {
    func trained(_ runsEagerly: Bool) throws -> [Tensor] {
      let model = network(seed: 3, dropout: 0.3)
      try model.compile(
        optimizer: SGD(learningRate: 0.05, momentum: 0.9), loss: .sparseCategoricalCrossentropy,
        runEagerly: runsEagerly)
      try model.fit(clouds(70), epochs: 2, batchSize: 16, verbose: .silent)
      return model.getWeights()
    }
    for (a, b) in zip(try trained(true), try trained(false)) { expectClose(a, b, atol: 1e-5, rtol: 1e-4) }
  }

  @Test("the same seed gives the same bits over 300 steps, on one thread and on two")
  func determinism() async {
    // In a process of its own: other tests' programs take their number of threads meanwhile.
    await #expect(processExitsWith: .success) {
      func trained(_ seed: Int) throws -> [[Float]] {
        let model = Sequential(seed: seed) {
          Dense(256, activation: .relu)
          Dropout(0.3)
          Dense(128, activation: .relu)
          Dropout(0.2)
          Dense(4, activation: .softmax)
        }
        try model.compile(optimizer: "adam", loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
        try model.fit(clouds(640), epochs: 30, batchSize: 64, verbose: .silent)
        #expect(model.optimizer?.iterations == 300)
        return model.getWeights().map(\.floats)
      }
      for threads in [1, 2] {
        Threads.count = threads
        let first = try trained(5)
        #expect(try trained(5) == first)
        #expect(try trained(6) != first)
      }
    }
  }

  @Test("predict from 16 tasks at once gives what one gives")
  func concurrentPrediction() async throws {
    let model = network()
    let inputs = clouds(200).inputs
    let expected = try model.predict(inputs).floats
    let results = await withTaskGroup(of: [Float]?.self) { group in
      for task in 0..<16 {
        group.addTask { try? model.predict(inputs, batchSize: 16 + task % 3).floats }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(results.count == 16)
    for result in results {
      expectClose(Tensor(result ?? []), Tensor(expected), atol: 1e-6)
    }
  }

  @Test("validationSplit keeps the last rows apart, before shuffling")
  func validationSplit() throws {
    let data = clouds(100)
    let model = network()
    try model.compile(optimizer: SGD(learningRate: 0.1), loss: .sparseCategoricalCrossentropy)
    let history = try model.fit(
      data.inputs, data.labels, epochs: 2, verbose: .silent, validationSplit: 0.2)
    let kept = try model.evaluate(data.inputs[80..<100], data.labels[80..<100])
    #expect(abs(history["val_loss"].last! - kept.loss) < 1e-6)
    #expect(model.optimizer?.iterations == 6)
  }

  @Test("a data set in memory, in batches, and as a sequence trains alike")
  func sources() throws {
    let data = clouds(90)
    func trained(_ fit: (Sequential) throws -> Void) throws -> [Tensor] {
      let model = network()
      try model.compile(optimizer: "adam", loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
      try fit(model)
      return model.getWeights()
    }
    let memory = try trained {
      try $0.fit(data.inputs, data.labels, epochs: 2, batchSize: 32, verbose: .silent, shuffle: false)
    }
    let dataset = try trained { try $0.fit(data.batched(32), epochs: 2, verbose: .silent) }
    let batches = [0..<32, 32..<64, 64..<90].map { rows in
      Batch(data.inputs[rows].tensor, data.labels[rows].tensor)
    }
    let sequence = try trained { try $0.fit(batches, epochs: 2, verbose: .silent) }
    let single = try trained { model in
      for _ in 0..<2 { for batch in batches { try model.trainOnBatch(batch) } }
    }
    for other in [dataset, sequence, single] {
      for (a, b) in zip(memory, other) { #expect(a.floats == b.floats) }
    }
  }

  @Test("bytes that are scaled train as the floats they read as")
  func scaledColumns() throws {
    let bytes = (RandomGenerator(seed: 4).uniform([64, 10]) * 255).cast(to: .uint8)
    let labels = Tensor((0..<64).map { UInt8($0 % 4) })
    func trained(_ column: Column) throws -> [Float] {
      let model = network()
      try model.compile(optimizer: "adam", loss: .sparseCategoricalCrossentropy)
      try model.fit(column, labels, epochs: 3, verbose: .silent)
      return try model.predict(column).floats
    }
    let scaled = Column(bytes, scale: 1 / 255)
    #expect(try trained(scaled) == trained(Column(scaled.tensor)))
  }

  @Test("class weights are sample weights by class")
  func classWeights() throws {
    let data = clouds(64)
    let weights = Tensor(data.labels.stored.integers.map { Float($0 == 2 ? 5 : 1) })
    func trained(_ classWeight: [Int: Double]?, _ sampleWeight: Tensor?) throws -> [Tensor] {
      let model = network()
      try model.compile(optimizer: SGD(learningRate: 0.1), loss: .sparseCategoricalCrossentropy)
      try model.fit(
        data.inputs, data.labels, verbose: .silent, classWeight: classWeight, sampleWeight: sampleWeight)
      return model.getWeights()
    }
    let (a, b) = (try trained([2: 5], nil), try trained(nil, weights))
    for (x, y) in zip(a, b) { expectClose(x, y, atol: 1e-6) }
    let plain = try trained(nil, nil)
    #expect(plain[0].floats != a[0].floats)
  }

  @Test("a frozen layer keeps its weights; thawing it retraces")
  func freezing() throws {
    let data = clouds(64)
    let model = network()
    try model.compile(optimizer: SGD(learningRate: 0.1), loss: .sparseCategoricalCrossentropy)
    try model.build(sampleShape: [2])
    let first = model.layers[0]
    let start = first.getWeights()[0].floats
    first.trainable = false
    try model.fit(data, verbose: .silent)
    #expect(first.getWeights()[0].floats == start)
    #expect(model.trainableWeights.map(\.path) == ["sequential/dense_1/kernel", "sequential/dense_1/bias"])
    first.trainable = true
    try model.fit(data, verbose: .silent)
    #expect(first.getWeights()[0].floats != start)
  }

  @Test("regularisers and constraints take part")
  func penalties() throws {
    let data = clouds(64)
    let model = Sequential {
      Dense(8, activation: .relu, kernelRegularizer: .l2(0.1), kernelConstraint: .maxNorm(0.5))
      Dense(4, activation: .softmax)
    }
    try model.compile(optimizer: SGD(learningRate: 0.1), loss: .sparseCategoricalCrossentropy)
    try model.fit(data, epochs: 3, verbose: .silent)
    let kernel = model.weights[0].value
    #expect(kernel.squared().sum(axes: [0]).sqrt().max().item() <= 0.5001)
    let plain = try model.predict(data.inputs)
    let loss = Loss.sparseCategoricalCrossentropy(data.labels.stored, plain).item()
    #expect(
      abs(try model.evaluate(data, batchSize: 64).loss - loss - kernel.squared().sum().item() * 0.1) < 1e-4)
  }

  @Test("a shared layer has one set of weights")
  func sharing() throws {
    let shared = Dense(2, name: "shared")
    let model = Sequential([shared, shared])
    try model.build(sampleShape: [2])
    #expect(model.weights.map(\.path) == ["sequential/shared/kernel", "sequential/shared/bias"])
    #expect(model.parameterCount == 6)
    try model.compile(optimizer: SGD(learningRate: 0.01), loss: .mse)
    try model.fit(clouds(32).inputs, Tensor.ones([32, 2]), verbose: .silent)
  }

  @Test("summary reads as Keras'")
  func summary() throws {
    let model = Sequential {
      Input([784])
      Dense(64, activation: .relu)
      Dense(64, activation: .relu)
      Dense(10, activation: .softmax)
    }
    let table = model.summaryText
    #expect(
      table == """
        Model: "sequential"
        ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
        ┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
        ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
        │ dense (Dense)                   │ (None, 64)             │        50,240 │
        ├─────────────────────────────────┼────────────────────────┼───────────────┤
        │ dense_1 (Dense)                 │ (None, 64)             │         4,160 │
        ├─────────────────────────────────┼────────────────────────┼───────────────┤
        │ dense_2 (Dense)                 │ (None, 10)             │           650 │
        └─────────────────────────────────┴────────────────────────┴───────────────┘
         Total params: 55,050 (215.04 KB)
         Trainable params: 55,050 (215.04 KB)
         Non-trainable params: 0 (0.00 B)
        """)
    try model.compile(optimizer: "adam", loss: .sparseCategoricalCrossentropy)
    try model.fit(Tensor.ones([4, 784]), Tensor([1, 2, 3, 4] as [Int32]), verbose: .silent)
    let lines = model.summaryText.split(separator: "\n")
    #expect(lines.contains(" Optimizer params: 110,102 (430.09 KB)"))
    #expect(lines.contains(" Total params: 165,152 (645.13 KB)"))
    #expect(lines.last!.hasPrefix(" Training step: "))
    #expect(Sequential([Dense(3)]).summaryText.contains("0 (unbuilt)"))
  }
}
