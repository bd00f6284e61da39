import BackpropNetworks

/// Where a `.keras` file keeps things.
enum KerasPaths {
  static let metadata = "metadata.json"
  static let config = "config.json"
  static let weights = "model.weights.h5"

  /// Variables of the object at `path` stand below this group, numbered.
  static func variables(of path: [String]) -> [String] { path + ["vars"] }

  static let optimizer = ["optimizer"]

  /// The places of the layers of the container at `path`, in order.
  ///
  /// They go by class, not by the layer's name: `layers/dense`, `layers/dense_1`, …
  static func places(of layers: [Layer], in path: [String]) -> [[String]] {
    var places = Places(container: path)
    return layers.map { places.next($0.baseName) }
  }

  /// The places of the layers of a container, one after the other.
  struct Places {
    let container: [String]
    private var counts: [String: Int] = [:]

    init(container: [String]) { self.container = container }

    mutating func next(_ className: String) -> [String] {
      let key = key(ofClass: className)
      let count = counts[key, default: 0]
      counts[key] = count + 1
      return container + ["layers", count == 0 ? key : "\(key)_\(count)"]
    }
  }

  /// The layers inside the one at `path` with their places: a model's by their classes, another layer's by the property that
  /// holds them.
  static func children(of layer: Layer, at path: [String]) -> [(Layer, [String])] {
    if let model = layer as? Model, model is Sequential || model is Functional {
      return Array(zip(model.layers, places(of: model.layers, in: path)))
    }
    return layer.sublayersByProperty.flatMap { property, layers, isArray -> [(Layer, [String])] in
      if !isArray { return [(layers[0], path + [property])] }
      let below = places(of: layers, in: path).map { path + [property, $0.last!] }
      return Array(zip(layers, below))
    }
  }

  /// Keras' snake case of a class name, which differs from that of its layers' arguments: `Conv2D` is `conv2d`, `PReLU`
  /// is `p_re_lu`. Source: `to_snake_case` of keras/src/utils/naming.py, rule by rule.
  static func key(ofClass name: String) -> String {
    // By hand: three regular expressions for each layer took a quarter of the time of reading a configuration.
    let letters = Array(name.filter { $0.isLetter || $0.isNumber || $0 == "_" })
    func isIn(_ range: ClosedRange<Character>, _ position: Int) -> Bool {
      letters.indices.contains(position) && range.contains(letters[position])
    }
    var key = ""
    for (position, letter) in letters.enumerated() {
      let endsWord = isIn("a"..."z", position - 1) || isIn("a"..."z", position + 1)
      if position > 0, isIn("A"..."Z", position), endsWord { key.append("_") }
      key.append(letter)
    }
    return key.lowercased()
  }
}
