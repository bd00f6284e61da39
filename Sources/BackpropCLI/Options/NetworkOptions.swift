import Backprop
import Foundation

/// Units of the hidden layers, as `64,64`; `none` for no hidden layer.
struct HiddenUnits: ArgumentValue, Equatable {
  let units: [Int]

  static let expected = "the units of each hidden layer, as 64,64, or none"

  init(_ units: [Int]) { self.units = units }

  init?(argument text: String) {
    if text == "none" {
      units = []
      return
    }
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard parts.allSatisfy({ (1...1_000_000).contains($0) }) else { return nil }
    units = parts
  }

  var argument: String { units.isEmpty ? "none" : units.map(String.init).joined(separator: ",") }
}

/// The name of an activation, in Keras' spelling.
struct ActivationName: ArgumentValue, Equatable {
  let name: String

  static var choices: [String] { ActivationFunction.names }

  init(_ name: String) { self.name = name }
  init?(argument text: String) {
    guard Self.choices.contains(text) else { return nil }
    name = text
  }
  var argument: String { name }
}

/// What the labels are.
enum TaskChoice: String, CaseIterable, ArgumentValue {
  case auto, classification, regression
}

/// What a network is made for.
enum LearningTask: Equatable {
  /// Labels are 0..<classes.
  case classification(classes: Int)
  case regression

  /// The numbers that come out for a row.
  var outputs: Int {
    switch self {
    case .classification(let classes): classes
    case .regression: 1
    }
  }

  /// More classes than this are taken for quantities unless one says so.
  private static let mostClasses = 1000

  /// Class numbers are whole numbers from 0 on; anything else is a quantity to predict.
  init(_ choice: TaskChoice, for data: LoadedData) throws {
    if choice == .regression {
      self = .regression
      return
    }
    let labels = data.rows.labels
    let largest = Self.largestClass(labels.stored)
    if choice == .auto {
      self =
        largest.map { $0 < Self.mostClasses ? .classification(classes: $0 + 1) : .regression } ?? .regression
      return
    }
    guard let largest else {
      throw CommandError(
        "\(data.title): expected labels that are class numbers (0, 1, …) for --task classification")
    }
    self = .classification(classes: largest + 1)
  }

  /// nil where a label isn't a class number.
  private static func largestClass(_ labels: Tensor) -> Int? {
    guard labels.count == labels.shape.dimensions.first else { return nil }
    var largest = 1
    for value in labels.cast(to: .float64).doubles {
      guard value >= 0, value == value.rounded(), value < 1e9 else { return nil }
      largest = max(largest, Int(value))
    }
    return largest
  }
}

/// The network that the program builds: dense layers.
struct NetworkOptions: ParameterGroup {
  static let title = "Network"

  @Option("hidden", "UNITS", "the units of each hidden dense layer, with commas between them, or none")
  var hidden = HiddenUnits([64, 64])

  @Option("activation", "NAME", "the activation of the hidden layers.")
  var activation = ActivationName("relu")

  @Option(
    "dropout", "SHARE", "the share of each hidden layer's outputs that training drops at random", must: .share
  )
  var dropout = 0.0

  @Option(
    "scale", "FACTOR",
    "multiply the inputs by this first, say 0.0039215686 for bytes; becomes a part of the network")
  var scale: Double? = nil

  @Option(
    "task", "TASK",
    """
    what to learn: classification ends in a softmax over classes numbered from 0 and minimises cross-entropy, \
    regression in one number and minimises the squared error. auto chooses classification where all labels are whole \
    numbers from 0 to 999.
    """)
  var task = TaskChoice.auto

  /// Options that describe a new network, where one was given.
  var given: String? {
    let options: [any NamedParameter] = [_hidden, _activation, _dropout, _scale]
    return options.first(where: \.isGiven)?.title
  }

  /// A network for samples of a shape; what isn't a list of numbers is made one.
  ///
  /// - Throws: ``CommandError`` when training it takes more memory than there is.
  func makeModel(_ sample: Shape, for task: LearningTask, seed: Int) throws -> Sequential {
    try checkMemory(widths: [sample.elementCount] + hidden.units + [task.outputs])
    let activation = try ActivationFunction(named: self.activation.name)
    return Sequential(seed: seed) {
      Input(sample)
      if sample.rank > 1 { Flatten() }
      if let scale { Rescaling(scale) }
      for units in hidden.units {
        Dense(units, activation: activation)
        if dropout > 0 { Dropout(dropout) }
      }
      switch task {
      case .classification(let classes): Dense(classes, activation: .softmax)
      case .regression: Dense(1)
      }
    }
  }

  /// Each parameter is there four times: itself, its gradient, and two averages of the optimizer.
  private func checkMemory(widths: [Int]) throws {
    let parameters = zip(widths, widths.dropFirst()).reduce(0.0) { $0 + (Double($1.0) + 1) * Double($1.1) }
    let needed = parameters * 4 * 4
    let memory = Double(ProcessInfo.processInfo.physicalMemory)
    if needed <= memory { return }
    func gigabytes(_ bytes: Double) -> String { String(format: "%.0f GB", bytes / 1e9) }
    throw CommandError(
      "--hidden \(hidden.argument): \(String(format: "%.3g", parameters)) parameters take \(gigabytes(needed)) to "
        + "train, this machine has \(gigabytes(memory)); choose fewer units")
  }
}
