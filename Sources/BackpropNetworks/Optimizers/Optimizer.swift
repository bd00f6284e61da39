import BackpropTensors
import Synchronization

/// What turns gradients into new weights.
///
/// An optimizer of your own is a subclass with three methods, written in tensor operations; its state is kept, saved and
/// compiled for it:
///
/// ```swift
/// final class SignSGD: Optimizer, @unchecked Sendable {
///   override var className: String { "SignSGD" }
///   override func update(
///     _ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues
///   ) -> Tensor {
///     parameter - gradient.sign() * step.learningRate
///   }
/// }
/// ```
///
/// Every optimizer takes Keras' common arguments (``OptimizerOptions``): weight decay, three ways to clip, a moving
/// average of the weights, accumulation of gradients.
open class Optimizer: @unchecked Sendable {
  /// A value that an optimizer keeps for each weight.
  public struct Slot: Hashable, Sendable {
    public var name: String
    /// What its elements are at first.
    public var initialValue: Double
    /// nil: the weight's.
    public var shape: Shape?
    /// nil: the weight's.
    public var dtype: DType?
    /// It is a copy of the weight at first.
    public var beginsAsWeight: Bool

    public init(
      _ name: String, initialValue: Double = 0, shape: Shape? = nil, dtype: DType? = nil,
      beginsAsWeight: Bool = false
    ) {
      self.name = name
      self.beginsAsWeight = beginsAsWeight
      self.initialValue = initialValue
      self.shape = shape
      self.dtype = dtype
    }
  }

  /// The scalars of one step, computed once for all weights.
  public struct StepValues: Sendable {
    public var learningRate: Tensor
    /// Whatever ``Optimizer/prepare(step:learningRate:)`` gave.
    public var prepared: [Tensor]
  }

  /// Keras' arguments under Keras' keys: all that the optimizer was made from.
  public let config: [String: ConfigValue]
  public let options: OptimizerOptions
  public let schedule: LearningRateSchedule?
  /// Steps taken, int64.
  package let iteration: Variable
  /// nil where a schedule computes the rate.
  private let rate: Variable?
  /// Of learning rate and shared state: float64 under that policy, float32 otherwise.
  let floatx: DType
  private let state = Mutex(OptimizerState())
  let eagerUpdate = EagerUpdate()

  /// From Keras' configuration; keys that are missing have their defaults.
  public required init(config: [String: ConfigValue]) {
    self.config = config
    options = OptimizerOptions(config)
    schedule = LearningRateSchedule(config["learning_rate"])
    floatx = DTypePolicy.floatx
    iteration = Variable(Tensor(0 as Int), name: "iteration")
    let rate = config["learning_rate"]?.double ?? 0.001
    self.rate = schedule == nil ? Variable(Self.scalar(rate, floatx), name: "learning_rate") : nil
  }

  // MARK: What an optimizer defines

  /// Keras' class name.
  open var className: String { String(describing: Swift.type(of: self)) }

  /// The slots, in the groups in which Keras lists them: of each group all weights' slots, then the next group.
  open var slotGroups: [[Slot]] { [] }

  /// The same where it depends on the weight.
  func slotGroups(for weight: Weight) -> [[Slot]] { slotGroups }

  /// Scalars that are kept from step to step for all weights together.
  open var sharedSlots: [Slot] { [] }

  /// The decay of one weight; nil: none.
  func weightDecay(of weight: Weight) -> Double? { options.weightDecay }

  /// Scalars that all weights share; `step` is a float and counts from 1.
  open func prepare(step: Tensor, learningRate: Tensor) -> [Tensor] { [] }

  /// The same, with the ``sharedSlots``, which get their new values here.
  open func prepare(step: Tensor, learningRate: Tensor, shared: inout [Tensor]) -> [Tensor] {
    prepare(step: step, learningRate: learningRate)
  }

  /// The new value of one weight. Nothing but tensor operations, so that it fuses into one pass over memory.
  open func update(_ parameter: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues) -> Tensor {
    programmerError("\(className) doesn't define update(_:gradient:slots:step:)")
  }

  /// β as Keras has it in βᵗ, which is `power(of: beta1, step)`: rounded to float32, whatever the dtype.
  public static func power(of beta: Double, _ step: Tensor) -> Tensor {
    scalar(Double(Float(beta)), step.dtype).power(step)
  }

  static func scalar(_ value: Double, _ dtype: DType) -> Tensor {
    Tensor(repeating: value, shape: [], dtype: dtype)
  }

  /// 1 − β in the weight's dtype where Keras computes it there: in float32 that is 0.00099998713 for 0.999.
  func complement(of beta: Double, _ dtype: DType) -> Double {
    dtype == .float64 ? 1 - beta : Double(1 - Float(beta))
  }

  // MARK: State

  public var name: String { config["name"]?.text ?? className.lowercased() }

  /// Steps taken so far.
  public var iterations: Int { iteration.stored.integers[0] }

  /// The learning rate of the next step. Setting it stops the program where a schedule decides it.
  public var learningRate: Double {
    get { (rate?.stored ?? schedule!(iteration.stored)).item() }
    set {
      guard let rate else {
        programmerError("\(name): a schedule decides the learning rate; it can't be set")
      }
      rate.store(Self.scalar(newValue, floatx))
    }
  }

  /// All state in Keras' order: iteration, learning rate, averages, accumulators, slots.
  package var variables: [Variable] {
    [iteration] + (rate.map { [$0] } ?? []) + state.withLock { $0.inOrder }
  }

  /// Makes the state for `weights`, keeping what is there for those that are known.
  package func build(_ weights: [Weight]) {
    let groups = weights.map { slotGroups(for: $0) }
    state.withLock { $0.build(weights, options: options, groups: groups, shared: sharedSlots, dtype: floatx) }
  }

  var isBuilt: Bool { state.withLock { $0.weightCount > 0 } }

  // MARK: One step

  /// Gives each weight its new value and counts the step; a nil gradient leaves its weight alone.
  package func apply(_ gradients: [Tensor?], to weights: [Weight]) {
    build(weights)
    let count = iteration.value
    let rate = self.rate?.value ?? schedule!(count)
    let accumulated = options.gradientAccumulationSteps
    let updates = accumulated.map { (count + 1).remainder(dividingBy: Tensor($0)) .== 0 }
    let steps = accumulated.map { count.floorDivided(by: Tensor($0)) } ?? count
    let shared = state.withLock { $0.shared }
    let sharedBefore = shared.map(\.value)
    var sharedAfter = sharedBefore
    let step = (steps + 1).cast(to: floatx)
    let values = StepValues(
      learningRate: rate, prepared: prepare(step: step, learningRate: rate, shared: &sharedAfter))

    let present = zip(weights, gradients).compactMap { weight, gradient in gradient.map { (weight, $0) } }
    var usable = present.map { $0.1 }
    if let scale = options.lossScaleFactor { usable = usable.map { $0 / scale } }
    let states = present.map { weight, _ in state.withLock { $0[weight] } }
    let sums = usable
    if let accumulated {
      usable = zip(usable, states).map { ($0 + $1.accumulator!.value) / Double(accumulated) }
    }
    usable = options.clipped(usable)
    for (position, (weight, _)) in present.enumerated() {
      let slots = states[position]
      let old = weight.variable.value
      var parameter = old
      if let decay = weightDecay(of: weight), !options.isExcludedFromDecay(weight) {
        parameter = parameter - parameter * decay * rate
      }
      let before = slots.slots.map(\.value)
      var after = before
      parameter = update(parameter, gradient: usable[position], slots: &after, step: values)
      if let updates, let accumulator = slots.accumulator {
        parameter = Tensor.select(updates, parameter, old)
        after = zip(before, after).map { Tensor.select(updates, $1, $0) }
        let sum = sums[position] + accumulator.value
        accumulator.value = Tensor.select(updates, Tensor.zeros(like: sum), sum)
      }
      for (slot, value) in zip(slots.slots, after) { slot.value = value }
      if let average = slots.average { parameter = averaged(parameter, average, steps) }
      if let constraint = weight.constraint { parameter = constraint(parameter) }
      weight.variable.value = parameter
    }
    for (position, variable) in shared.enumerated() {
      let (old, new) = (sharedBefore[position], sharedAfter[position])
      variable.value = updates.map { Tensor.select($0, new, old) } ?? new
    }
    iteration.value = count + 1
  }

  /// Moves the average; the weight becomes the average every `emaOverwriteFrequency` steps.
  private func averaged(_ parameter: Tensor, _ average: Variable, _ steps: Tensor) -> Tensor {
    let momentum = (steps .!= 0).cast(to: parameter.dtype) * options.emaMomentum
    let moved = momentum * average.value + (1 - momentum) * parameter
    average.value = moved
    guard let frequency = options.emaOverwriteFrequency else { return parameter }
    let overwrites = (steps + 1).remainder(dividingBy: Tensor(frequency)) .== 0
    return Tensor.select(overwrites, moved, parameter)
  }

  /// Gives the weights their averages and keeps what they held in the averages' place; once more, and all is as before.
  func exchangeAverages(with weights: [Weight]) {
    build(weights)
    for weight in weights {
      guard let average = state.withLock({ $0[weight] }).average else { continue }
      let value = weight.variable.stored
      weight.variable.store(average.stored)
      average.store(value)
    }
  }

  /// After the last batch of `fit`: with `useEMA` the weights become their averages.
  package func finalize(_ weights: [Weight]) {
    guard options.useEMA else { return }
    for weight in weights {
      if let average = state.withLock({ $0[weight] }).average { weight.variable.store(average.stored) }
    }
  }
}

/// The state of one weight.
struct WeightState: Sendable {
  var average: Variable?
  var accumulator: Variable?
  /// In the optimizer's groups, one after the other.
  var slots: [Variable] = []
  var groupSizes: [Int] = []

  func slots(inGroup group: Int) -> ArraySlice<Variable> {
    guard group < groupSizes.count else { return [] }
    let first = groupSizes[..<group].reduce(0, +)
    return slots[first..<first + groupSizes[group]]
  }
}

private struct OptimizerState: Sendable {
  private var states: [ObjectIdentifier: WeightState] = [:]
  private var weights: [Weight] = []
  private(set) var shared: [Variable] = []

  var weightCount: Int { weights.count }

  subscript(weight: Weight) -> WeightState { states[ObjectIdentifier(weight)]! }

  /// - Parameter groups: of each weight.
  mutating func build(
    _ new: [Weight], options: OptimizerOptions, groups: [[[Optimizer.Slot]]], shared slots: [Optimizer.Slot],
    dtype: DType
  ) {
    if shared.isEmpty {
      shared = slots.map { Variable(Optimizer.scalar($0.initialValue, dtype), name: $0.name) }
    }
    for (weight, groups) in zip(new, groups) where states[ObjectIdentifier(weight)] == nil {
      func variable(_ slot: Optimizer.Slot) -> Variable {
        let path = weight.path.replacing("/", with: "_") + "_" + slot.name
        if slot.beginsAsWeight { return Variable(weight.variable.stored, name: path) }
        let value = Tensor(
          repeating: slot.initialValue, shape: slot.shape ?? weight.shape,
          dtype: slot.dtype ?? weight.variable.dtype)
        return Variable(value, name: path)
      }
      weights.append(weight)
      states[ObjectIdentifier(weight)] = WeightState(
        average: options.useEMA ? variable(Optimizer.Slot("average")) : nil,
        accumulator: options.gradientAccumulationSteps == nil
          ? nil : variable(Optimizer.Slot("gradient_accumulator")),
        slots: groups.joined().map(variable), groupSizes: groups.map(\.count))
    }
  }

  /// As Keras lists it: averages, accumulators, of each group all weights' slots, what is shared.
  var inOrder: [Variable] {
    let all = weights.map { states[ObjectIdentifier($0)]! }
    var result = all.compactMap(\.average) + all.compactMap(\.accumulator)
    let groupCount = all.map(\.groupSizes.count).max() ?? 0
    for group in 0..<groupCount { for state in all { result += state.slots(inGroup: group) } }
    return result + shared
  }
}
