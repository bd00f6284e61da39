import BackpropTensors

/// What `compile` takes for an optimizer: one, or Keras' name of one.
public protocol OptimizerConvertible: Sendable {
  /// - Throws: ``ModelError`` with the nearest name when there is none of this one.
  func makeOptimizer() throws -> Optimizer
}

extension Optimizer: OptimizerConvertible {
  public func makeOptimizer() throws -> Optimizer { self }

  /// Every optimizer that a name or a file can mean.
  package static let all: [Optimizer.Type] = [
    SGD.self, Adam.self, AdamW.self, Adamax.self, Nadam.self, RMSprop.self, Adagrad.self, Adadelta.self,
    Adafactor.self, Ftrl.self, Lamb.self, Lion.self, Muon.self, ScheduleFreeAdamW.self,
  ]

  /// From Keras' class name (in any case) and configuration.
  public static func named(_ name: String, config: [String: ConfigValue] = [:]) throws -> Optimizer {
    let names = all.map { String(describing: $0) }
    guard let position = names.firstIndex(where: { $0.lowercased() == name.lowercased() }) else {
      throw ModelError.unknown("optimizer", name, among: names.map { $0.lowercased() })
    }
    return all[position].init(config: config)
  }
}

extension String: OptimizerConvertible {
  public func makeOptimizer() throws -> Optimizer { try Optimizer.named(self) }
}
