import BackpropTensors

/// What every recurrent layer is made from besides its cell.
public struct RecurrenceOptions: Codable, Hashable, Sendable {
  /// The outputs of all steps, not of the last alone.
  public var returnSequences: Bool
  /// The final state is given too, after the output.
  public var returnState: Bool
  /// The last step first; the outputs are in that order too.
  public var goBackwards: Bool
  /// A batch begins with the state in which the one before ended.
  public var stateful: Bool
  /// Accepted and kept for files: it changes no number.
  public var unroll: Bool
  /// Outputs of steps that don't count are 0, not the output before.
  public var zeroOutputForMask: Bool
  public var activityRegularizer: Regularizer?

  public init(
    returnSequences: Bool = false, returnState: Bool = false, goBackwards: Bool = false,
    stateful: Bool = false,
    unroll: Bool = false, zeroOutputForMask: Bool = false, activityRegularizer: Regularizer? = nil
  ) {
    self.returnSequences = returnSequences
    self.returnState = returnState
    self.goBackwards = goBackwards
    self.stateful = stateful
    self.unroll = unroll
    self.zeroOutputForMask = zeroOutputForMask
    self.activityRegularizer = activityRegularizer
  }
}

/// What the library's cells have in common.
public struct RecurrentCellOptions: Codable, Hashable, Sendable {
  public var activation: ActivationFunction
  public var useBias: Bool
  public var kernelInitializer: Initializer
  public var recurrentInitializer: Initializer
  public var biasInitializer: Initializer
  public var kernelRegularizer: Regularizer?
  public var recurrentRegularizer: Regularizer?
  public var biasRegularizer: Regularizer?
  public var kernelConstraint: Constraint?
  public var recurrentConstraint: Constraint?
  public var biasConstraint: Constraint?
  /// The share of the inputs that training drops: the same ones at each step.
  public var dropout: Double
  /// The same of the state.
  public var recurrentDropout: Double
  public var seed: Int?

  public init(
    activation: ActivationFunction = .tanh, useBias: Bool = true,
    kernelInitializer: Initializer = .glorotUniform, recurrentInitializer: Initializer = .orthogonal,
    biasInitializer: Initializer = .zeros, kernelRegularizer: Regularizer? = nil,
    recurrentRegularizer: Regularizer? = nil, biasRegularizer: Regularizer? = nil,
    kernelConstraint: Constraint? = nil, recurrentConstraint: Constraint? = nil,
    biasConstraint: Constraint? = nil, dropout: Double = 0, recurrentDropout: Double = 0, seed: Int? = nil
  ) {
    self.activation = activation
    self.useBias = useBias
    self.kernelInitializer = kernelInitializer
    self.recurrentInitializer = recurrentInitializer
    self.biasInitializer = biasInitializer
    self.kernelRegularizer = kernelRegularizer
    self.recurrentRegularizer = recurrentRegularizer
    self.biasRegularizer = biasRegularizer
    self.kernelConstraint = kernelConstraint
    self.recurrentConstraint = recurrentConstraint
    self.biasConstraint = biasConstraint
    self.dropout = dropout
    self.recurrentDropout = recurrentDropout
    self.seed = seed
  }
}

/// A configuration of a recurrent layer, whatever its cell.
protocol RecurrenceConfigured {
  var recurrence: RecurrenceOptions { get set }
}

extension Joined: RecurrenceConfigured where Second == RecurrenceOptions {
  var recurrence: RecurrenceOptions {
    get { second }
    set { second = newValue }
  }
}
