import BackpropTensors
import Synchronization

/// Adds the measurements of a ``GradientSample`` to a training step that is being recorded or run: a few sums beside it,
/// in one vector that is read after the step.
final class StepProbe: Sendable {
  private struct State: Sendable {
    /// In the order of the numbers: three for each layer, then one for each activation.
    var layers: [(path: String, name: String, count: Int)] = []
    var activations: [(path: String, name: String, activation: WatchedActivation)] = []
    var activationShares: [Tensor] = []
    /// nil until the update begins.
    var update: (weights: [Weight], gradients: [Tensor?], before: [Tensor])?
    /// Of the layer that gives the model's own output, whose limits are what it is trained to reach.
    var outputPath = ""
  }

  private let state = Mutex(State())

  /// To be called with each layer's results in the forward pass, innermost first.
  func observe(_ layer: Layer, _ results: [Tensor]) {
    guard let result = results.first?.stopGradient(), let watched = WatchedActivation(of: layer),
      result.rank > 1
    else { return }
    let share = watched.share(of: result)
    state.withLock { state in
      // A shared layer is looked at once.
      if state.activations.contains(where: { $0.path == layer.path }) { return }
      state.activations.append((layer.path, layer.name, watched))
      state.activationShares.append(share)
    }
  }

  /// Before the update.
  func note(_ weights: [Weight], _ gradients: [Tensor?]) {
    state.withLock { $0.update = (weights, gradients, weights.map(\.variable.value)) }
  }

  /// After the update: the numbers, float32; nil when there was none.
  func measurements(_ model: Model, scale: Double?) -> Tensor? {
    let update = state.withLock { state in
      defer { state.update = nil }
      return state.update
    }
    guard let (weights, gradients, before) = update else { return nil }
    let place = Dictionary(
      uniqueKeysWithValues: weights.enumerated().map { (ObjectIdentifier($1), $0) })
    var numbers: [Tensor] = []
    var layers: [(path: String, name: String, count: Int)] = []
    for layer in Self.leaves(of: model) {
      let places = layer.ownWeights.compactMap { place[ObjectIdentifier($0)] }
      if places.isEmpty { continue }
      func sum(_ value: (Int) -> Tensor) -> Tensor {
        places.dropFirst().reduce(value(places[0])) { $0 + value($1) }
      }
      func square(_ tensor: Tensor) -> Tensor { tensor.cast(to: .float32).squared().sum() }
      let squares = sum { position in
        guard let gradient = gradients[position] else { return Tensor.zeros([]) }
        return square(scale.map { gradient / $0 } ?? gradient)
      }
      numbers.append(squares)
      numbers.append(sum { square(before[$0]) })
      numbers.append(sum { square(weights[$0].variable.value - before[$0]) })
      layers.append((layer.path, layer.name, places.reduce(0) { $0 + weights[$1].count }))
    }
    let shares = state.withLock { state in
      state.layers = layers
      state.outputPath = Self.last(of: model).path
      return state.activationShares
    }
    numbers += shares
    guard !numbers.isEmpty else { return Tensor.zeros([1]) }
    return Tensor.concatenate(numbers.map { $0.cast(to: .float32).reshaped(to: [1]) }, axis: 0)
  }

  /// Layers that own weights, in forward order, each once.
  private static func leaves(of model: Layer) -> [Layer] {
    var seen: Set<ObjectIdentifier> = []
    var result: [Layer] = []
    func visit(_ layer: Layer) {
      guard seen.insert(ObjectIdentifier(layer)).inserted else { return }
      if !layer.ownWeights.isEmpty { result.append(layer) }
      for sublayer in layer.sublayers { visit(sublayer) }
    }
    visit(model)
    return result
  }

  private static func last(of layer: Layer) -> Layer {
    let inside = (layer as? Model)?.layers ?? []
    return inside.last.map { last(of: $0) } ?? layer
  }

  /// What the numbers of a step say.
  func sample(step: Int, loss: Double, _ numbers: [Float]) -> GradientSample {
    state.withLock { state in
      let layers = state.layers.enumerated().map { index, layer -> GradientSample.Layer in
        let values = numbers[3 * index..<3 * index + 3].map { Double($0).squareRoot() }
        return GradientSample.Layer(
          path: layer.path, name: layer.name, gradientNorm: values[0], weightNorm: values[1],
          updateRatio: values[1] > 0 ? values[2] / values[1] : values[2] > 0 ? .infinity : 0,
          count: layer.count)
      }
      let start = 3 * state.layers.count
      let activations = state.activations.indices
        .filter { state.activations[$0].path != state.outputPath }
        .map { index -> GradientSample.Activation in
          let (path, name, watched) = state.activations[index]
          let share = Double(numbers[start + index])
          return GradientSample.Activation(
            path: path, name: name, activation: watched.name, deadFraction: watched.dies ? share : nil,
            saturatedFraction: watched.dies ? nil : share)
        }
      return GradientSample(step: step, loss: loss, layers: layers, activations: activations)
    }
  }
}

/// An activation that can die or saturate.
struct WatchedActivation: Sendable {
  let name: String
  /// It gives zeros, rather than saturating.
  let dies: Bool
  private let limits: ClosedRange<Double>

  /// nil for layers without such an activation.
  init?(of layer: Layer) {
    if let relu = layer as? ReLU {
      guard relu.configuration.negativeSlope == 0 else { return nil }
      (name, dies, limits) = ("relu", true, 0...0)
      return
    }
    guard let configured = layer as? any ConfigurableLayer,
      let field = configurationFields(configured.configuration).first(where: {
        $0.label == "activation"
      }),
      let activation = field.value as? ActivationFunction
    else { return nil }
    name = activation.name
    switch activation.name {
    case "relu" where activation.arguments["negative_slope"] ?? 0 == 0, "relu6":
      (dies, limits) = (true, 0...0)
    case "sigmoid", "hard_sigmoid": (dies, limits) = (false, 0...1)
    case "tanh": (dies, limits) = (false, -1...1)
    default: return nil
    }
  }

  /// Of units that are dead, or of elements that are saturated.
  func share(of result: Tensor) -> Tensor {
    let x = result.cast(to: .float32)
    if dies {
      let others = Array(0..<x.rank - 1)
      return (x.abs().max(axes: others) .== 0).cast(to: .float32).mean()
    }
    // A sigmoid's slope is y(1 − y), at most 1/4; that of tanh 1 − y², at most 1: a twentieth is left at 1.3 % and 2.5 % of
    // the way from a limit.
    let margin = (limits.upperBound - limits.lowerBound) * 0.0127
    let low = (x .< limits.lowerBound + margin).cast(to: .float32)
    let high = (x .> limits.upperBound - margin).cast(to: .float32)
    return (low + high).mean()
  }
}
