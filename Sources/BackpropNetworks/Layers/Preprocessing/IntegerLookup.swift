import BackpropTensors
import Synchronization

/// Whole numbers as numbers of a vocabulary, given or found by ``adapt(_:)``. Keras' `IntegerLookup`.
///
/// ```swift
/// IntegerLookup(vocabulary: [12, 36])(Tensor([36, 7, 12]))      // [2, 0, 1]: 0 is for unknown numbers
/// ```
///
/// Part of a compiled model too, as long as unknown numbers have one place at most or go by their remainder.
public final class IntegerLookup: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var maxTokens: Int?
    public var numOovIndices: Int
    public var maskToken: Int?
    public var oovToken: Int?
    public var vocabulary: [Int]?
    public var idfWeights: [Double]?
    public var invert: Bool
    public var outputMode: CategoryOutput
    public var padToMaxTokens: Bool
    /// `floormod` or `farmhash`: how unknown numbers find one of several places.
    public var oovMethod: String
    public var salt: OneOrMany<Int>?
  }

  private let state: Mutex<(configuration: Configuration, table: TokenTable<Int>?)>
  /// With the vocabulary that was found.
  public var configuration: Configuration { state.withLock { $0.configuration } }

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    state = Mutex((configuration, nil))
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// Arguments are those of ``StringLookup``; with `hashesUnknown` unknown numbers find their place by a hash.
  public convenience init(
    vocabulary: [Int]? = nil, maxTokens: Int? = nil, oovIndexCount: Int = 1, mask: Int? = nil, oov: Int = -1,
    inverts: Bool = false, output: CategoryOutput = .int, idfWeights: [Double]? = nil,
    padsToMaxTokens: Bool = false, hashesUnknown: Bool = false, salt: OneOrMany<Int>? = nil,
    name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        maxTokens: maxTokens, numOovIndices: oovIndexCount, maskToken: mask, oovToken: oov,
        vocabulary: vocabulary, idfWeights: idfWeights, invert: inverts, outputMode: output,
        padToMaxTokens: padsToMaxTokens, oovMethod: hashesUnknown ? "farmhash" : "floormod", salt: salt),
      name: name)
  }

  private var options: TokenTable<Int>.Options {
    let configuration = configuration
    return TokenTable.Options(
      maxTokens: configuration.maxTokens, oovCount: configuration.numOovIndices,
      mask: configuration.maskToken,
      oov: configuration.oovToken, output: configuration.outputMode,
      padsToMaxTokens: configuration.padToMaxTokens, inverts: configuration.invert,
      salt: configuration.salt?.values, usesRemainder: configuration.oovMethod != "farmhash")
  }

  private func table() throws -> TokenTable<Int> {
    if let table = state.withLock({ $0.table }) { return table }
    let options = options
    try options.check(path)
    let configuration = configuration
    guard let vocabulary = configuration.vocabulary else {
      throw ModelError(.order, at: path, "has no vocabulary yet; call adapt(_:) or setVocabulary(_:) first")
    }
    let table = try TokenTable(vocabulary, options, idfWeights: configuration.idfWeights, path: path)
    state.withLock { $0.table = table }
    return table
  }

  /// Takes the numbers that occur as the vocabulary, the most frequent first; rows of a matrix are documents.
  public func adapt(_ data: Tensor) throws {
    var counts = TokenCounts<Int>()
    let rows = data.rank > 1 ? data.shape[0] : 1
    let numbers = data.integers
    let columns = numbers.count / max(rows, 1)
    for row in 0..<rows { counts.add(Array(numbers[(row * columns)..<((row + 1) * columns)])) }
    let found = counts.vocabulary(options)
    try setVocabulary(found.tokens, idfWeights: configuration.outputMode == .tfIDF ? found.idfWeights : nil)
  }

  /// - Throws: ``ModelError`` naming the first number that can't be there.
  public func setVocabulary(_ vocabulary: [Int], idfWeights: [Double]? = nil) throws {
    let options = options
    try options.check(path)
    let table = try TokenTable(vocabulary, options, idfWeights: idfWeights, path: path)
    state.withLock { state in
      state.table = table
      state.configuration.vocabulary = table.tokens
      state.configuration.idfWeights = idfWeights
    }
  }

  /// The vocabulary in the order of its numbers.
  public func getVocabulary(includeSpecialTokens: Bool = true) throws -> [Int] {
    try table().vocabulary(special: includeSpecialTokens, empty: -1)
  }

  public func vocabularySize() throws -> Int { try table().size }

  /// Numbers, or rows as the output mode says, for values that can be looked at.
  ///
  /// - Throws: ``ModelError`` naming the first unknown value where there is no number for those.
  public func lookUp(_ values: Tensor) throws -> Tensor {
    let table = try table()
    if table.options.inverts {
      return Tensor(values.integers.map { Int64(table.token($0, empty: -1)) }, shape: values.shape)
    }
    return table.output(try table.numbers(of: values.integers, path: path), values.shape)
  }

  public override func build(_ input: Shape) throws { _ = try table() }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    do {
      if input.isReadable { return try lookUp(input) }
      return recorded(input.cast(to: .int64), try table())
    } catch { programmerError("\(error)") }
  }

  /// Keras reads the weights of tf-idf from here, though its configuration has them too.
  package override var savedTensors: [String: Tensor] {
    guard let weights = try? table().idfWeights else { return [:] }
    return ["idf_weights": Tensor(weights.map { Float($0) })]
  }

  package override var needsNumbers: String? {
    let options = options
    guard !options.inverts, options.oovCount > 1, !options.usesRemainder else { return nil }
    return "hashes unknown numbers, which a compiled model can't: call it before the model, on its data"
  }

  /// The same in tensor operations. An unknown value that has no number becomes −1.
  private func recorded(_ values: Tensor, _ table: TokenTable<Int>) -> Tensor {
    let options = table.options
    if options.inverts {
      // The special tokens before the vocabulary can be more than there is memory for.
      let all = Tensor(([options.oov ?? -1] + table.tokens).map { Int64($0) })
      let isUnknown = (values .< Double(options.start)).or(values .>= Double(table.size))
      let before = Tensor(Int64(options.start - 1))
      let found = all.gathered(Tensor.select(isUnknown, before, values) - before)
      guard options.hasMaskNumber else { return found }
      return Tensor.select(values .== Tensor(Int64(0)), Tensor(Int64(options.mask ?? -1)), found)
    }
    let order = table.tokens.indices.sorted { table.tokens[$0] < table.tokens[$1] }
    let sorted = Tensor(order.map { Int64(table.tokens[$0]) })
    let numbers = Tensor(order.map { Int64($0 + options.start) })
    let place = (values.countNotAbove(sorted: sorted) - Tensor(Int32(1))).maximum(0)
    let isKnown = sorted.gathered(place) .== values
    let unknown: Tensor
    switch options.oovCount {
    case 0: unknown = Tensor(Int64(-1))
    case 1: unknown = Tensor(Int64(options.start - 1))
    default:
      require(options.usesRemainder, "\(path): \(needsNumbers ?? "")")
      let remainder = values.remainder(dividingBy: Tensor(Int64(options.oovCount)))
      unknown = remainder + Tensor(Int64(options.start - options.oovCount))
    }
    var result = Tensor.select(isKnown, numbers.gathered(place), unknown)
    if let mask = options.mask {
      let number = options.output == .int ? Tensor(Int64(0)) : Tensor(Int64.max)
      result = Tensor.select(values .== Tensor(Int64(mask)), number, result)
    }
    let rows = result.encoded(options.output, depth: table.depth, dtype: .int64)
    guard let weights = table.idfWeights else { return rows }
    return rows.cast(to: .float32) * Tensor(weights.map { Float($0) })
  }
}
