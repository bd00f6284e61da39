extension ConfigValue {
  /// What a message calls a value of this kind.
  package var kindName: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer, .number: "a number"
    case .string: "text"
    case .array: "a list"
    case .object: "an object"
    }
  }

  /// Whether a value may stand where `standard` is the default: of the same kind, or a list of numbers (axes) for a number.
  fileprivate func fits(_ standard: ConfigValue) -> Bool {
    switch (standard, self) {
    case (.null, _), (.bool, .bool), (.string, .string), (.string, .null), (.array, .array),
      (.object, .object):
      true
    case (.integer, .integer), (.number, .integer): true
    case (.number, .number(let value)), (.integer, .number(let value)): value.isFinite
    case (.integer, .array(let elements)): elements.allSatisfy { $0.int != nil }
    default: false
    }
  }
}

extension KerasForm {
  /// Whether the arguments are of the kinds that the class takes: what comes from a file may be anything.
  ///
  /// - Throws: ``ModelError`` naming the argument.
  package func checkArguments() throws { try checkKinds() }

  fileprivate func checkKinds() throws {
    let standard = Self.defaults(of: try resolved())
    for (key, value) in config.sorted(by: { $0.key < $1.key }) {
      guard let expected = standard[key], !value.fits(expected) else { continue }
      throw ModelError(
        .argument, "\(className): expected \(expected.kindName) for '\(key)', found \(value.kindName)")
    }
  }
}

extension LearningRateSchedule {
  /// Arguments that have no default.
  private static func required(by kind: Kind) -> [String] {
    switch kind {
    case .exponentialDecay, .inverseTimeDecay: ["initial_learning_rate", "decay_steps", "decay_rate"]
    case .piecewiseConstantDecay: ["boundaries", "values"]
    case .polynomialDecay, .cosineDecay: ["initial_learning_rate", "decay_steps"]
    case .cosineDecayRestarts: ["initial_learning_rate", "first_decay_steps"]
    case .linearWarmup: ["target_learning_rate", "warmup_steps"]
    case .noam: ["model_size"]
    case .oneCycle: ["max_learning_rate", "total_steps"]
    }
  }

  /// As for every form, and that what has no default is there.
  package func checkArguments() throws {
    let kind = try resolved()
    for key in Self.required(by: kind) {
      let value = config[key] ?? .null
      let isList = kind == .piecewiseConstantDecay
      guard isList ? value.elements?.allSatisfy({ $0.double != nil }) == true : value.double != nil else {
        throw ModelError(
          .argument,
          "\(className): expected \(isList ? "numbers" : "a number") for '\(key)', found \(value.kindName)")
      }
    }
    try checkKinds()
    if kind == .linearWarmup, let after = config["after"], after != .null {
      guard let schedule = LearningRateSchedule(after) else {
        throw ModelError(.argument, "\(className): expected a schedule for 'after', found \(after.kindName)")
      }
      try schedule.checkArguments()
    }
  }
}
