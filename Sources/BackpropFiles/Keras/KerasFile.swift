import BackpropData
import BackpropNetworks
import BackpropTensors
import Foundation

extension Model {
  /// Writes the model to a `.keras` file: layers, weights, what it was compiled with, and the optimizer's state, so that
  /// training goes on where it was. Keras 3 opens it.
  ///
  /// ```swift
  /// try model.save("mnist.keras")
  /// let again = try Model.load("mnist.keras")
  /// ```
  ///
  /// The file appears whole or not at all, and replaces what had its name. Losses and metrics that are closures aren't
  /// written.
  ///
  /// - Throws: `ModelError` when there are no weights yet; `DataError` with the path when the name doesn't end in
  ///   `.keras`, a layer isn't one of Keras' or the file can't be written.
  public func save(_ path: String) throws {
    try KerasFile.checkName(path)
    try KerasFile.write(self, to: path)
  }

  /// Reads a model from a `.keras` file that ``Model/save(_:)`` or Keras 3 wrote, or from an `.h5` file that holds a whole
  /// model, as Keras 2 wrote them: with its weights, compiled as it was, with the optimizer's state.
  ///
  /// A file can't make code run: layers are made by name from those that are known here, `Lambda` is refused.
  ///
  /// `Model.load` reads any model, `Sequential.load` and `Functional.load` those of the class.
  ///
  /// - Parameters:
  ///   - seed: for what is drawn from now on; files don't hold it.
  ///   - onWarning: gets what was left out, one sentence each. Without it they go to standard error.
  /// - Throws: `DataError` naming the file and the place in it.
  public static func load(
    _ path: String, seed: Int = 0, onWarning: ((String) -> Void)? = nil
  ) throws -> Self {
    let (read, warnings) = try KerasFile.read(path, seed: seed)
    guard let model = read as? Self else {
      throw DataError(
        file: path, place: .wholeFile, expected: "a \(Self.className) model",
        found: "a \(read.className) model",
        advice: "read it with Model.load")
    }
    for warning in warnings {
      if let onWarning {
        onWarning(warning)
      } else {
        StandardStream.error.writeLine("warning: \(path): \(warning)")
      }
    }
    return model
  }
}

/// A `.keras` file: a zip with configuration and weights.
package enum KerasFile {
  /// The first release that reads what is written here.
  private static let version = "3.0.0"

  /// Finds out whether a model could be saved to `path`, before it is trained for hours.
  ///
  /// - Throws: `DataError` with the path and the reason.
  package static func checkWritable(_ path: String) throws {
    try checkName(path)
    try AtomicFile.checkWritable(path)
  }

  /// Whether the name ends as those of whole models do.
  package static func isName(_ path: String) -> Bool { path.hasSuffix(".keras") }

  static func checkName(_ path: String) throws {
    guard isName(path) else {
      throw DataError(
        file: path, place: .wholeFile,
        expected: "a name that ends in .keras, by which Keras knows such files",
        found: "'\(path.split(separator: "/").last ?? "")'")
    }
  }

  static func write(_ model: Model, to path: String) throws {
    let writer = KerasModelWriter(file: path)
    // One state of the model, not a mixture of two steps of training.
    let (config, weights) = try Engine.exclusively {
      (try writer.config(of: model), writer.weights(of: model))
    }
    let metadata: ConfigValue = .object([
      "keras_version": .string(version), "date_saved": .string(timestamp()),
    ])
    var archive = ZipWriter()
    archive.add(KerasPaths.metadata, JSONWriter.write(metadata))
    archive.add(KerasPaths.config, JSONWriter.write(config))
    archive.add(KerasPaths.weights, HDF5Writer.pieces(weights))
    try FilePiece.write(archive.pieces(), to: path)
  }

  static func read(_ path: String, seed: Int) throws -> (model: Model, warnings: [String]) {
    let region = try ByteRegion(path: path)
    let first = try region.bytes(at: 0, count: min(region.count, 8))
    if first == HDF5Superblock.signature { return try LegacyKerasFile(region).model(seed: seed) }
    let archive = try ZipArchive(region)
    func contents(_ name: String) throws -> ByteRegion {
      guard let member = archive.member(name) else {
        let names = archive.members.prefix(8).map(\.name).joined(separator: ", ")
        throw DataError(
          file: path, place: .part(name), expected: "this member of a .keras file",
          found: names.isEmpty ? "an empty archive" : "only \(names)")
      }
      return try archive.contents(of: member)
    }
    let config = try contents(KerasPaths.config)
    var reader = KerasModelReader(file: path) { try archive.member($0).map(archive.contents) }
    let model = try reader.model(
      config: config.bytes(at: 0, count: config.count), weights: contents(KerasPaths.weights), seed: seed)
    return (model, reader.warnings)
  }

  /// `2026-11-24@01:57:47`, local time.
  private static func timestamp() -> String {
    let parts = Calendar(identifier: .gregorian)
      .dateComponents([.year, .month, .day, .hour, .minute, .second], from: Date())
    func text(_ value: Int?, _ width: Int = 2) -> String {
      let digits = String(value ?? 0)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    return "\(text(parts.year, 4))-\(text(parts.month))-\(text(parts.day))@"
      + "\(text(parts.hour)):\(text(parts.minute)):\(text(parts.second))"
  }
}
