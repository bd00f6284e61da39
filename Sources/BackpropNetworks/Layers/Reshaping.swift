import BackpropTensors

/// All axes after the batch as one: [batch, 28, 28] → [batch, 784]. Keras' `Flatten`.
///
/// With the data format `channels_first` the first of them is taken last, so that both formats give the same order.
public final class Flatten: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var dataFormat: String?
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(name: String? = nil) {
    self.init(configuration: Configuration(dataFormat: "channels_last"), name: name)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let batch = input.shape.dimensions.first ?? 1
    var x = input
    if configuration.dataFormat == "channels_first", x.rank > 2 {
      x = x.transposed([0] + Array(2..<x.rank) + [1])
    }
    return x.reshaped(to: [batch, input.shape.dimensions.dropFirst().reduce(1, *)])
  }
}

/// The elements after the batch in another shape, of which one size may be −1. Keras' `Reshape`.
public final class Reshape: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var targetShape: Shape
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ targetShape: Shape, name: String? = nil) {
    self.init(configuration: Configuration(targetShape: targetShape), name: name)
  }

  package override var sampleInputs: [TensorType]? { [TensorType([2, 1], .float32)] }

  private func target(for input: Shape) throws -> Shape {
    let target = configuration.targetShape
    let count = input.dimensions.dropFirst().reduce(1, *)
    let free = target.dimensions.filter { $0 == -1 }.count
    guard target.dimensions.allSatisfy({ $0 >= -1 }), free <= 1 else {
      throw ModelError(
        .argument, at: path, "the target shape \(target) may have one size of -1 and none below")
    }
    // A file may name sizes whose product doesn't fit an integer: then it isn't the input's either.
    var known = 1
    for size in target.dimensions where size != -1 {
      let (product, overflow) = known.multipliedReportingOverflow(by: size)
      known = overflow ? .max : product
    }
    guard free == 1 ? known > 0 && count % known == 0 : known == count else {
      throw ModelError(
        .shape, at: path, "\(target) doesn't hold the \(count) elements of a sample of \(input)")
    }
    return Shape([input[0]] + target.dimensions.map { $0 == -1 ? count / known : $0 })
  }

  public override func check(_ inputs: [Shape]) throws { _ = try target(for: inputs[0]) }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    do { return input.reshaped(to: try target(for: input.shape)) } catch { programmerError("\(error)") }
  }
}

/// The axes after the batch in another order, counted from 1: `Permute([2, 1])` takes [batch, a, b] to [batch, b, a]. Keras'
/// `Permute`.
public final class Permute: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var dims: [Int]
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ dims: [Int], name: String? = nil) {
    self.init(configuration: Configuration(dims: dims), name: name)
  }

  public override func check(_ inputs: [Shape]) throws {
    let dims = configuration.dims
    guard dims.sorted() == Array(1..<dims.count + 1) else {
      throw ModelError(.argument, at: path, "expected each of the axes 1...\(dims.count) once, got \(dims)")
    }
    guard inputs[0].rank == dims.count + 1 else {
      throw ModelError(
        .shape, at: path, "expected \(dims.count) axes after the batch, got an input of shape \(inputs[0])")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    input.transposed([0] + configuration.dims)
  }
}

/// Each sample `n` times, one after the other: [batch, features] → [batch, n, features]. Keras' `RepeatVector`.
public final class RepeatVector: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var n: Int
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ n: Int, name: String? = nil) {
    self.init(configuration: Configuration(n: n), name: name)
  }

  public override func build(_ input: Shape) throws {
    guard configuration.n > 0 else {
      throw ModelError(
        .argument, at: path, "expected a positive number of repetitions, got \(configuration.n)")
    }
  }

  public override func check(_ inputs: [Shape]) throws {
    guard inputs[0].rank == 2 else {
      throw ModelError(.shape, at: path, "expected inputs of [batch, features], got \(inputs[0])")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    input.expanded(axis: 1).broadcast(to: [input.shape[0], configuration.n, input.shape[1]])
  }
}
