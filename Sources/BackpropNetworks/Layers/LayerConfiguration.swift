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

  /// A layer like this one with weights of its own.
  func cloned() throws -> LayerConfiguration { LayerConfiguration(try layer.clone()) }

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

/// A configuration with layers in it: a copy of it has others.
protocol LayerHolding {
  /// Puts layers of its own in the place of those that it shares with the configuration that it is a copy of.
  mutating func cloneLayers() throws
}

extension Joined: LayerHolding where First: LayerHolding {
  mutating func cloneLayers() throws { try first.cloneLayers() }
}

extension ConfigurableLayer {
  /// The configuration for another layer, which shares no layer with this one.
  func ownConfiguration() throws -> Configuration {
    guard var holding = configuration as? any LayerHolding else { return configuration }
    try holding.cloneLayers()
    return holding as! Configuration
  }
}
