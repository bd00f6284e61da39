import BackpropTensors
import Foundation

/// All that a run of `fit` is made of, between two steps: a run that goes on from here ends with the same bits as one
/// that was never interrupted.
///
/// Weights and the other layers' state, the optimizer's state, random counters, counters of loss and metrics, epoch and
/// step, what decides the order of the data, and what callbacks remember. ``Callback/captureTrainingState()`` takes one;
/// `fit(resumeFrom:)` goes on from one. The library's files hold it as a checkpoint.
public struct TrainingState: Sendable {
  /// Where training stands: `step` steps of epoch `epoch` (from 0) are done.
  public struct Position: Hashable, Sendable {
    public var epoch: Int
    public var step: Int

    public init(epoch: Int, step: Int = 0) {
      self.epoch = epoch
      self.step = step
    }
  }

  /// What decides which rows a step takes.
  public struct DataOrder: Hashable, Sendable {
    /// nil for a ``Dataset``, which decides itself.
    public var rows: Int?
    public var batchSize: Int?
    public var seed: Int
    public var shuffles: Bool

    package init(rows: Int?, batchSize: Int?, seed: Int, shuffles: Bool) {
      (self.rows, self.batchSize, self.seed, self.shuffles) = (rows, batchSize, seed, shuffles)
    }
  }

  /// What the same bits take besides.
  public struct Machine: Hashable, Sendable {
    public var threads: Int
    /// Of the kernels: `x86-64-v4` and so on.
    public var instructionSet: String

    package init(threads: Int, instructionSet: String) {
      (self.threads, self.instructionSet) = (threads, instructionSet)
    }

    public static var current: Machine {
      Machine(threads: Threads.count, instructionSet: Threads.instructionSet)
    }
  }

  public var position: Position
  /// Steps of all epochs together.
  public var stepCount: Int
  /// Whether training ended before its last epoch because a callback found it good enough.
  public var isFinished: Bool
  public var order: DataOrder
  public var machine: Machine
  /// By the callback's class, numbered where there are several.
  package var callbacks: [String: CallbackState]
  /// Of model, optimizer, random numbers and metrics.
  package var tensors: [String: Tensor]

  package init(
    position: Position, stepCount: Int, isFinished: Bool, order: DataOrder, machine: Machine,
    callbacks: [String: CallbackState], tensors: [String: Tensor]
  ) {
    self.position = position
    self.stepCount = stepCount
    self.isFinished = isFinished
    self.order = order
    self.machine = machine
    self.callbacks = callbacks
    self.tensors = tensors
  }
}

/// What a callback must remember for a resumed run to be the same run.
public struct CallbackState: Sendable {
  public var values: [String: ConfigValue]
  public var tensors: [String: Tensor]

  public init(values: [String: ConfigValue] = [:], tensors: [String: Tensor] = [:]) {
    self.values = values
    self.tensors = tensors
  }
}

/// What `fit` can go on from.
public protocol TrainingStateSource: Sendable {
  /// nil where there is nothing yet: training begins at the beginning.
  func trainingState() throws -> TrainingState?
  /// Gets a sentence where going on will not give the same bits; unless defined, it goes to standard error.
  func warn(_ sentence: String)
}

extension TrainingStateSource {
  public func warn(_ sentence: String) {
    StandardStream.error.writeLine("warning: \(sentence)")
  }
}

extension TrainingState: TrainingStateSource {
  public func trainingState() -> TrainingState? { self }
}

// MARK: - Taking and giving back

extension Model {
  /// Everything that training changes, by name.
  var trainingVariables: [(name: String, variable: Variable)] {
    var result = namedWeights.map { ("weights/\($0.name)", $0.weight.variable) }
    for (index, variable) in (optimizer?.variables ?? []).enumerated() {
      result.append(("optimizer/\(index)", variable))
    }
    result.append(("random/model", random.state))
    for (index, generator) in generators.enumerated() {
      result.append(("random/\(index)", generator.state))
    }
    for (index, variable) in carriedState.enumerated() { result.append(("carried/\(index)", variable)) }
    // Two outputs may have metrics of one name.
    for (place, tracker) in (compiled.withLock { $0?.trackers } ?? []).enumerated() {
      for (index, variable) in tracker.variables.enumerated() {
        result.append(("metrics/\(place)/\(tracker.name)/\(index)", variable))
      }
    }
    return result
  }

  /// The weights by their paths below the model, with dots: `dense.kernel`.
  package var namedWeights: [(name: String, weight: Weight)] {
    let prefix = "\(path)/"
    var taken: [String: Int] = [:]
    return weights.map { weight in
      let below = weight.path.hasPrefix(prefix) ? String(weight.path.dropFirst(prefix.count)) : weight.path
      let name = below.split(separator: "/").joined(separator: ".")
      // Layers that a user named alike.
      let count = taken[name, default: 0]
      taken[name] = count + 1
      return (count == 0 ? name : "\(name)#\(count)", weight)
    }
  }

  /// What stateful layers carry from batch to batch.
  private var carriedState: [Variable] {
    var seen: Set<ObjectIdentifier> = []
    func visit(_ layer: Layer) -> [Variable] {
      guard seen.insert(ObjectIdentifier(layer)).inserted else { return [] }
      return layer.carriedVariables + layer.sublayers.flatMap(visit)
    }
    return visit(self)
  }

  /// Random numbers that layers draw for themselves, from seeds of their own.
  private var generators: [RandomGenerator] {
    var found: [RandomGenerator] = []
    var seen: Set<ObjectIdentifier> = [ObjectIdentifier(random)]
    func note(_ value: Any) {
      guard let generator = value as? RandomGenerator, seen.insert(ObjectIdentifier(generator)).inserted
      else { return }
      found.append(generator)
    }
    func visit(_ layer: Layer) {
      guard seen.insert(ObjectIdentifier(layer)).inserted else { return }
      var mirror: Mirror? = Mirror(reflecting: layer)
      while let level = mirror, level.subjectType != Layer.self {
        for child in level.children {
          let value = Mirror(reflecting: child.value)
          if value.displayStyle == .optional {
            value.children.first.map { note($0.value) }
          } else {
            note(child.value)
          }
        }
        mirror = level.superclassMirror
      }
      for sublayer in layer.sublayers { visit(sublayer) }
    }
    visit(self)
    return found
  }
}

extension TrainingState {
  /// Writes the numbers into a model that is built and compiled.
  ///
  /// - Throws: ``ModelError`` naming what is missing, of another shape, or nobody's; nothing is changed then.
  func restore(_ model: Model) throws {
    var rest = tensors
    var values: [(Variable, Tensor)] = []
    for (name, variable) in model.trainingVariables {
      guard let value = rest.removeValue(forKey: name) else {
        throw ModelError(
          .argument,
          "the checkpoint has no '\(name)' (\(variable.name), \(variable.type)); it is of another model")
      }
      guard value.type == variable.type else {
        throw ModelError(
          .shape,
          "the checkpoint's '\(name)' is \(value.type), that of the model (\(variable.name)) \(variable.type)"
        )
      }
      values.append((variable, value))
    }
    if let name = rest.keys.min() {
      throw ModelError(
        .argument, "the checkpoint has '\(name)', which the model hasn't; it is of another model or optimizer"
      )
    }
    for (variable, value) in values { variable.store(value) }
  }

  /// - Throws: ``ModelError`` where the data would come in another order.
  func checkOrder(_ other: DataOrder) throws {
    func differ(_ what: String, _ mine: String, _ given: String) -> ModelError {
      ModelError(
        .argument,
        "the checkpoint was made with \(what) \(mine), this fit has \(given); resume with the same \(what)")
    }
    if order.seed != other.seed { throw differ("model seed", "\(order.seed)", "\(other.seed)") }
    if order.shuffles != other.shuffles {
      throw differ("shuffle", "\(order.shuffles)", "\(other.shuffles)")
    }
    // Between two epochs other data may take over.
    guard position.step > 0 else { return }
    if order.rows != other.rows {
      throw differ(
        "training rows", order.rows.map(String.init) ?? "from a data set",
        other.rows.map(String.init) ?? "from a data set")
    }
    if order.batchSize != other.batchSize {
      throw differ(
        "batchSize", order.batchSize.map(String.init) ?? "none", other.batchSize.map(String.init) ?? "none")
    }
  }

  /// Why the same bits can't be promised here; nil where they can.
  public func difference(from here: Machine) -> String? {
    var parts: [String] = []
    func threads(_ count: Int) -> String { count == 1 ? "1 thread" : "\(count) threads" }
    if machine.threads != here.threads {
      parts.append("\(threads(machine.threads)) there, \(threads(here.threads)) here")
    }
    if machine.instructionSet != here.instructionSet {
      parts.append("\(machine.instructionSet) there, \(here.instructionSet) here")
    }
    guard !parts.isEmpty else { return nil }
    return "the checkpoint was made on another machine (\(parts.joined(separator: "; "))): "
      + "training goes on, but may end with other bits than the run that it continues"
  }
}
