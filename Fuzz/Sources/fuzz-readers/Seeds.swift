import Foundation

@testable import BackpropFiles
@testable import BackpropNetworks

extension Reader {
  /// Inputs of a line to begin with beside those of Fuzz/corpus: what real Keras wrote for the tests.
  func seeds(in fixtures: String) throws -> [[UInt8]] {
    self == .config ? try Seeds.configurations(in: fixtures) : []
  }
}

private enum Seeds {
  /// Configurations of models: those of the `.keras` files, and a model of each layer that the tests have numbers for.
  ///
  /// - Parameter folder: `Tests/Fixtures`
  static func configurations(in folder: String) throws -> [[UInt8]] {
    let files = try FileManager.default.subpathsOfDirectory(atPath: folder).sorted().map { "\(folder)/\($0)" }
    let models = files.filter { $0.hasSuffix(".keras") }.compactMap { path -> [UInt8]? in
      guard let archive = try? ZipArchive(ByteRegion(path: path)),
        let member = archive.member(KerasPaths.config),
        let config = try? archive.contents(of: member)
      else { return nil }
      return try? config.bytes(at: 0, count: config.count)
    }
    let layers = try files.filter { $0.hasSuffix(".json") }.flatMap { path in
      let region = try ByteRegion(path: path)
      return try configurations(of: JSONParser.parse(region.bytes(at: 0, count: region.count), name: path))
    }
    // Each of the larger takes as long as several that reach as much.
    return (models + layers.map(JSONWriter.write)).filter { $0.count <= 4096 }
  }

  /// Models of the layers in a file of golden values.
  private static func configurations(of fixture: ConfigValue) -> [ConfigValue] {
    guard case .object(let fields) = fixture, let cases = fields["cases"]?.elements else { return [] }
    return cases.flatMap { golden -> [ConfigValue] in
      guard case .object(let golden) = golden, case .object(let layer)? = golden["layer"] else { return [] }
      let inputs =
        golden["inputs"]?.elements ?? golden["input"].map { [$0] } ?? [["shape": [2, 3], "dtype": "string"]]
      // Some layers take a list, others one input after the other.
      return (inputs.count > 1 ? [true, false] : [false]).map { model(layer, inputs, isList: $0) }
    }
  }

  private static func model(_ layer: [String: ConfigValue], _ inputs: [ConfigValue], isList: Bool)
    -> ConfigValue
  {
    var nodes: [ConfigValue] = []
    var tensors: [ConfigValue] = []
    var ends: [ConfigValue] = []
    for (number, input) in inputs.enumerated() {
      guard case .object(let type) = input else { continue }
      let name: ConfigValue = .string("input_\(number)")
      let shape: [ConfigValue] = [.null] + (type["shape"]?.elements?.dropFirst() ?? [])
      let config: [String: ConfigValue] = [
        "name": name, "batch_shape": .array(shape), "dtype": type["dtype"] ?? "float32",
      ]
      nodes.append([
        "class_name": "InputLayer", "name": name, "config": .object(config), "inbound_nodes": [],
      ])
      tensors.append([
        "class_name": "__keras_tensor__", "config": ["keras_history": [name, 0, 0]],
      ])
      ends.append([name, 0, 0])
    }
    let arguments: ConfigValue = isList ? [.array(tensors)] : .array(tensors)
    var called = layer
    called["name"] = "layer"
    called["inbound_nodes"] = [["args": arguments, "kwargs": [:]]]
    nodes.append(.object(called))
    return [
      "class_name": "Functional",
      "config": [
        "layers": .array(nodes), "input_layers": .array(ends), "output_layers": [["layer", 0, 0]],
      ],
    ]
  }
}

extension ConfigValue: @retroactive ExpressibleByArrayLiteral, @retroactive ExpressibleByDictionaryLiteral {
  public init(arrayLiteral elements: ConfigValue...) { self = .array(elements) }
  public init(dictionaryLiteral fields: (String, ConfigValue)...) {
    self = .object(Dictionary(fields) { $1 })
  }
}
