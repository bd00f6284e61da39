import Synchronization

/// What a compiled program takes for granted of one layer.
struct LayerStructure: Equatable {
  private let layer: ObjectIdentifier
  /// A frozen layer computes otherwise, whether it has trained weights or not: with running statistics.
  private let trainable: Bool
  private let weights: [ObjectIdentifier]
  private let trained: [Bool]
  /// Whether every change of it is counted in ``changes``. A class of a user's own may get other layers in its properties
  /// at any time.
  let isFixed: Bool

  private init(_ layer: Layer) {
    self.layer = ObjectIdentifier(layer)
    trainable = layer.trainable
    let own = layer.ownWeights
    weights = own.map { ObjectIdentifier($0) }
    trained = own.map(\.trainable)
    isFixed = layer.isOfLibrary
  }

  /// Of a layer and of all layers inside of it.
  ///
  /// - Complexity: O(layers), and slow: layers are found by reflection.
  static func all(of layer: Layer) -> [LayerStructure] {
    [LayerStructure(layer)] + layer.sublayers.flatMap(all)
  }

  private static let count = Atomic<Int>(0)

  /// How often any layer was made, got a weight, or was told whether it is trained: while it is the same, nothing has
  /// changed, and nobody needs to look.
  static var changes: Int { count.load(ordering: .acquiring) }

  static func noteChange() { count.wrappingAdd(1, ordering: .releasing) }
}

extension Layer {
  /// Whether the class is one of this library's own.
  fileprivate var isOfLibrary: Bool {
    String(reflecting: Swift.type(of: self)).hasPrefix(String(reflecting: Layer.self).dropLast("Layer".count))
  }
}
