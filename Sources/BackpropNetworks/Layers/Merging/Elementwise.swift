import BackpropTensors

/// The sum of the inputs, element by element.
///
/// ```swift
/// let joined = Add()([x, shortcut])
/// ```
///
/// Inputs broadcast as Keras has it: missing axes come after the batch axis. Keras' `Add`.
public final class Add: Merge, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {}

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(name: String? = nil) { self.init(configuration: Configuration(), name: name) }

  override func merged(_ inputs: [Tensor]) -> Tensor { inputs.dropFirst().reduce(inputs[0], +) }
}

/// The first input minus the second.
///
/// ```swift
/// let difference = Subtract()([x, y])
/// ```
///
/// Inputs broadcast as Keras has it: missing axes come after the batch axis. Keras' `Subtract`.
public final class Subtract: Merge, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {}

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(name: String? = nil) { self.init(configuration: Configuration(), name: name) }

  override var inputCount: Int? { 2 }

  override func merged(_ inputs: [Tensor]) -> Tensor { inputs[0] - inputs[1] }
}

/// The product of the inputs, element by element.
///
/// ```swift
/// let gated = Multiply()([x, gate])
/// ```
///
/// Inputs broadcast as Keras has it: missing axes come after the batch axis. Keras' `Multiply`.
public final class Multiply: Merge, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {}

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(name: String? = nil) { self.init(configuration: Configuration(), name: name) }

  override func merged(_ inputs: [Tensor]) -> Tensor {
    // Steps that don't count are a factor of 1.
    let factors = inputs.map { x -> Tensor in
      guard let mask = x.mask else { return x }
      return Tensor.select(mask.expanded(axis: -1), x, Tensor.ones(like: x))
    }
    let product = factors.dropFirst().reduce(factors[0], *)
    let masks = inputs.compactMap(\.mask)
    guard masks.count == inputs.count else { return product }
    let counts = masks.dropFirst().reduce(masks[0]) { $0.or($1) }
    return Tensor.select(counts.expanded(axis: -1), product, Tensor.zeros(like: product))
  }
}

/// The mean of the inputs, element by element.
///
/// ```swift
/// let mean = Average()([x, y, z])
/// ```
///
/// Inputs broadcast as Keras has it: missing axes come after the batch axis. Keras' `Average`.
public final class Average: Merge, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {}

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(name: String? = nil) { self.init(configuration: Configuration(), name: name) }

  override func merged(_ inputs: [Tensor]) -> Tensor {
    inputs.dropFirst().reduce(inputs[0], +) / Double(inputs.count)
  }
}

/// The largest of the inputs, element by element.
///
/// ```swift
/// let largest = Maximum()([x, y])
/// ```
///
/// Inputs broadcast as Keras has it: missing axes come after the batch axis. Keras' `Maximum`.
public final class Maximum: Merge, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {}

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(name: String? = nil) { self.init(configuration: Configuration(), name: name) }

  override func merged(_ inputs: [Tensor]) -> Tensor { folded(inputs) { $0.maximum($1) } }
}

/// The smallest of the inputs, element by element.
///
/// ```swift
/// let smallest = Minimum()([x, y])
/// ```
///
/// Inputs broadcast as Keras has it: missing axes come after the batch axis. Keras' `Minimum`.
public final class Minimum: Merge, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {}

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(name: String? = nil) { self.init(configuration: Configuration(), name: name) }

  override func merged(_ inputs: [Tensor]) -> Tensor { folded(inputs) { $0.minimum($1) } }
}
