import BackpropNetworks
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

/// A small model around one layer: configuration, inputs and weights are those of a case of `Tests/Fixtures`, so that
/// what is compared with Keras by numbers is compared by files too, and there is no second list.
struct LayerSample: Sendable {
  /// `Dense-3`
  let name: String
  let className: String
  /// The layer as Keras serialises it.
  let object: ConfigValue
  private let fields: [String: ConfigValue]

  /// Every case of a layer, once for each configuration and shape.
  static let all: [LayerSample] = {
    let folder = fixture("..")
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    var seen: Set<String> = []
    var counts: [String: Int] = [:]
    var samples: [LayerSample] = []
    for file in files.sorted() where file.hasSuffix(".json") {
      guard let bytes = try? bytes(of: "\(folder)/\(file)"),
        case .object(let facts)? = try? JSONParser.parse(bytes, name: file)
      else { fatalError("can't read \(file)") }
      for case .object(let fields) in facts["cases"]?.elements ?? [] {
        guard case .object(let object)? = fields["layer"], let className = object["class_name"]?.text,
          case .object(var config)? = object["config"]
        else { continue }
        config["name"] = nil
        let shapes = Self.inputs(fields).map { "\($0.type)" }
        let distinct: [String: ConfigValue] = [
          "class": .string(className), "config": .object(config), "adapt": fields["adapt"] ?? .null,
          "options": fields["options"] ?? .null, "strings": fields["strings"] ?? .null,
        ]
        let key = String(decoding: JSONWriter.write(.object(distinct)), as: UTF8.self)
        guard seen.insert("\(key) \(shapes)").inserted else { continue }
        let number = counts[className, default: 0]
        counts[className] = number + 1
        samples.append(
          LayerSample(
            name: "\(className)-\(number)", className: className, object: .object(object), fields: fields))
      }
    }
    return samples
  }()

  /// Those of layers that take text, which stand outside of models here.
  static let texts = all.filter { $0.fields["strings"] != nil }
  static let numbers = all.filter { $0.fields["strings"] == nil && $0.reason == nil }
  /// Those that can't be part of a model, with the reason.
  static let others = all.filter { $0.fields["strings"] == nil && $0.reason != nil }

  var reason: String? {
    guard let layer = try? layer() else { return nil }
    if let reason = layer.needsNumbers { return reason }
    let isWhole = !(layer is Input) && layer(inputs)[0].shape[0] != inputs[0].shape[0]
    return isWhole ? "a sample without an axis for the batch" : nil
  }

  private static func inputs(_ fields: [String: ConfigValue]) -> [Tensor] {
    let stored = fields["inputs"]?.elements ?? fields["input"].map { [$0] } ?? []
    if !stored.isEmpty { return stored.map(KerasCase.tensor) }
    // Of layers in training that drop, only the shape is there.
    return fields["input_shape"].map { [wave($0.elements!.compactMap(\.int))] } ?? []
  }

  var inputs: [Tensor] { Self.inputs(fields) }
  var adapt: ConfigValue? { fields["adapt"].flatMap { $0 == .null ? nil : $0 } }
  var options: ConfigValue { fields["options"] ?? .array([]) }
  var strings: ConfigValue { fields["strings"]! }

  static func wave(_ sizes: [Int]) -> Tensor {
    let shape = Shape(sizes)
    return Tensor((0..<shape.elementCount).map { Float($0 * 37 % 41) / 20 - 1 }, shape: shape)
  }

  /// The layer, adapted where the case says so.
  func layer() throws -> Layer {
    guard case .object(let object) = object, case .object(let config)? = object["config"] else {
      fatalError("\(name) has no configuration")
    }
    let layer = try LayerRegistry.named(className).layer(
      config: config, name: config["name"]?.text, trainable: config["trainable"]?.bool ?? true,
      dtype: (try DTypePolicy(config["dtype"])) ?? .float32)
    guard let data = adapt else { return layer }
    switch layer {
    case let layer as Normalization: try layer.adapt(KerasCase.tensor(data))
    case let layer as Discretization: try layer.adapt(KerasCase.tensor(data))
    case let layer as IntegerLookup: try layer.adapt(KerasCase.tensor(data))
    case let layer as TextVectorization: try layer.adapt(data.elements!.map { $0.text! })
    case let layer as StringLookup:
      let rows = data.elements!
      if let documents = rows.first?.elements != nil ? rows.map({ $0.elements!.map { $0.text! } }) : nil {
        try layer.adapt(documents)
      } else {
        try layer.adapt(rows.map { $0.text! })
      }
    default: fatalError("\(className) can't be adapted")
    }
    return layer
  }

  /// Whether training draws random numbers, and whether it gives other shapes than inference: asked of the layer. And
  /// whether it gives large numbers, such as pixels up to 255: they would cancel in the head, and what is left of their
  /// rounding would count as much as the answer. (Decibels up to 14.6 did: Keras on PyTorch was 9e-6 from an answer in
  /// float64, and we 2e-6 on the other side.)
  private func traits() throws -> (isRandom: Bool, changesShape: Bool, isLarge: Bool) {
    let layer = try layer()
    guard !(layer is Input) else { return (false, false, false) }
    try layer.prepare(inputs.map(\.shape))
    // A step may change any weight: SpectralNormalization divides the kernel.
    let state = layer.weights.map(\.value)
    let results = (0..<6).map { _ in
      layer.beginTrainingStep()
      (layer as? RecurrentLayer)?.resetState()
      let found = layer(inputs, .training)
      for (weight, value) in zip(layer.weights, state) { weight.value = value }
      return found
    }
    let isRandom = results.contains { $0.map(\.doubles) != results[0].map(\.doubles) }
    let inferred = layer(inputs)
    let isLarge = inferred.contains { $0.doubles.contains { abs($0) > 8 } }
    return (isRandom, results[0].map(\.shape) != inferred.map(\.shape), isLarge)
  }

  /// The layer between inputs and a head with weights, so that there is something to train behind every layer.
  func model() throws -> (model: Model, isRandom: Bool) {
    let traits = try traits()
    let layer = try layer()
    let symbols: [Input]
    var results: [SymbolicTensor]
    if let input = layer as? Input {
      symbols = [input]
      results = [input.symbolic]
    } else {
      symbols = inputs.enumerated().map { number, tensor in
        Input(Shape(tensor.shape.dimensions.dropFirst()), dtype: tensor.dtype, name: "in_\(number)")
      }
      let told = options.elements!.map { CallOption(rawValue: $0.text!)! }
      results = layer.outputs(of: symbols, options: Set(told))
    }
    results = results.enumerated().map { number, result in
      let isReal = result.dtype.isFloatingPoint
      let real =
        isReal && !traits.isLarge ? result : Rescaling(isReal ? 1 / 64 : 0.25, name: "real_\(number)")(result)
      // What works on any size: in training RandomCrop gives other sizes than in inference, in Keras too.
      guard traits.changesShape || symbols.contains(where: { $0.sizes.contains(nil) }) else {
        return Flatten(name: "flat_\(number)")(real)
      }
      let name = "mean_\(number)"
      return real.shape.count == 4
        ? GlobalAveragePooling2D(name: name)(real) : GlobalAveragePooling1D(name: name)(real)
    }
    let joined = results.count == 1 ? results[0] : Concatenate(name: "joined")(results)
    let model = try Model(inputs: symbols, outputs: [Dense(2, name: "head")(joined)])
    let weights = (fields["weights"]?.elements ?? []).map { element -> Tensor in
      guard case .object(let weight) = element, let value = weight["value"] else { fatalError("no weight") }
      return KerasCase.tensor(value)
    }
    if !weights.isEmpty, weights.map(\.shape) == layer.weights.map(\.shape) { try layer.setWeights(weights) }
    return (model, traits.isRandom)
  }
}
