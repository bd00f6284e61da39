import Backprop

/// The name of an optimizer, in Keras' spelling.
struct OptimizerName: ArgumentValue, Equatable {
  let name: String

  static var choices: [String] { Optimizer.all.map { String(describing: $0).lowercased() } }

  init(_ name: String) { self.name = name }
  init?(argument text: String) {
    guard Self.choices.contains(text) else { return nil }
    name = text
  }
  var argument: String { name }
}

/// How to train.
struct TrainingOptions: ParameterGroup {
  static let title = "Training"

  @Option("epochs", "N", "how many times to go over all rows", must: .positive)
  var epochs = 20

  @Option("batch-size", "N", "the rows of one step", must: .rows)
  var batchSize = 32

  @Option("optimizer", "NAME", "what turns gradients into new weights.")
  var optimizer = OptimizerName("adam")

  @Option(
    "learning-rate", "RATE", "the optimizer's learning rate; by default its own, 0.001 for adam",
    must: .positive)
  var learningRate: Double? = nil

  @Option(
    "validation-split", "SHARE",
    """
    keep this share of the rows, drawn at random, apart from training and evaluate it after each epoch. By default 0.2 \
    of a file; a named data set comes with rows to test with, which are evaluated instead.
    """, must: .share)
  var validationSplit: Double? = nil

  @Option(
    "patience", "EPOCHS",
    "end when the loss of the rows that are evaluated hasn't got better for so many epochs, with the best weights",
    must: .positive)
  var patience: Int? = nil

  @Option("seed", "N", "decides the initial weights, what dropout drops, and the order of the rows")
  var seed = 0

  @Flag("no-shuffle", "take the rows in the same order in every epoch")
  var noShuffle

  @Option("threads", "N", "use this many threads; by default one for each processor", must: .positive)
  var threads: Int? = nil

  /// Whether something was said about it.
  var choosesOptimizer: Bool { _optimizer.isGiven || _learningRate.isGiven }

  func makeOptimizer() throws -> Optimizer {
    try Optimizer.named(optimizer.name, config: learningRate.map { ["learning_rate": .number($0)] } ?? [:])
  }

  func applyThreads() { if let threads { Threads.count = threads } }
}
