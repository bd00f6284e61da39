import Backprop
import Foundation

/// `backprop inspect`
struct InspectCommand: Command {
  static let name = "inspect"
  static let abstract = "look into a file of tensors, or compare two"
  static let discussion = [
    """
    Lists the tensors of FILE with dtype, shape and statistics: of a Keras model (.keras, or .h5 as Keras 2 wrote them), \
    of weights (.weights.h5), of any HDF5 file of the kind that Keras writes, of safetensors, npy, npz and IDX files, and \
    the series of numbers in TensorBoard's event files. What a file is, its bytes say, not its name.
    """,
    """
    With OTHER it says what differs between the two: tensors that only one of them has, other dtypes and shapes, and \
    for other elements how many there are, the largest difference and where. Nothing that differs: exit status 0; \
    something: 3.
    """,
    "With --log json there is one object for each tensor, or for each difference.",
  ]
  static let examples = [
    Example("backprop inspect mnist.keras", "the weights and the optimizer's state of a model"),
    Example("backprop inspect before.safetensors after.safetensors", "what training changed"),
  ]
  static let exitCodes = [ExitCode.different]

  let log = LogOptions()

  @Operand("FILE", "a file of tensors") var file: String
  @Operand("OTHER", "a second one to compare with") var other: String? = nil

  func run() throws -> ExitCode {
    let first = try TensorFile(file)
    guard let other else {
      try list(first)
      return .success
    }
    let differences = try TensorDifference.all(first, try TensorFile(other))
    for difference in differences {
      switch log.format {
      case .plain: StandardOutput.writeLine(difference.description)
      case .json: StandardOutput.writeLine(difference.json.line)
      case .quiet: break
      }
    }
    if differences.isEmpty, log.format == .plain {
      StandardOutput.writeLine("\(first.names.count) tensors, all the same bit for bit")
    }
    return differences.isEmpty ? .success : .different
  }

  private func list(_ file: TensorFile) throws {
    if log.format == .plain {
      let facts = file.facts.map { ", \($0.name) \(DisplayText.oneLine($0.value))" }.joined()
      StandardOutput.writeLine("\(file.path): \(file.kind.rawValue), \(file.byteCount) bytes\(facts)")
    }
    let width = file.names.map { DisplayText.oneLine($0).count }.max() ?? 0
    for name in file.names {
      let tensor = try file.tensor(name)
      let statistics = TensorStatistics(tensor)
      switch log.format {
      case .plain:
        let title = DisplayText.oneLine(name)
        let padding = String(repeating: " ", count: width - title.count)
        StandardOutput.writeLine("\(title)\(padding)  \(tensor.type)  \(statistics.inWords)")
      case .json:
        var object = JSON.object([("name", .string(name)), ("dtype", .string(tensor.dtype.rawValue))])
        object.set("shape", .array(tensor.shape.dimensions.map { .integer($0) }))
        object.add(statistics)
        StandardOutput.writeLine(object.line)
      case .quiet: break
      }
    }
  }
}

extension ExitCode {
  static let different = ExitCode(value: 3, meaning: "the two files differ")
}

/// Something that isn't the same in two files.
struct TensorDifference: CustomStringConvertible {
  let name: String
  let description: String
  let json: JSON

  private init(_ name: String, _ words: String, _ members: [(name: String, value: JSON)] = []) {
    self.name = name
    description = "\(DisplayText.oneLine(name)): \(words)"
    json = .object([("name", .string(name)), ("difference", .string(words))] + members)
  }

  /// In the order of the first file, then what only the second has.
  static func all(_ a: TensorFile, _ b: TensorFile) throws -> [TensorDifference] {
    let known = Set(b.names)
    var result: [TensorDifference] = []
    for name in a.names {
      guard known.contains(name) else {
        result.append(TensorDifference(name, "only in \(a.path)"))
        continue
      }
      if let difference = compare(name, try a.tensor(name), try b.tensor(name)) { result.append(difference) }
    }
    let mine = Set(a.names)
    for name in b.names where !mine.contains(name) {
      result.append(TensorDifference(name, "only in \(b.path)"))
    }
    return result
  }

  private static func compare(_ name: String, _ a: Tensor, _ b: Tensor) -> TensorDifference? {
    if a.shape != b.shape || a.dtype != b.dtype {
      return TensorDifference(name, "\(a.type) against \(b.type)")
    }
    // The same bits are the same, NaN or not.
    let isSame = a.withUnsafeBytes { x in b.withUnsafeBytes { y in x.elementsEqual(y) } }
    if isSame { return nil }
    let (x, y) = (a.doubles, b.doubles)
    var (count, worst, place) = (0, 0.0, 0)
    for index in x.indices where x[index] != y[index] && !(x[index].isNaN && y[index].isNaN) {
      let difference = abs(x[index] - y[index])
      if count == 0 || difference > worst || (difference.isNaN && !worst.isNaN) {
        (worst, place) = (difference, index)
      }
      count += 1
    }
    guard count > 0 else { return TensorDifference(name, "other bits of the same numbers") }
    var position: [Int] = []
    var rest = place
    for size in a.shape.dimensions.reversed() {
      position.insert(rest % size, at: 0)
      rest /= size
    }
    let words =
      "\(count) of \(x.count) elements differ, most at \(position): \(short(x[place])) against \(short(y[place]))"
    return TensorDifference(
      name, words,
      [
        ("count", .integer(count)), ("largest", .number(worst)),
        ("position", .array(position.map { .integer($0) })),
      ])
  }
}

extension TensorStatistics {
  /// "min -1, max 2.5, mean 0.25, std 1.1"
  var inWords: String {
    if count == 0 { return "empty" }
    var parts: [String] = []
    if !minimum.isNaN {
      parts = [
        "min \(short(minimum))", "max \(short(maximum))", "mean \(short(mean))",
        "std \(short(standardDeviation))",
      ]
    }
    if zeroCount * 2 > count { parts.append("\(zeroCount) of \(count) are zero") }
    if nanCount > 0 { parts.append("\(nanCount) NaN") }
    if infiniteCount > 0 { parts.append("\(infiniteCount) infinite") }
    return parts.joined(separator: ", ")
  }
}

extension JSON {
  mutating func add(_ statistics: TensorStatistics) {
    for (name, value) in [
      ("min", statistics.minimum), ("max", statistics.maximum), ("mean", statistics.mean),
      ("std", statistics.standardDeviation),
    ] { set(name, .number(value)) }
    for (name, value) in [
      ("zeros", statistics.zeroCount), ("nan", statistics.nanCount), ("infinite", statistics.infiniteCount),
    ] { set(name, .integer(value)) }
  }
}

/// Five significant digits.
func short(_ value: Double) -> String {
  let text = String(format: "%.5g", value)
  return text == "-0" ? "0" : text
}
