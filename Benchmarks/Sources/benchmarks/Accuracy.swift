import Backprop

/// What real tasks are learned to.
enum Accuracy {
  private struct Task {
    var name: String
    var data: (train: LabelledData, test: LabelledData)
    var epochs: Int
    /// The least share of the test images.
    var limit: Double
    var network: (_ seed: Int) -> Sequential
  }

  /// Test accuracies over seeds 0–2. The learning rate falls to zero along a cosine.
  static func run() throws {
    let tasks = [
      Task(
        name: "LeNet-5 on MNIST", data: try MNIST.load(shape: [28, 28, 1]), epochs: 6, limit: 0.99,
        network: leNet),
      Task(
        name: "two convolutions on Fashion-MNIST", data: try FashionMNIST.load(shape: [28, 28, 1]),
        epochs: 10,
        limit: 0.915, network: twoConvolutions),
    ]
    for task in tasks {
      let accuracies = try (0..<3).map { seed in
        let time = ContinuousClock.now
        let accuracy = try learn(task, seed)
        print(
          "\(task.name), seed \(seed): \(format(accuracy)) after \(task.epochs) epochs, \(ContinuousClock.now - time)"
        )
        return accuracy
      }
      check(accuracies.min()!, atLeast: task.limit)
    }
  }

  private static func learn(_ task: Task, _ seed: Int) throws -> Double {
    let (train, test) = task.data
    let batchSize = 64
    let steps = task.epochs * ((train.count + batchSize - 1) / batchSize)
    let model = task.network(seed)
    try model.compile(
      optimizer: Adam(learningRate: .cosineDecay(0.002, decaySteps: steps)),
      loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
    try model.fit(train, epochs: task.epochs, batchSize: batchSize, verbose: .silent)
    return try model.evaluate(test)["accuracy"]!
  }

  /// LeNet-5's sizes (LeCun et al., 1998) with today's activations and pooling: 61,706 parameters.
  private static func leNet(seed: Int) -> Sequential {
    Sequential(seed: seed) {
      Conv2D(6, kernelSize: 5, padding: .same, activation: .relu)
      MaxPooling2D()
      Conv2D(16, kernelSize: 5, activation: .relu)
      MaxPooling2D()
      Flatten()
      Dense(120, activation: .relu)
      Dense(84, activation: .relu)
      Dense(10, activation: .softmax)
    }
  }

  private static func twoConvolutions(seed: Int) -> Sequential {
    Sequential(seed: seed) {
      Conv2D(32, kernelSize: 3, padding: .same, activation: .relu)
      MaxPooling2D()
      Conv2D(64, kernelSize: 3, padding: .same, activation: .relu)
      MaxPooling2D()
      Flatten()
      Dropout(0.4)
      Dense(128, activation: .relu)
      Dropout(0.4)
      Dense(10, activation: .softmax)
    }
  }
}
