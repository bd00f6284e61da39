import BackpropTensors

/// One step of backpropagation on one sample, with all its numbers: forward, loss, backward, update.
///
/// ```swift
/// let explanation = try model.explain(Tensor([0.5, -1] as [Float]), label: Tensor(1 as Int32))
/// print(explanation.text)
/// ```
public struct Explanation: Sendable {
  /// A dense layer's part in it.
  public struct Layer: Sendable {
    public var name: String
    public var activation: String
    /// What comes in: the activations of the layer before.
    public var input: [Double]
    /// [inputs][units]
    public var kernel: [[Double]]
    /// Empty without a bias.
    public var bias: [Double]
    /// z = input · kernel + bias
    public var weightedInput: [Double]
    /// a = activation(z)
    public var output: [Double]
    /// δ = ∂loss/∂z
    public var delta: [Double]
    /// How δ follows from what lies behind the layer.
    public var rule: String
    /// The same as ``kernel`` and ``bias`` after the step.
    public var newKernel: [[Double]]
    public var newBias: [Double]

    /// ∂loss/∂kernel: input times delta.
    public var kernelGradient: [[Double]] { input.map { x in delta.map { x * $0 } } }
  }

  public var layers: [Layer]
  public var lossName: String
  public var target: [Double]
  public var learningRate: Double
  /// Before the step, and on the same sample after it.
  public var loss: Double
  public var newLoss: Double
}

extension Sequential {
  /// Shows one step of gradient descent on one sample; the model stays as it is.
  ///
  /// - Parameters:
  ///   - sample: without the batch axis.
  ///   - label: what `fit` takes for one row, without the batch axis.
  ///   - learningRate: of plain gradient descent, w − rate · ∂loss/∂w, whatever the model's optimizer is.
  /// - Throws: ``ModelError`` for models of other layers than `Dense`, activations, `Flatten` and what does nothing outside
  ///   of training, for a sample that doesn't fit, and without a loss.
  public func explain(_ sample: Tensor, label: Tensor, learningRate: Double = 0.1) throws -> Explanation {
    guard let loss else {
      throw ModelError(.order, at: path, "explain needs a loss; call compile(optimizer:loss:metrics:) first")
    }
    let input = sample.cast(to: .float32).reshaped(to: Shape([1] + sample.shape.dimensions))
    try prepare([input.shape], random: random)
    let stages = try self.stages()
    let labels = label.reshaped(to: Shape([1] + label.shape.dimensions))
    let predictions = outputShapes([input.shape])[0]
    try loss.check(labels: labels.type, predictions: TensorType(predictions, .float32))

    // A zero is added to each z: the gradient at it is δ.
    let probes = stages.map { stage in
      Variable(Tensor.zeros([1, stage.dense.configuration.units]), name: "\(stage.dense.path)/delta")
    }
    let (before, passes, deltas) = Self.run(stages, probes, input, labels, loss)
    let rate = learningRate
    let flat = label.cast(to: .float32).doubles
    var layers: [Explanation.Layer] = []
    for (index, stage) in stages.enumerated() {
      let values = stage.dense.ownWeights.map { $0.variable.stored.doubles }
      let (x, delta) = (passes[index].input.doubles, deltas[index].doubles)
      let units = delta.count
      let kernel = x.indices.map { Array(values[0][$0 * units..<($0 + 1) * units]) }
      let bias = values.count > 1 ? values[1] : []
      let isOutput = index + 1 == stages.count
      layers.append(
        Explanation.Layer(
          name: stage.dense.name, activation: stage.activationName, input: x, kernel: kernel, bias: bias,
          weightedInput: passes[index].z.doubles, output: passes[index].output.doubles, delta: delta,
          rule: isOutput
            ? Self.outputRule(loss, stage.activationName)
            : "δ = (W of \(stages[index + 1].dense.name) · δ of \(stages[index + 1].dense.name)) ⊙ \(stage.slope)",
          newKernel: zip(x, kernel).map { x, row in zip(row, delta).map { $0 - rate * x * $1 } },
          newBias: zip(bias, delta).map { $0 - rate * $1 }))
    }
    // The loss after the step, with weights that only this computation sees.
    let moved = layers.map { layer in
      (
        Tensor(layer.newKernel.flatMap { $0 }, shape: [layer.input.count, layer.delta.count]).cast(
          to: .float32),
        layer.newBias.isEmpty ? nil : Tensor(layer.newBias).cast(to: .float32)
      )
    }
    var value = input
    for (stage, weights) in zip(stages, moved) {
      value = stage.before(value).matmul(weights.0)
      if let bias = weights.1 { value = value + bias }
      value = stage.after(value)
    }
    let after = loss(labels, value).item()
    return Explanation(
      layers: layers, lossName: loss.name, target: flat, learningRate: rate, loss: before, newLoss: after)
  }

  /// A dense layer with what lies before it (reshaping) and behind it (its activation).
  private struct Stage {
    var dense: Dense
    var reshapes: [Layer]
    var activations: [Layer]

    var activationName: String {
      let own = dense.configuration.activation
      let names =
        (own == .linear ? [] : [own.name])
        + activations.map { layer in
          (layer as? Activation)?.configuration.activation.name ?? KerasNaming.snake(layer.className)
        }
      return names.isEmpty ? "linear" : names.joined(separator: ", ")
    }

    /// The activation's derivative in words.
    var slope: String {
      switch activationName {
      case "sigmoid": "a(1 − a)"
      case "tanh": "(1 − a²)"
      case "relu", "re_lu": "(1 where z > 0, else 0)"
      case "linear": "1"
      default: "\(activationName)′(z)"
      }
    }

    func before(_ x: Tensor) -> Tensor { reshapes.reduce(x) { $1($0) } }

    func after(_ z: Tensor) -> Tensor { activations.reduce(dense.configuration.activation(z)) { $1($0) } }
  }

  private func stages() throws -> [Stage] {
    var stages: [Stage] = []
    var pending: [Layer] = []
    func visit(_ layers: [Layer]) throws {
      for layer in layers {
        switch layer {
        case let model as Sequential: try visit(model.layers)
        case let dense as Dense:
          stages.append(Stage(dense: dense, reshapes: pending, activations: []))
          pending = []
        case is Flatten, is Reshape, is Rescaling, is Dropout:
          if !(layer is Dropout) { pending.append(layer) }
        case is Activation, is ReLU, is LeakyReLU, is ELU, is Softmax:
          guard !stages.isEmpty, pending.isEmpty else { fallthrough }
          stages[stages.count - 1].activations.append(layer)
        default:
          throw ModelError(
            .argument, at: layer.path,
            "explain shows dense layers and activations behind them; a \(layer.className) can't be shown here"
          )
        }
      }
    }
    try visit(self.layers)
    guard !stages.isEmpty, pending.isEmpty else {
      throw ModelError(.argument, at: path, "explain needs a model that ends in a dense layer")
    }
    return stages
  }

  private typealias Pass = (input: Tensor, z: Tensor, output: Tensor)

  private static func run(
    _ stages: [Stage], _ probes: [Variable], _ input: Tensor, _ labels: Tensor, _ loss: Loss
  ) -> (loss: Double, passes: [Pass], deltas: [Tensor]) {
    let passes = Passes()
    let (value, gradients) = valueAndGradient(at: probes) {
      passes.all = []
      var x = input
      for (stage, probe) in zip(stages, probes) {
        let entering = stage.before(x)
        let weights = stage.dense.ownWeights.map(\.value)
        var z = entering.matmul(weights[0])
        if weights.count > 1 { z = z + weights[1] }
        z = z + probe.value
        x = stage.after(z)
        passes.all.append((entering.stopGradient(), z.stopGradient(), x.stopGradient()))
      }
      return loss(labels, x)
    }
    let deltas = zip(gradients, probes).map { $0 ?? Tensor.zeros($1.shape) }
    return (value.item(), passes.all, deltas)
  }

  private final class Passes: @unchecked Sendable {
    var all: [(input: Tensor, z: Tensor, output: Tensor)] = []
  }

  private static func outputRule(_ loss: Loss, _ activation: String) -> String {
    switch (loss.name, activation) {
    case ("sparse_categorical_crossentropy", "softmax"):
      "δ = a − 1 at the label, a elsewhere (softmax with cross-entropy)"
    case ("categorical_crossentropy", "softmax"): "δ = a − target (softmax with cross-entropy)"
    case ("binary_crossentropy", "sigmoid"): "δ = (a − target) / n (sigmoid with cross-entropy)"
    case ("mean_squared_error", "linear"): "δ = 2(a − target) / n (squared error)"
    case ("mean_squared_error", "sigmoid"): "δ = 2(a − target) / n ⊙ a(1 − a) (squared error)"
    case ("mean_squared_error", "tanh"): "δ = 2(a − target) / n ⊙ (1 − a²) (squared error)"
    default: "δ = ∂loss/∂a ⊙ \(activation)′(z)"
    }
  }
}
