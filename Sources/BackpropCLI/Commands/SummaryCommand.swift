import Backprop

/// `backprop summary`
struct SummaryCommand: Command {
  static let name = "summary"
  static let abstract = "list the layers of a network"
  static let discussion = [
    """
    Prints each layer with its output shape and number of parameters, as Keras does, and what a training step costs: \
    floating-point operations and memory. Shown is the model of FILE, or without one the network that train would build \
    from the same options.
    """,
    """
    With --log json it is one object: name, parameters, trainable_parameters, and for each layer its name, class, \
    output_shape (null stands for the batch) and parameters.
    """,
  ]
  static let examples = [
    Example("backprop summary", "the network that train builds for the embedded digits"),
    Example("backprop summary mnist.keras", "a saved model"),
    Example("backprop summary --data mnist --hidden 512,512 --dropout 0.2", "a larger one, for MNIST"),
  ]

  let data = DataOptions()
  let csv = CSVOptions()
  let images = ImageOptions()
  let network = NetworkOptions()
  let log = LogOptions()

  @Operand("FILE", "a model, as saved by train --output or by Keras 3 (.keras)") var file: String? = nil
  @Option("batch-size", "N", "the rows of the training step whose cost is shown", must: .rows)
  var batchSize = 32

  func validate() throws { try data.validate() }

  func run() throws -> ExitCode {
    let model = try file.map { try ModelFile($0).model } ?? trainedOnce()
    switch log.format {
    case .quiet: break
    case .plain: StandardOutput.writeLine(model.summaryText)
    case .json: StandardOutput.writeLine(Self.json(of: model).line)
    }
    return .success
  }

  /// What a step costs is known once it was compiled.
  private func trainedOnce() throws -> Model {
    let loaded = try data.load(csv, images)
    let task = try LearningTask(network.task, for: loaded)
    let model = try network.makeModel(loaded.sampleShape, for: task, seed: 0)
    try model.compile(optimizer: Adam(), loss: task.loss, metrics: task.metrics)
    try model.fit(
      loaded.rows.inputs, loaded.rows.labels, batchSize: batchSize, verbose: .silent, stepsPerEpoch: 1)
    return model
  }

  private static func json(of model: Model) -> JSON {
    let sizes = model.outputSizesOfLayers()
    let layers = model.layers.map { layer -> JSON in
      let sizes = sizes[ObjectIdentifier(layer)]?.first.map { sizes in
        JSON.array(sizes.map { size in size.map { .integer($0) } ?? .null })
      }
      return .object([
        ("name", .string(layer.name)), ("class", .string(layer.className)), ("output_shape", sizes ?? .null),
        ("parameters", .integer(layer.parameterCount)),
      ])
    }
    let trainable = model.trainableWeights.reduce(0) { $0 + $1.count }
    return .object([
      ("name", .string(model.name)), ("parameters", .integer(model.parameterCount)),
      ("trainable_parameters", .integer(trainable)), ("layers", .array(layers)),
    ])
  }
}
