import BackpropTensors

extension Model {
  /// What `compile` was given, under the keys of Keras' `compile_config`; nil before `compile`. Closures have no place in
  /// a file and are left out.
  package var compileConfig: [String: ConfigValue]? {
    compiled.withLock { state in
      guard let state else { return nil }
      func list(_ metrics: [Metric]) -> ConfigValue {
        metrics.isEmpty ? .null : .array(metrics.compactMap(\.configValue))
      }
      return [
        "optimizer": state.optimizer.configValue,
        "loss": state.losses.configValue { $0.configValue ?? .null },
        "loss_weights": state.lossWeights.configValue { .number($0) },
        "metrics": state.metrics.configValue(list),
        "weighted_metrics": state.weightedMetrics.configValue(list),
        "run_eagerly": .bool(state.runsEagerly), "steps_per_execution": 1, "jit_compile": false,
      ]
    }
  }

  /// Compiles as a file says.
  ///
  /// - Throws: ``ModelError`` for what isn't known here: the model is left uncompiled.
  package func compile(config: [String: ConfigValue]) throws {
    let optimizer = try Optimizer.from(config["optimizer"] ?? .null)
    let several = outputNames.count > 1
    func metrics(_ key: String) throws -> PerOutput<[Metric]> {
      let value = config[key] ?? .null
      return several
        ? try PerOutput.from(value) { try Metric.list($0) } : PerOutput(shared: try Metric.list(value))
    }
    let loss = config["loss"] ?? .null
    try compile(
      optimizer,
      losses: several ? try PerOutput.from(loss, Loss.from) : PerOutput(shared: try Loss.from(loss)),
      lossWeights: try PerOutput.from(config["loss_weights"] ?? .null) { $0.double },
      metrics: try metrics("metrics"), weightedMetrics: try metrics("weighted_metrics"),
      runEagerly: config["run_eagerly"]?.bool ?? false)
  }
}

extension PerOutput {
  /// As Keras writes what it was given: one value, a list of them, or an object with the outputs' names.
  fileprivate func configValue(_ value: (Value) -> ConfigValue) -> ConfigValue {
    switch form {
    case .shared(let shared): return shared.map(value) ?? .null
    case .ordered(let values):
      return values.isEmpty ? .null : .array(values.map { $0.map(value) ?? .null })
    case .named(let values): return .object(values.mapValues(value))
    }
  }

  fileprivate static func from(
    _ config: ConfigValue, _ make: (ConfigValue) throws -> Value?
  ) throws -> PerOutput {
    switch config {
    case .null: return PerOutput(shared: nil)
    case .array(let elements): return PerOutput(try elements.map { $0 == .null ? nil : try make($0) })
    case .object(let fields) where fields["class_name"] == nil:
      return PerOutput(try fields.compactMapValues { try make($0) })
    default: return PerOutput(shared: try make(config))
    }
  }
}

/// A class and its arguments as a file holds them: an object, a function's object, or a bare name.
private struct NamedConfig {
  var className: String
  var config: [String: ConfigValue] = [:]

  init?(_ value: ConfigValue) {
    switch value {
    case .string(let name): className = name
    case .object(let object):
      guard let name = object["class_name"]?.text else { return nil }
      className = name
      // A function of Keras' own: its name stands in place of the arguments.
      if case .string(let function)? = object["config"] { className = function }
      if case .object(let config)? = object["config"] { self.config = config }
    default: return nil
    }
  }
}

extension ConfigValue {
  fileprivate static func kerasObject(
    _ module: String, _ className: String, _ config: [String: ConfigValue]
  ) -> ConfigValue {
    .object([
      "module": .string(module), "class_name": .string(className), "config": .object(config),
      "registered_name": .null,
    ])
  }
}

extension Optimizer {
  /// Keras' arguments that came after Keras 3.0, which older releases would refuse: written when they say something.
  private static let newerKeys: Set<String> = ["gradient_accumulation_steps"]
  /// Arguments that Keras keeps elsewhere than in the configuration.
  private static let keptBeside: Set<String> = ["exclude_from_weight_decay"]

  var configValue: ConfigValue {
    var config = config.filter { key, value in
      !Self.keptBeside.contains(key) && !(Self.newerKeys.contains(key) && value == .null)
    }
    if schedule == nil { config["learning_rate"] = .number(learningRate) }
    let object = ConfigValue.kerasObject("keras.optimizers", className, config)
    let beside = self.config.filter { Self.keptBeside.contains($0.key) }
    guard !beside.isEmpty, case .object(var fields) = object else { return object }
    // Keras ignores keys beside `config`.
    fields["backprop"] = .object(beside)
    return .object(fields)
  }

  /// From a file's `optimizer`.
  static func from(_ value: ConfigValue) throws -> Optimizer {
    guard let named = NamedConfig(value) else {
      throw ModelError(.argument, "expected an optimizer's class and configuration, found \(value.kindName)")
    }
    var config = named.config
    if case .object(let fields) = value, case .object(let beside)? = fields["backprop"] {
      for key in keptBeside { config[key] = beside[key] }
    }
    let rate = config["learning_rate"] ?? 0.001
    guard rate.double != nil || LearningRateSchedule(rate) != nil else {
      throw ModelError(.argument, "expected a learning rate or a schedule, found \(rate.kindName)")
    }
    try LearningRateSchedule(rate)?.checkArguments()
    return try Optimizer.named(named.className, config: config)
  }
}

extension Loss {
  /// nil for a closure of the user's.
  var configValue: ConfigValue? {
    guard let kind else { return nil }
    let standard = Loss(kind)
    if arguments == standard.arguments, reduction == standard.reduction { return .string(name) }
    var config = arguments
    config["name"] = .string(name)
    config["reduction"] = .string(reduction.rawValue)
    return .kerasObject("keras.losses", kind.rawValue, config)
  }

  /// From a file's `loss`: nil where it has none.
  static func from(_ value: ConfigValue) throws -> Loss? {
    if value == .null { return nil }
    if let only = value.elements, only.count == 1 { return try from(only[0]) }
    guard let named = NamedConfig(value) else {
      throw ModelError(.argument, "expected one loss, found \(value.kindName) of them")
    }
    let loss = Loss(className: named.className, config: named.config)
    _ = try loss.resolved()
    return loss
  }
}

extension Metric {
  /// nil for a closure of the user's.
  var configValue: ConfigValue? {
    switch form {
    case .fittingAccuracy, .fittingCrossentropy: return .string(name)
    case .custom, .unknown: return nil
    case .kind(let kind):
      let named = Metric(stringLiteral: name)
      if case .kind(kind) = named.form, arguments == named.arguments { return .string(name) }
      var config = arguments
      config["name"] = .string(name)
      return .kerasObject("keras.metrics", kind.rawValue, config)
    }
  }

  /// From a file's `metrics`: none, or a list of one output's.
  static func list(_ value: ConfigValue) throws -> [Metric] {
    if value == .null { return [] }
    guard var elements = value.elements else {
      throw ModelError(.argument, "expected a list of metrics, found \(value.kindName)")
    }
    // One list for each output; here there is one output.
    if elements.count == 1, let inner = elements[0].elements { elements = inner }
    return try elements.map { element in
      guard let named = NamedConfig(element) else {
        throw ModelError(.argument, "expected a metric, found \(element.kindName)")
      }
      // A bare name is the metric's name in logs too, as when `compile` was given it.
      let metric =
        element.text.map { Metric(stringLiteral: $0) }
        ?? Metric(className: named.className, config: named.config)
      try metric.check()
      return metric
    }
  }
}
