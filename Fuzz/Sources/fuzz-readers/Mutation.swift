@testable import BackpropFiles
@testable import BackpropNetworks
@testable import BackpropTensors

// Changed bytes seldom leave JSON that is a configuration still: what reads layers, their options and dtypes behind the
// parser would hardly be reached. So half of the changes are of values, in the parsed text.

/// libFuzzer's own changes.
@_silgen_name("LLVMFuzzerMutate")
private func mutateBytes(_ data: UnsafeMutablePointer<UInt8>, _ count: Int, _ most: Int) -> Int

/// What libFuzzer calls for a changed input; gives its size.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(_ data: UnsafeMutablePointer<UInt8>, _ count: Int, _ most: Int, _ seed: UInt32) -> Int {
  guard seed % 2 == 0, let end = reader.configurationEnd(in: UnsafeBufferPointer(start: data, count: count))
  else {
    return mutateBytes(data, count, most)
  }
  let bytes = UnsafeBufferPointer(start: data, count: count)
  guard let value = try? JSONParser.parse(Array(bytes[..<end]), name: "input") else {
    return mutateBytes(data, count, most)
  }
  var mutation = JSONMutation(seed: seed)
  let changed = JSONWriter.write(mutation.changed(value)) + bytes[end...]
  guard changed.count <= most else { return mutateBytes(data, count, most) }
  _ = UnsafeMutableBufferPointer(start: data, count: changed.count).update(fromContentsOf: changed)
  return changed.count
}

extension Reader {
  /// Where the configuration at the beginning of an input ends; nil: it doesn't begin with one.
  fileprivate func configurationEnd(in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    switch self {
    case .config: bytes.count
    case .keras: bytes.firstIndex(of: 0)
    default: nil
    }
  }
}

/// One value of a JSON text becomes another: one that stands under the same key elsewhere, or one that is rarely thought of.
private struct JSONMutation {
  private var random: SplitMix
  /// Values by the key that they stood under, of the inputs so far.
  private nonisolated(unsafe) static var seen: [String: [ConfigValue]] = [:]
  private static let mostSeen = 64

  init(seed: UInt32) { random = SplitMix(state: UInt64(seed)) }

  mutating func changed(_ value: ConfigValue) -> ConfigValue {
    var rest = Int.random(in: 0..<value.nodeCount, using: &random)
    return changed(value, key: "", &rest) ?? .null
  }

  /// The value with the node that lies `rest` nodes behind it changed; nil: without it.
  private mutating func changed(_ value: ConfigValue, key: String, _ rest: inout Int) -> ConfigValue? {
    if rest == 0 {
      rest = -1
      return other(value, key: key)
    }
    rest -= 1
    switch value {
    case .array(let elements):
      return .array(elements.compactMap { rest < 0 ? $0 : changed($0, key: key, &rest) })
    case .object(let fields):
      var result: [String: ConfigValue] = [:]
      for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
        result[name] = rest < 0 ? field : changed(field, key: name, &rest)
      }
      return .object(result)
    default: return value
    }
  }

  private mutating func other(_ value: ConfigValue, key: String) -> ConfigValue? {
    note(value, key)
    switch (Int.random(in: 0..<8, using: &random), value) {
    case (0, _): return nil
    case (1, _): return [.null, .string(""), .array([]), .object([:])].randomElement(using: &random)!
    case (2, .array(let elements)): return .array(elements.reversed())
    case (3, .array(let elements)): return .array(elements + elements.suffix(1))
    case (4, .array(let elements)): return .array(elements.dropLast())
    case (2..., .bool(let value)): return .bool(!value)
    case (2...4, .integer), (2...4, .number): return Self.numbers.randomElement(using: &random)!
    case (2...4, .string) where key == "dtype":
      return .string(DType.allCases.randomElement(using: &random)!.rawValue)
    default: return Self.seen[key]!.randomElement(using: &random)!
    }
  }

  private mutating func note(_ value: ConfigValue, _ key: String) {
    let known = Self.seen[key] ?? []
    if known.contains(value) { return }
    if known.count < Self.mostSeen {
      Self.seen[key, default: []].append(value)
    } else {
      Self.seen[key]![Int.random(in: 0..<known.count, using: &random)] = value
    }
  }

  private static let numbers: [ConfigValue] = [
    .integer(0), .integer(1), .integer(-1), .integer(2), .integer(3), .integer(7), .integer(40_000),
    .integer(1 << 20), .integer(1 << 30), .integer(1 << 31), .integer(1 << 62), .integer(.max),
    .integer(.min), .number(0.5), .number(-0.5),
    .number(1e300), .number(.nan), .number(.infinity),
  ]
}

extension ConfigValue {
  fileprivate var nodeCount: Int {
    switch self {
    case .array(let elements): elements.reduce(1) { $0 + $1.nodeCount }
    case .object(let fields): fields.values.reduce(1) { $0 + $1.nodeCount }
    default: 1
    }
  }
}

/// Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators".
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
