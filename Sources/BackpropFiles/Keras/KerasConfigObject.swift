import BackpropData
import BackpropNetworks
import BackpropTensors

/// An object of `config.json`: class and configuration, and where it stands.
struct KerasConfigObject {
  let file: String
  /// As `model.layers[2]`.
  let place: String
  let className: String
  let config: [String: ConfigValue]
  let fields: [String: ConfigValue]

  init(_ value: ConfigValue, at place: String, file: String) throws {
    func failure(_ expected: String, _ found: String) -> DataError {
      DataError(file: file, place: .part(place), expected: expected, found: found)
    }
    guard case .object(let fields) = value else { throw failure("an object", value.kindName) }
    guard let className = fields["class_name"]?.text else {
      throw failure("an object with a 'class_name'", "none")
    }
    guard case .object(let config)? = fields["config"] else {
      throw failure("\(className) with its 'config'", fields["config"]?.kindName ?? "none")
    }
    (self.file, self.place, self.className, self.config, self.fields) = (
      file, place, className, config, fields
    )
    let module = fields["module"]?.text
    let registered = fields["registered_name"]?.text ?? ""
    guard module.map({ $0 == "keras" || $0.hasPrefix("keras.") }) ?? true, !registered.contains(">") else {
      let name = registered.isEmpty ? "\(module ?? "").\(className)" : registered
      throw self.failure("classes of Keras' own", "\(name), whose code isn't in the file")
    }
  }

  var buildConfig: [String: ConfigValue] {
    if case .object(let config)? = fields["build_config"] { return config }
    return [:]
  }

  func failure(_ expected: String, _ found: String, advice: String? = nil) -> DataError {
    let name = config["name"]?.text.map { "\(place), '\($0)'" } ?? place
    return DataError(file: file, place: .part(name), expected: expected, found: found, advice: advice)
  }

  /// Layers that would run code from the file, or open others.
  private static let refused = ["Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"]

  /// Operations on tensors that are layers too: `x + y` in Keras' code.
  private static let operations = ["Add", "Subtract", "Multiply", "Maximum", "Minimum"]

  /// Whether it is an operation on tensors that no layer stands for.
  var isOperation: Bool {
    fields["module"]?.text?.hasPrefix("keras.src.ops") == true && !Self.operations.contains(className)
  }

  /// What the registry knows of this class.
  func registered() throws -> LayerClass {
    if isOperation {
      throw failure(
        "layers", "the operation \(className)", advice: "use a layer in its place before saving the model")
    }
    guard !Self.refused.contains(className) else {
      throw failure("layers without code of their own", "a \(className), whose code would have to be run")
    }
    do {
      return try LayerRegistry.named(className)
    } catch let error as ModelError {
      throw failure("a layer that is known here", "'\(error)'")
    }
  }

  /// The dtypes of weights and computation: a name, or the policy that Keras writes since 3.4.
  func dtypePolicy() throws -> DTypePolicy {
    do {
      if let policy = try DTypePolicy(config["dtype"]) { return policy }
    } catch let error as ModelError {
      throw failure("a dtype such as float32", "'\(error)'")
    }
    throw failure("a dtype such as float32", (config["dtype"] ?? .null).kindName)
  }
}
