import BackpropTensors

/// A layer inside another's configuration, such as the one that ``TimeDistributed`` applies: in files an object with class
/// and configuration.
public struct LayerConfiguration: Codable, Hashable, Sendable {
  public let layer: Layer

  public init(_ layer: Layer) { self.layer = layer }

  public init(from decoder: Decoder) throws {
    let object = try KerasObject(from: decoder)
    let known = try LayerRegistry.named(object.className)
    let policy = try DTypePolicy(object.config["dtype"]) ?? .default
    layer = try known.layer(
      config: object.config, name: object.config["name"]?.text,
      trainable: object.config["trainable"]?.bool ?? true, dtype: policy)
  }

  public func encode(to encoder: Encoder) throws {
    guard let config = try LayerClass.fullConfig(of: layer) else {
      throw EncodingError.invalidValue(
        layer,
        .init(
          codingPath: encoder.codingPath,
          debugDescription: "the class \(layer.className), which a file can't describe"))
    }
    try KerasObject(module: "keras.layers", className: layer.className, config: config).encode(to: encoder)
  }

  public static func == (a: LayerConfiguration, b: LayerConfiguration) -> Bool {
    if a.layer === b.layer { return true }
    guard a.layer.className == b.layer.className, let x = try? LayerClass.fullConfig(of: a.layer),
      let y = try? LayerClass.fullConfig(of: b.layer)
    else { return false }
    return x == y
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(layer.className) }
}
