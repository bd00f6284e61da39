import BackpropTensors

/// What stands for sizes that are open while shapes are found: two at a time, so that the sizes that follow from them are
/// known as open too.
enum StandIns {
  /// Multiples of 8, so that strides and pools divide them, and larger ones for many poolings or long kernels.
  static let pairs = [[24, 40], [192, 320], [3072, 5120]]

  /// What `body` gives for the first pair that it takes.
  ///
  /// - Parameters:
  ///   - first: the first pair that is tried, a number of ``pairs``.
  ///   - sizes: of each input, nil where they are open.
  /// - Throws: what it threw for the first pair, where it takes none.
  static func firstFitting<Result>(
    from first: Int = 0, _ sizes: [[Int?]], _ body: (Int) throws -> Result
  ) throws -> Result {
    do { return try body(first) } catch let refusal as ModelError
      where refusal.kind == .shape && isOpen(sizes)
    {
      for pair in pairs.indices.dropFirst(first + 1) where isModest(sizes, pair: pair) {
        if let result = try? body(pair) { return result }
      }
      let tried = pairs[first].map(String.init).joined(separator: " and ")
      throw ModelError(
        .shape, at: refusal.path, "\(refusal.message) (\(tried) stand for sizes that are open)")
    }
  }

  /// The two shapes that stand for one with open sizes, one shape where none is. The batch axis is 1.
  static func filled(_ sizes: [Int?], pair: Int) -> [Shape] {
    let isOpen = sizes.dropFirst().contains(nil)
    return pairs[pair].prefix(isOpen ? 2 : 1).map { size in
      Shape([1] + sizes.dropFirst().map { $0 ?? size })
    }
  }

  static func isOpen(_ sizes: [[Int?]]) -> Bool { sizes.contains { $0.dropFirst().contains(nil) } }

  /// Whether samples could be so large.
  private static func isModest(_ sizes: [[Int?]], pair: Int) -> Bool {
    sizes.allSatisfy { filled($0, pair: pair).allSatisfy { $0.elementCount <= 1 << 32 } }
  }
}

extension Model {
  /// Sizes of samples to build it for again, nil where they differed and for a model that isn't built. Not all that it
  /// takes where samples had other numbers of axes, or where nothing can stand for sizes that differed: those of the first.
  package var buildSizes: (sizes: [Int?], areAll: Bool)? {
    guard let first = firstInputs?.first?.dropFirst(), let sizes = preparedSizes?.first?.dropFirst() else {
      return nil
    }
    let isPrepared = StandIns.pairs.indices.contains { pair in
      StandIns.filled([nil] + sizes, pair: pair).allSatisfy { self.isPrepared(for: [$0]) }
    }
    if isPrepared || !sizes.contains(nil) || (try? build(sizes: Array(sizes))) != nil {
      return (Array(sizes), !tookOtherRanks)
    }
    return (Array(first), false)
  }
}

/// As messages show them.
func described(_ sizes: some Sequence<Int?>) -> String {
  "[\(sizes.map { $0.map(String.init) ?? "any" }.joined(separator: ", "))]"
}

/// `sizes`, nil where those of `shapes` differ. The batch axis is always open. As they were where there are other axes.
func opened(_ sizes: [[Int?]]?, by shapes: [Shape]) -> [[Int?]] {
  guard let sizes, sizes.haveRanks(of: shapes) else {
    return sizes ?? shapes.map { $0.isEmpty ? [] : [nil] + $0.dropFirst().map { $0 } }
  }
  return zip(sizes, shapes).map { sizes, shape in zip(sizes, shape).map { $0 == $1 ? $0 : nil } }
}

extension [[Int?]] {
  /// Whether there are as many, with as many axes each.
  func haveRanks(of shapes: [Shape]) -> Bool { map(\.count) == shapes.map(\.rank) }
}
