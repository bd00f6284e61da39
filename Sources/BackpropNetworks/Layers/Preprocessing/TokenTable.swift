import BackpropTensors
import Foundation

/// What a lookup's tokens may be.
protocol Token: Hashable, Sendable, Codable {
  /// As bytes to hash, and for messages.
  var text: String { get }
  /// Orders tokens that occur equally often: the later one comes first, as in Keras.
  static func isLater(_ a: Self, _ b: Self) -> Bool
}

extension String: Token {
  var text: String { self }
  static func isLater(_ a: String, _ b: String) -> Bool { b.utf8.lexicographicallyPrecedes(a.utf8) }
}

extension Int: Token {
  var text: String { "\(self)" }
  static func isLater(_ a: Int, _ b: Int) -> Bool { a > b }
}

/// The numbers of tokens: first the mask's 0 (in the mode `int`), then those for unknown tokens, then the vocabulary's.
struct TokenTable<Value: Token>: Sendable {
  struct Options: Sendable {
    var maxTokens: Int?
    var oovCount: Int
    var mask: Value?
    var oov: Value?
    var output: CategoryOutput
    var padsToMaxTokens: Bool
    var inverts: Bool
    var salt: [Int]?
    /// Unknown whole numbers by their remainder, not by a hash.
    var usesRemainder = false

    var hasMaskNumber: Bool { mask != nil && output == .int }
    /// The number of the first token of the vocabulary.
    var start: Int { (hasMaskNumber ? 1 : 0) + oovCount }

    func check(_ path: String) throws {
      func refuse(_ message: String) -> ModelError { ModelError(.argument, at: path, message) }
      if let maxTokens, maxTokens <= 1 { throw refuse("needs a max_tokens above 1, got \(maxTokens)") }
      if oovCount < 0 { throw refuse("needs num_oov_indices of at least 0, got \(oovCount)") }
      if padsToMaxTokens, maxTokens == nil { throw refuse("pad_to_max_tokens needs max_tokens") }
      if inverts, output != .int { throw refuse("invert needs the output mode int, got \(output.rawValue)") }
      if let salt, !(1...2).contains(salt.count) {
        throw refuse("the salt is one number or two, got \(salt.count)")
      }
      if salt != nil, usesRemainder { throw refuse("a salt needs the oov_method farmhash") }
    }
  }

  let options: Options
  let tokens: [Value]
  private let numbers: [Value: Int]
  /// Of every number, special ones too; nil unless the output mode is tf_idf.
  let idfWeights: [Double]?

  /// - Parameter vocabulary: with or without the special tokens in front.
  init(_ vocabulary: [Value], _ options: Options, idfWeights: [Double]?, path: String) throws {
    self.options = options
    var tokens = vocabulary
    // As many as a file says, whatever it holds.
    if options.start > 0, options.start <= vocabulary.count {
      let special: [Value?] =
        (options.hasMaskNumber ? [options.mask] : []) + Array(repeating: options.oov, count: options.oovCount)
      if vocabulary.prefix(special.count).map({ $0 as Value? }) == special {
        tokens.removeFirst(special.count)
      }
    }
    var numbers: [Value: Int] = [:]
    for (position, token) in tokens.enumerated() {
      if let first = numbers.updateValue(options.start + position, forKey: token) {
        throw ModelError(
          .data, at: path,
          "the vocabulary has '\(token.text)' twice, at \(first - options.start) and \(position)")
      }
      if token == options.mask {
        throw ModelError(
          .data, at: path,
          "the vocabulary has the mask token '\(token.text)' at \(position); leave special tokens out, or all of them in front"
        )
      }
    }
    if tokens.isEmpty { throw ModelError(.data, at: path, "the vocabulary is empty") }
    if let maxTokens = options.maxTokens, options.start + tokens.count > maxTokens {
      throw ModelError(
        .data, at: path,
        "the vocabulary has \(options.start + tokens.count) tokens, special ones included, max_tokens is \(maxTokens)"
      )
    }
    self.tokens = tokens
    self.numbers = numbers
    self.idfWeights =
      try options.output == .tfIDF ? Self.weights(idfWeights, tokens.count, options, path) : nil
  }

  /// 32 MB of them.
  private static var mostMadeUp: Int { 1 << 22 }

  /// A weight for every number: unknown tokens have the mean where none is given.
  private static func weights(
    _ given: [Double]?, _ count: Int, _ options: Options, _ path: String
  ) throws -> [Double] {
    guard var weights = given, weights.count == count || weights.count == count + options.start else {
      throw ModelError(
        .argument, at: path,
        "the output mode tf_idf needs an idf weight for each of the \(count) tokens, got \(given?.count ?? 0)"
      )
    }
    let all = max(count + options.start, options.padsToMaxTokens ? options.maxTokens ?? 0 : 0)
    guard all - count <= mostMadeUp else {
      throw ModelError(
        .argument, at: path,
        "the output mode tf_idf makes up at most \(mostMadeUp) weights, for special tokens and to fill up; \(all - count) would be needed"
      )
    }
    if weights.count == count {
      let mean = weights.reduce(0, +) / Double(count)
      weights = [Double](repeating: mean, count: options.start) + weights
    }
    if options.padsToMaxTokens, let maxTokens = options.maxTokens, weights.count < maxTokens {
      weights += [Double](repeating: 0, count: maxTokens - weights.count)
    }
    return weights
  }

  /// All numbers that there are.
  var size: Int { options.start + tokens.count }
  var depth: Int { options.padsToMaxTokens ? options.maxTokens ?? size : size }

  /// The vocabulary in the order of the numbers.
  func vocabulary(special: Bool, empty: Value) -> [Value] {
    guard special else { return tokens }
    let masks = options.hasMaskNumber ? [options.mask ?? empty] : []
    return masks + [Value](repeating: options.oov ?? empty, count: options.oovCount) + tokens
  }

  /// The number of a token; nil for an unknown one where there is no number for those. The mask has none but in the mode
  /// `int`: it leaves no mark.
  func number(_ token: Value) -> Int? {
    if token == options.mask { return options.output == .int ? 0 : .max }
    if let number = numbers[token] { return number }
    switch options.oovCount {
    case 0: return nil
    case 1: return options.start - 1
    default: return options.start - options.oovCount + bucket(token)
    }
  }

  private func bucket(_ token: Value) -> Int {
    let count = options.oovCount
    if options.usesRemainder, let number = token as? Int { return ((number % count) + count) % count }
    let bytes = Array(token.text.utf8)
    guard let salt = options.salt else { return Int(StringHash.farmFingerprint(bytes) % UInt64(count)) }
    let key = (UInt64(bitPattern: Int64(salt[0])), UInt64(bitPattern: Int64(salt[salt.count - 1])))
    return Int(StringHash.sip(bytes, key: key) % UInt64(count))
  }

  /// - Throws: ``ModelError`` naming the first token that has no number.
  func numbers(of tokens: some Sequence<Value>, path: String) throws -> [Int] {
    try tokens.enumerated().map { position, token in
      if let number = number(token) { return number }
      throw ModelError(
        .data, at: path,
        "'\(token.text)' at position \(position) isn't in the vocabulary; num_oov_indices of 1 gives unknown tokens a number"
      )
    }
  }

  /// The token of a number, the unknown token where there is none.
  func token(_ number: Int, empty: Value) -> Value {
    if options.hasMaskNumber, number == 0 { return options.mask ?? empty }
    let position = number - options.start
    return tokens.indices.contains(position) ? tokens[position] : options.oov ?? empty
  }

  /// Rows for numbers: as the output mode says, times the idf weights.
  func output(_ numbers: [Int], _ shape: Shape) -> Tensor {
    let tensor = Tensor(numbers.map { Int64($0) }, shape: shape)
    let rows = tensor.encoded(options.output, depth: depth, dtype: .int64)
    guard let idfWeights else { return rows }
    return rows.cast(to: .float32) * Tensor(idfWeights.map { Float($0) })
  }
}

/// How often tokens occur, and in how many documents.
struct TokenCounts<Value: Token>: Sendable {
  private var counts: [Value: Int] = [:]
  private var documents: [Value: Int] = [:]
  private var documentCount = 0

  mutating func add(_ document: [Value]) {
    for token in document { counts[token, default: 0] += 1 }
    for token in Set(document) { documents[token, default: 0] += 1 }
    documentCount += 1
  }

  /// The most frequent tokens first, and how rare each is: log(1 + documents / (1 + documents with it)).
  func vocabulary(_ options: TokenTable<Value>.Options) -> (tokens: [Value], idfWeights: [Double]) {
    let known = counts.filter { $0.key != options.mask && $0.key != options.oov }
    var tokens = known.sorted { a, b in
      a.value != b.value ? a.value > b.value : Value.isLater(a.key, b.key)
    }.map(\.key)
    if let maxTokens = options.maxTokens { tokens = Array(tokens.prefix(max(maxTokens - options.start, 0))) }
    let weights = tokens.map { log(1 + Double(documentCount) / Double(1 + documents[$0, default: 0])) }
    return (tokens, weights)
  }
}
