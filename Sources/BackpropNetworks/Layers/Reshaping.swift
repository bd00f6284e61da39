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
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DType = .float32
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
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DType = .float32
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(_ targetShape: Shape, name: String? = nil) {
    self.init(configuration: Configuration(targetShape: targetShape), name: name)
  }

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
