import Backprop

/// `backprop train`
struct TrainCommand: Command {
  static let name = "train"
  static let abstract = "train a network, say how good it is, and save it"
  static let discussion = [
    """
    Builds a network of dense layers, trains it on the rows of a data set or file, and evaluates it. Without arguments \
    it learns to read the handwritten digits that the program carries, which takes about a second.
    """,
    """
    After each epoch it reports the loss and, for classification, the accuracy (for regression, the mean absolute \
    error) on the training rows and, as val_loss and so on, on rows that it was not trained on. On a terminal a bar \
    shows progress; in a pipe or file there is one line an epoch.
    """,
    """
    An interrupt (Ctrl-C) or SIGTERM ends training after the current step; what was reached is saved and reported all the same. \
    A second one ends the program at once. A loss that is no longer a number ends training before the weights are \
    touched, and the message says at which step and in which layer it began.
    """,
    """
    With --checkpoint DIR all that the run is made of is kept in DIR: after each epoch, where training is \
    interrupted, and with --checkpoint-steps in between. The same command with --resume goes on from there, in the \
    middle of an epoch too, and ends with the same bits as a run that was never interrupted, whatever ended the first \
    one. The file appears whole or not at all; a power cut or kill -9 can't damage it.
    """,
    """
    With --log json each epoch is an object with the members event ("epoch"), epoch, steps, seconds and the numbers \
    above; the last line has event "end", the loss and metrics of the rows named by its member data ("test", \
    "validation" or "training"), and whether a signal ended training.
    """,
  ]
  static let examples = [
    Example("backprop train", "train on the embedded digits"),
    Example(
      "backprop train --data mnist --epochs 5 --batch-size 64",
      "two hidden layers of 64 on MNIST: about 97 % of the test images are read rightly"),
    Example(
      "backprop train --data wine.csv --label quality --output wine.keras",
      "learn one column of a table from the others, and keep what was learned"),
    Example(
      "backprop train --data images.idx.gz --labels labels.idx.gz --log json",
      "train on IDX files and write a line of JSON for each epoch"),
    Example(
      "backprop train --data flowers/ --image-size 64x64",
      "train on the images of a folder that has a folder for each class"),
    Example("backprop train --start digits.keras --epochs 5", "train a saved model further"),
    Example(
      "backprop train --data mnist --epochs 50 --checkpoint run --resume",
      "train through crashes and reboots: started again it goes on where it was"),
  ]
  static let exitCodes = [ExitCode.interrupted, .terminated]

  let data = DataOptions()
  let csv = CSVOptions()
  let images = ImageOptions()
  let network = NetworkOptions()
  let training = TrainingOptions()
  let checkpoints = CheckpointOptions()
  let reports = ReportOptions()
  let log = LogOptions()

  @Option(
    "output", short: "o", "FILE", "save the model to this file, which must end in .keras; Keras 3 opens it")
  var output: String? = nil

  @Option(
    "start", "FILE",
    "go on from this saved model (.keras) instead of a new network, with its loss and optimizer")
  var start: String? = nil

  func validate() throws {
    try data.validate()
    try checkpoints.validate()
    if start != nil, let option = network.given {
      throw UsageError("\(option) describes a new network; --start brings its own")
    }
  }

  func run() throws -> ExitCode {
    training.applyThreads()
    // Now, not after an hour of training.
    if let output { try KerasFile.checkWritable(output) }
    let backup = try checkpoints.makeCallback()
    let saved = try start.map { try ModelFile($0, seed: training.seed) }
    let loaded = try data.load(csv, images, for: saved?.sampleShape).shaped(for: saved)
    let parts = try TrainingParts(loaded, split: training.validationSplit, seed: training.seed)
    if training.patience != nil, parts.validation == nil {
      throw CommandError("--patience watches rows that are kept apart; give --validation-split above 0")
    }
    let task = try LearningTask(network.task, for: loaded)
    let model: Model
    if let saved {
      model = saved.model
      let optimizer = training.choosesOptimizer || model.optimizer == nil ? try training.makeOptimizer() : nil
      try saved.compile(for: loaded.rows.labels, optimizer: optimizer)
    } else {
      model = try network.makeModel(loaded.sampleShape, for: task, seed: training.seed)
      try model.compile(optimizer: try training.makeOptimizer(), loss: task.loss, metrics: task.metrics)
    }

    let reporter = TrainingReporter(log.format)
    reporter.begin(loaded.title, parts, task, model)
    Interruption.watch()
    if output != nil || backup != nil { Interruption.outlivePipes() }
    let stopping = training.patience.map { EarlyStopping(patience: $0, restoreBestWeights: true) }
    let (reporting, monitor) = reports.makeCallbacks(parts.validation)
    var callbacks: [Callback] = [Interruption.Watcher(), reporter] + reporting
    if let stopping { callbacks.append(stopping) }
    if let backup { callbacks.append(backup) }
    do {
      try model.fit(
        parts.train.inputs, parts.train.labels, epochs: training.epochs, batchSize: training.batchSize,
        verbose: .silent, callbacks: callbacks + reporter.companions, validationData: parts.validation,
        shuffle: !training.noShuffle)
    } catch let error as DataError {
      if reporter.steps > 0 { rescue(model) }
      throw error
    }
    if let output { try model.save(output) }
    let final = try model.evaluate(parts.final.rows, batchSize: training.batchSize)
    reporter.end(final, on: parts.final.name, stoppedAfter: stopping?.stoppedEpoch, savedTo: output)
    if reports.gradients, let monitor { reporter.tell(monitor.verdict) }
    return Interruption.exitCode ?? .success
  }
}

extension TrainCommand {
  /// A log, report or checkpoint that can't be written ends training; what was learned until then isn't lost.
  private func rescue(_ model: Model) {
    guard let output else { return }
    do {
      try model.save(output)
      StandardError.writeLine("\(CommandLineTool.name): what was trained until then is saved to \(output)")
    } catch {
      StandardError.writeLine("\(CommandLineTool.name): error: \(error)")
    }
  }
}

/// The rows of a data set by what they are used for.
struct TrainingParts {
  /// Of files, which come without rows to test with.
  static let splitOfFiles = 0.2

  let train: LabelledData
  /// Evaluated after each epoch.
  let validation: LabelledData?
  let test: LabelledData?

  init(_ data: LoadedData, split: Double?, seed: Int) throws {
    test = data.test
    let share = split ?? (data.test == nil ? Self.splitOfFiles : 0)
    let (rest, kept) = data.rows.split(testFraction: share, seed: seed)
    if share > 0, rest.count == 0 || kept.count == 0 {
      guard split == nil else {
        throw CommandError(
          "\(data.title): --validation-split \(share) of \(data.rows.count) rows leaves one part empty")
      }
      (train, validation) = (data.rows, nil)
      return
    }
    train = share > 0 ? rest : data.rows
    validation = share > 0 ? kept : data.test
  }

  /// What the last report is about.
  var final: (name: String, rows: LabelledData) {
    if let test { return ("test", test) }
    return validation.map { ("validation", $0) } ?? ("training", train)
  }
}

extension LearningTask {
  var loss: Loss {
    switch self {
    case .classification: .sparseCategoricalCrossentropy
    case .regression: .meanSquaredError
    }
  }

  var metrics: [Metric] {
    switch self {
    case .classification: [.accuracy]
    case .regression: [.meanAbsoluteError]
    }
  }
}
