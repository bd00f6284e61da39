import BackpropTensors
import Synchronization

/// Strings as numbers of a vocabulary, given or found by ``adapt(_:)-([String])``. Keras' `StringLookup`.
///
/// ```swift
/// let lookup = StringLookup(vocabulary: ["a", "b"])
/// try lookup(["b", "x", "a"])      // [2, 0, 1]: 0 is for unknown strings
/// ```
///
/// It is called with Swift arrays of strings, before the model: tensors hold numbers, and what is inside a model is
/// compiled.
public final class StringLookup: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var maxTokens: Int?
    public var numOovIndices: Int
    public var maskToken: String?
    public var oovToken: String?
    public var vocabulary: [String]?
    public var idfWeights: [Double]?
    public var invert: Bool
    public var outputMode: CategoryOutput
    public var padToMaxTokens: Bool
    public var salt: OneOrMany<Int>?
  }

  private let state: Mutex<(configuration: Configuration, table: TokenTable<String>?)>
  /// With the vocabulary that was found.
  public var configuration: Configuration { state.withLock { $0.configuration } }

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    state = Mutex((configuration, nil))
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - vocabulary: nil: call `adapt`.
  ///   - maxTokens: how many numbers there are at most, those of special tokens included.
  ///   - oovIndexCount: numbers for unknown strings, by a hash; 0: they are refused.
  ///   - mask: a string that stands for nothing and gets the number 0.
  ///   - inverts: for numbers to strings: see ``strings(for:)``.
  ///   - idfWeights: one for each string of the vocabulary, for the output mode `tfIDF`.
  ///   - salt: unknown strings are hashed by SipHash with this key.
  public convenience init(
    vocabulary: [String]? = nil, maxTokens: Int? = nil, oovIndexCount: Int = 1, mask: String? = nil,
    oov: String = "[UNK]", inverts: Bool = false, output: CategoryOutput = .int,
    idfWeights: [Double]? = nil, padsToMaxTokens: Bool = false, salt: OneOrMany<Int>? = nil,
    name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        maxTokens: maxTokens, numOovIndices: oovIndexCount, maskToken: mask, oovToken: oov,
        vocabulary: vocabulary, idfWeights: idfWeights, invert: inverts, outputMode: output,
        padToMaxTokens: padsToMaxTokens, salt: salt), name: name)
  }

  var options: TokenTable<String>.Options {
    let configuration = configuration
    return TokenTable.Options(
      maxTokens: configuration.maxTokens, oovCount: configuration.numOovIndices,
      mask: configuration.maskToken,
      oov: configuration.oovToken, output: configuration.outputMode,
      padsToMaxTokens: configuration.padToMaxTokens, inverts: configuration.invert,
      salt: configuration.salt?.values)
  }

  func table() throws -> TokenTable<String> {
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

  // MARK: Vocabulary

  /// Takes the strings that occur as the vocabulary, the most frequent first.
  public func adapt(_ strings: [String]) throws { try adapt([strings]) }

  /// The same for documents, which `tfIDF` counts.
  public func adapt(_ documents: [[String]]) throws {
    var counts = TokenCounts<String>()
    for document in documents { counts.add(document) }
    let found = counts.vocabulary(options)
    try setVocabulary(found.tokens, idfWeights: configuration.outputMode == .tfIDF ? found.idfWeights : nil)
  }

  /// - Throws: ``ModelError`` naming the first string that can't be there.
  public func setVocabulary(_ vocabulary: [String], idfWeights: [Double]? = nil) throws {
    let options = options
    try options.check(path)
    let table = try TokenTable(vocabulary, options, idfWeights: idfWeights, path: path)
    state.withLock { state in
      state.table = table
      state.configuration.vocabulary = table.tokens
      state.configuration.idfWeights = idfWeights
    }
  }

  /// The strings in the order of their numbers.
  public func getVocabulary(includeSpecialTokens: Bool = true) throws -> [String] {
    try table().vocabulary(special: includeSpecialTokens, empty: "")
  }

  public func vocabularySize() throws -> Int { try table().size }

  // MARK: Looking up

  /// int64 numbers [count], or rows as the output mode says.
  ///
  /// - Throws: ``ModelError`` naming the first unknown string where there is no number for those.
  public func callAsFunction(_ strings: [String]) throws -> Tensor {
    let table = try table()
    return table.output(try table.numbers(of: strings, path: path), [strings.count])
  }

  /// Of rows of equal length: int64 [rows, columns], or rows as the output mode says.
  public func callAsFunction(_ rows: [[String]]) throws -> Tensor {
    let table = try table()
    return table.output(try table.numbers(of: rows.joined(), path: path), try tableShape(rows, path))
  }

  /// The strings of numbers, in order; the unknown one for numbers that have none.
  public func strings(for numbers: Tensor) throws -> [String] {
    let table = try table()
    return numbers.integers.map { table.token($0, empty: "") }
  }

  public override func build(_ input: Shape) throws {
    throw ModelError(
      .argument, at: path, "looks up strings: call it with them before the model, and give the model numbers")
  }
}
