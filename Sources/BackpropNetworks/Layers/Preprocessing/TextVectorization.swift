import BackpropTensors
import Synchronization

/// Sentences as numbers of their words: cleaned, cut into tokens and n-grams, looked up in a vocabulary. Keras'
/// `TextVectorization`.
///
/// ```swift
/// let vectorize = TextVectorization(sequenceLength: 4)
/// try vectorize.adapt(["the cat sat", "the dog"])
/// try vectorize(["The cat!"])      // [[2, 5, 0, 0]]: 0 fills up, 1 is for unknown words
/// ```
///
/// It is called with Swift arrays of strings, before the model: tensors hold numbers. Rows are as in Keras on bytes:
/// only ASCII letters are lowered, only ASCII punctuation is taken out.
public final class TextVectorization: Layer, ConfigurableLayer, @unchecked Sendable {
  public enum Standardization: String, Codable, Hashable, Sendable {
    case lowerAndStripPunctuation = "lower_and_strip_punctuation"
    case lower
    case stripPunctuation = "strip_punctuation"
  }

  public enum Split: String, Codable, Hashable, Sendable {
    case whitespace
    case character
  }

  public struct Configuration: Codable, Hashable, Sendable {
    public var maxTokens: Int?
    public var standardize: Standardization?
    public var split: Split?
    /// Up to this many tokens together, or just so many.
    public var ngrams: OneOrMany<Int>?
    public var outputMode: CategoryOutput
    public var outputSequenceLength: Int?
    public var padToMaxTokens: Bool
    public var vocabulary: [String]?
    public var idfWeights: [Double]?
  }

  private let text: Mutex<Configuration>
  private let lookup: StringLookup

  /// With the vocabulary that was found.
  public var configuration: Configuration {
    var configuration = text.withLock { $0 }
    configuration.vocabulary = lookup.configuration.vocabulary
    configuration.idfWeights = lookup.configuration.idfWeights
    return configuration
  }

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    text = Mutex(configuration)
    lookup = StringLookup(
      configuration: StringLookup.Configuration(
        maxTokens: configuration.maxTokens, numOovIndices: 1, maskToken: "", oovToken: "[UNK]",
        vocabulary: configuration.vocabulary, idfWeights: configuration.idfWeights, invert: false,
        outputMode: configuration.outputMode, padToMaxTokens: configuration.padToMaxTokens, salt: nil))
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - ngrams: up to this many tokens together are tokens too; a list: just so many.
  ///   - sequenceLength: rows are cut or filled up to it, in the output mode `int`; nil: the longest row's.
  public convenience init(
    vocabulary: [String]? = nil, maxTokens: Int? = nil,
    standardize: Standardization? = .lowerAndStripPunctuation, split: Split? = .whitespace,
    ngrams: OneOrMany<Int>? = nil, output: CategoryOutput = .int, sequenceLength: Int? = nil,
    padsToMaxTokens: Bool = false, idfWeights: [Double]? = nil, name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        maxTokens: maxTokens, standardize: standardize, split: split, ngrams: ngrams, outputMode: output,
        outputSequenceLength: sequenceLength, padToMaxTokens: padsToMaxTokens, vocabulary: vocabulary,
        idfWeights: idfWeights), name: name)
  }

  /// The lookup is part of this layer's configuration, not a layer of its own in files.
  public override var sublayers: [Layer] { [] }

  private func checkOptions() throws {
    let configuration = configuration
    func refuse(_ message: String) -> ModelError { ModelError(.argument, at: path, message) }
    if configuration.outputMode == .oneHot {
      throw refuse("expected the output mode int, multi_hot, count or tf_idf, got one_hot")
    }
    if configuration.outputSequenceLength != nil, configuration.outputMode != .int {
      throw refuse(
        "output_sequence_length needs the output mode int, got \(configuration.outputMode.rawValue)")
    }
    if let length = configuration.outputSequenceLength, length < 1 {
      throw refuse("output_sequence_length must be positive, got \(length)")
    }
    if let bad = configuration.ngrams?.values.first(where: { $0 < 1 }) {
      throw refuse("ngrams must be positive, got \(bad)")
    }
    try lookup.options.check(path)
  }

  // MARK: Tokens

  /// The tokens of a sentence, as they are looked up.
  public func tokens(of sentence: String) -> [String] {
    let configuration = text.withLock { $0 }
    var bytes = Array(sentence.utf8)
    let standard = configuration.standardize
    if standard == .lower || standard == .lowerAndStripPunctuation {
      bytes = bytes.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 + 32 : $0 }
    }
    if standard == .stripPunctuation || standard == .lowerAndStripPunctuation {
      bytes.removeAll { Self.punctuation.contains($0) }
    }
    var tokens: [String]
    switch configuration.split {
    case .whitespace:
      tokens = bytes.split { $0 == 32 || (9...13).contains($0) }.map { String(decoding: $0, as: UTF8.self) }
    case .character: tokens = String(decoding: bytes, as: UTF8.self).unicodeScalars.map { String($0) }
    case nil: tokens = [String(decoding: bytes, as: UTF8.self)]
    }
    guard let ngrams = configuration.ngrams else { return tokens }
    let widths = ngrams.isSingle ? Array(1...ngrams.values[0]) : ngrams.values
    tokens = widths.flatMap { width -> [String] in
      guard tokens.count >= width else { return [] }
      return (0...(tokens.count - width)).map { tokens[$0..<($0 + width)].joined(separator: " ") }
    }
    return tokens
  }

  private static let punctuation = Set("!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'".utf8)

  // MARK: Vocabulary

  /// Takes the tokens of these sentences as the vocabulary, the most frequent first; each is a document to `tfIDF`.
  public func adapt(_ sentences: [String]) throws {
    try checkOptions()
    try lookup.adapt(sentences.map(tokens))
  }

  /// - Throws: ``ModelError`` naming the first token that can't be there.
  public func setVocabulary(_ vocabulary: [String], idfWeights: [Double]? = nil) throws {
    try lookup.setVocabulary(vocabulary, idfWeights: idfWeights)
  }

  /// The tokens in the order of their numbers: the empty one that fills up, the unknown one, then the vocabulary.
  public func getVocabulary(includeSpecialTokens: Bool = true) throws -> [String] {
    try lookup.getVocabulary(includeSpecialTokens: includeSpecialTokens)
  }

  public func vocabularySize() throws -> Int { try lookup.vocabularySize() }

  // MARK: Sentences

  /// int64 [sentences, length], filled up with 0; or a row over the vocabulary for each sentence.
  public func callAsFunction(_ sentences: [String]) throws -> Tensor {
    try checkOptions()
    let table = try lookup.table()
    let configuration = configuration
    let rows = try sentences.map { try table.numbers(of: tokens(of: $0), path: path) }
    guard configuration.outputMode == .int else {
      return Tensor.stack(rows.map { table.output($0, [1, $0.count]).flattened() })
    }
    let length = configuration.outputSequenceLength ?? rows.map(\.count).max() ?? 0
    let numbers = rows.flatMap { row -> [Int64] in
      let kept = row.prefix(length).map { Int64($0) }
      return kept + [Int64](repeating: 0, count: length - kept.count)
    }
    return Tensor(numbers, shape: [rows.count, length])
  }

  public override func build(_ input: Shape) throws {
    throw ModelError(
      .argument, at: path, "takes sentences: call it with them before the model, and give the model numbers")
  }
}
