import Backprop

/// `backprop explain`
struct ExplainCommand: Command {
  static let name = "explain"
  static let abstract = "show one step of backpropagation with all its numbers"
  static let discussion = [
    """
    Sends one sample through a small network and shows the four steps of backpropagation: forward (each layer's z and \
    activation), loss, backward (each δ, with the rule that made it), update (each weight's gradient, and the weight before \
    and after). Without FILE it makes a network of its own; the update is plain gradient descent.
    """,
    """
    With FILE the network is that of a model file, of dense layers and activations; a classifier's target is the number \
    of the class.
    """,
  ]
  static let examples = [
    Example("backprop explain", "two inputs, two hidden units, one output"),
    Example("backprop explain --sample 1,0 --target 1 --hidden 3 --activation tanh", "a network of your own"),
    Example("backprop explain --html step.html", "a page to look at, with the network drawn"),
    Example("backprop explain iris.keras --sample 5.1,3.5,1.4,0.2 --target 0", "a step of a trained model"),
  ]

  @Operand("FILE", "a model of dense layers (.keras)") var file: String? = nil
  @Option("sample", "NUMBERS", "the sample's numbers, with commas between them") var sample = Numbers([
    0.05, 0.1,
  ])
  @Option("target", "NUMBERS", "what the network should give: numbers, or the number of the class")
  var target = Numbers([0.9])
  @Option("hidden", "UNITS", "the units of each hidden layer, with commas between them, or none")
  var hidden = HiddenUnits([2])
  @Option("activation", "NAME", "the activation of hidden layers and output.") var activation =
    ActivationName("sigmoid")
  @Option("learning-rate", "RATE", "the length of the step", must: .positive) var learningRate: Double? = nil
  @Option("seed", "N", "decides the initial weights") var seed = 0
  @Option("html", "FILE", "write a page instead of text") var html: String? = nil

  func run() throws -> ExitCode {
    let model = try file.map { try sequential($0) } ?? network()
    if model.loss == nil {
      let isClassifier = model.outputWidth > 1 && target.values.count == 1
      try model.compile(
        optimizer: SGD(), loss: isClassifier ? .sparseCategoricalCrossentropy : .meanSquaredError)
    }
    let input = Tensor(sample.values.map { Float($0) })
    let isClass = model.loss?.name == "sparse_categorical_crossentropy"
    if isClass {
      guard target.values.count == 1, let label = Int32(exactly: target.values[0]), label >= 0 else {
        throw CommandError("--target: expected the number of a class, got '\(target.argument)'")
      }
    }
    let label =
      isClass ? Tensor(Int32(target.values[0])) : Tensor(target.values.map { Float($0) })
    let explanation = try model.explain(input, label: label, learningRate: learningRate ?? 0.5)
    if let html {
      try AtomicFile.write(to: html) { try $0.write(Array(explanation.html.utf8)) }
    } else {
      StandardOutput.writeLine(explanation.text)
    }
    return .success
  }

  private func sequential(_ path: String) throws -> Sequential {
    let model = try ModelFile(path).model
    guard let sequential = model as? Sequential else {
      throw CommandError("\(path): explain takes a Sequential model, this is a \(model.className)")
    }
    return sequential
  }

  private func network() throws -> Sequential {
    let activation = ActivationFunction(stringLiteral: self.activation.name)
    let layers = hidden.units.map { Dense($0, activation: activation) }
    let model = Sequential(layers + [Dense(target.values.count, activation: activation)], seed: seed)
    try model.build(sampleShape: [sample.values.count])
    try model.compile(optimizer: SGD(), loss: .meanSquaredError)
    return model
  }
}

/// Numbers with commas between them: `0.05,0.1`.
struct Numbers: ArgumentValue, Equatable {
  let values: [Double]

  static let expected = "numbers with commas between them, as 0.05,0.1"

  init(_ values: [Double]) { self.values = values }

  init?(argument text: String) {
    let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) ?? .nan }
    guard !numbers.isEmpty, numbers.allSatisfy(\.isFinite) else { return nil }
    values = numbers
  }

  var argument: String { values.map(\.argument).joined(separator: ",") }
}
