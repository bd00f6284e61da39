import BackpropTensors

/// Strings or whole numbers into one of `binCount` bins, by a hash that is the same everywhere. Keras' `Hashing`.
///
/// ```swift
/// try Hashing(binCount: 3)(["A", "B", "C"])      // [1, 0, 1]
/// ```
///
/// Strings come as Swift arrays: tensors hold numbers.
public final class Hashing: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var numBins: Int
    /// One key or two: hashes by SipHash in place of FarmHash.
    public var salt: OneOrMany<Int>?
    /// What is put into bin 0, alone.
    public var maskValue: ConfigValue?
    public var outputMode: CategoryOutput
  }

  public let configuration: Configuration

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    binCount: Int, mask: ConfigValue? = nil, salt: OneOrMany<Int>? = nil, output: CategoryOutput = .int,
    name: String? = nil
  ) {
    let configuration = Configuration(numBins: binCount, salt: salt, maskValue: mask, outputMode: output)
    // Keras wants an integer dtype for numbers of bins.
    self.init(configuration: configuration, name: name, dtype: output == .int ? .int64 : .float32)
  }

  private func checkOptions() throws {
    if configuration.numBins < 1 {
      throw ModelError(.argument, at: path, "needs at least 1 bin, got \(configuration.numBins)")
    }
    if let salt = configuration.salt, !(1...2).contains(salt.values.count) {
      throw ModelError(.argument, at: path, "the salt is one number or two, got \(salt.values.count)")
    }
    if configuration.outputMode == .tfIDF {
      throw ModelError(
        .argument, at: path, "expected the output mode int, one_hot, multi_hot or count, got tf_idf")
    }
  }

  private func bin(_ text: String) -> Int {
    var bins = configuration.numBins
    let mask: String? =
      switch configuration.maskValue {
      case .string(let text)?: text
      case let value?: value.int.map { "\($0)" }
      case nil: nil
      }
    if mask != nil, bins > 1 {
      if text == mask { return 0 }
      bins -= 1
    }
    let bytes = Array(text.utf8)
    let hash: UInt64
    if let salt = configuration.salt?.values {
      let key = (UInt64(bitPattern: Int64(salt[0])), UInt64(bitPattern: Int64(salt[salt.count - 1])))
      hash = StringHash.sip(bytes, key: key)
    } else {
      hash = StringHash.farmFingerprint(bytes)
    }
    return Int(hash % UInt64(bins)) + (bins < configuration.numBins ? 1 : 0)
  }

  private func output(_ bins: [Int], _ shape: Shape) throws -> Tensor {
    try checkOptions()
    let isInt = configuration.outputMode == .int
    let numbers = Tensor(bins.map { Int64($0) }, shape: shape)
    return numbers.encoded(
      configuration.outputMode, depth: configuration.numBins, dtype: isInt ? .int64 : dtype)
  }

  /// Bins of strings: int64 [count], or as the output mode says.
  public func callAsFunction(_ strings: [String]) throws -> Tensor {
    try output(strings.map(bin), [strings.count])
  }

  /// Of rows of equal length: [rows, columns].
  public func callAsFunction(_ rows: [[String]]) throws -> Tensor {
    try output(rows.joined().map(bin), try tableShape(rows, path))
  }

  public override func build(_ input: Shape) throws { try checkOptions() }

  package override var needsNumbers: String? {
    "hashes numbers that are there: call it before the model, on its data"
  }

  /// Bins of whole numbers, by their decimal digits. Can't be part of a compiled model: its numbers must be there.
  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    require(input.isReadable, "\(path): \(needsNumbers!)")
    // Keras cuts fractions off.
    let digits = input.cast(to: .int64).integers.map { bin("\($0)") }
    do { return try output(digits, input.shape) } catch { programmerError("\(error)") }
  }
}

/// The shape of rows that must be of one length.
func tableShape(_ rows: [[String]], _ path: String) throws -> Shape {
  let columns = rows.first?.count ?? 0
  if let odd = rows.firstIndex(where: { $0.count != columns }) {
    throw ModelError(
      .shape, at: path,
      "expected rows of one length, row 0 has \(columns) strings, row \(odd) \(rows[odd].count)")
  }
  return [rows.count, columns]
}
