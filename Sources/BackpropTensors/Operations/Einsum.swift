extension Tensor {
  /// Sums of products, with one letter for each axis: NumPy's `einsum`.
  ///
  /// ```swift
  /// Tensor.einsum("ij,jk->ik", a, b)      // the matrix product
  /// Tensor.einsum("ii", a)                // the trace
  /// Tensor.einsum("bhqd,bhkd->bhqk", q, k)
  /// Tensor.einsum("...ij->...ji", a)      // the last two axes exchanged
  /// ```
  ///
  /// Letters that the result doesn't have are summed over; a letter twice in one operand takes the diagonal; `...` stands
  /// for the other axes, which broadcast. Without `->` the result has the letters that occur once, in alphabetical order,
  /// after the axes of `...`. Operands are multiplied from left to right.
  public static func einsum(
    _ equation: String, _ operands: Tensor..., file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    do {
      let equation = try EinsumEquation(equation, shapes: operands.map(\.shape))
      return equation.evaluate(operands, file: file, line: line)
    } catch {
      programmerError(error.description, file: file, line: line)
    }
  }
}

/// One axis' name: a letter, or the place of an axis of `...` counted from its end.
fileprivate enum Label: Hashable {
  case letter(Character)
  case rest(Int)
}

/// A tensor whose axes have names.
private struct Labelled {
  var tensor: Tensor
  var labels: [Label]

  func size(_ label: Label) -> Int { tensor.shape.dimensions[labels.firstIndex(of: label)!] }

  func sizes(_ labels: [Label]) -> Int { labels.reduce(1) { $0 * size($1) } }

  /// The axes in the order of `order`, which has the same labels.
  func ordered(_ order: [Label]) -> Tensor { tensor.transposed(order.map { labels.firstIndex(of: $0)! }) }
}

struct EinsumEquation {
  private let inputs: [[Label]]
  private let output: [Label]
  private let sizes: [Label: Int]

  init(_ equation: String, shapes: [Shape]) throws(OperationError) {
    let text = equation.filter { $0 != " " }
    let sides = text.split(separator: "->", omittingEmptySubsequences: false).map(String.init)
    let terms = sides[0].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard sides.count <= 2 else { throw OperationError("einsum: \"\(equation)\" has more than one ->") }
    guard terms.count == shapes.count else {
      throw OperationError("einsum: \"\(equation)\" is for \(terms.count) operands, got \(shapes.count)")
    }
    var inputs: [[Label]] = []
    var sizes: [Label: Int] = [:]
    for (term, shape) in zip(terms, shapes) {
      let labels = try Self.labels(term, rank: shape.rank, in: equation)
      var own: [Label: Int] = [:]
      for (label, size) in zip(labels, shape.dimensions) {
        guard own.updateValue(size, forKey: label) ?? size == size else {
          throw OperationError(
            "einsum: \"\(equation)\": \(Self.name(label)) is no diagonal of shape \(shape)")
        }
        let known = sizes[label] ?? 1
        guard known == 1 || size == 1 || known == size else {
          throw OperationError("einsum: \"\(equation)\": \(Self.name(label)) has sizes \(known) and \(size)")
        }
        sizes[label] = known == 1 ? size : known
      }
      inputs.append(labels)
    }
    self.inputs = inputs
    self.sizes = sizes
    let rest = (0..<shapes.count + sizes.count).reversed().map { Label.rest($0) }.filter { sizes[$0] != nil }
    if sides.count == 2 {
      output = try Self.output(sides[1], rest, sizes, in: equation)
    } else {
      let all = inputs.joined()
      let single = sizes.keys.compactMap { label -> Character? in
        guard case .letter(let letter) = label, all.count(where: { $0 == label }) == 1 else { return nil }
        return letter
      }
      output = rest + single.sorted().map { .letter($0) }
    }
  }

  private static func name(_ label: Label) -> String {
    switch label {
    case .letter(let letter): "axis \(letter)"
    case .rest(let place): "axis \(-1 - place) of the ellipsis"
    }
  }

  private static func labels(_ term: String, rank: Int, in equation: String) throws(OperationError) -> [Label]
  {
    let parts = try letters(term, in: equation)
    let named = parts.joined().count
    guard parts.count == 2 ? named <= rank : named == rank else {
      throw OperationError(
        "einsum: \"\(term)\" in \"\(equation)\" doesn't name the \(rank) axes of its operand")
    }
    let rest = parts.count == 2 ? (0..<rank - named).reversed().map { Label.rest($0) } : []
    return parts[0].map { .letter($0) } + rest + (parts.count == 2 ? parts[1].map { .letter($0) } : [])
  }

  /// The letters before and after an ellipsis; one part when there is none.
  private static func letters(_ term: String, in equation: String) throws(OperationError) -> [[Character]] {
    let parts = term.split(separator: "...", omittingEmptySubsequences: false)
    for character in parts.joined() where !(character.isLetter && character.isASCII) {
      throw OperationError(
        "einsum: \"\(equation)\": expected letters, commas, ... and ->, got \"\(character)\"")
    }
    guard parts.count <= 2 else {
      throw OperationError("einsum: \"\(term)\" in \"\(equation)\" has more than one ...")
    }
    return parts.map(Array.init)
  }

  private static func output(
    _ term: String, _ rest: [Label], _ sizes: [Label: Int], in equation: String
  ) throws(OperationError) -> [Label] {
    let parts = try letters(term, in: equation)
    let labels = parts.joined().map { Label.letter($0) }
    for label in labels where sizes[label] == nil {
      throw OperationError("einsum: \"\(equation)\": \(name(label)) of the result is in no operand")
    }
    guard Set(labels).count == labels.count else {
      throw OperationError("einsum: \"\(equation)\": an axis is twice in the result")
    }
    guard parts.count == 2 || rest.isEmpty else {
      throw OperationError("einsum: \"\(equation)\": the result lacks the operands' ...")
    }
    return parts[0].map { .letter($0) } + (parts.count == 2 ? rest + parts[1].map { .letter($0) } : [])
  }

  // MARK: Evaluation

  func evaluate(_ operands: [Tensor], file: StaticString, line: UInt) -> Tensor {
    let dtype = operands.dropFirst().reduce(operands[0].dtype) { DType.promoted($0, $1.dtype) }
    var terms = zip(operands, inputs).map { operand, labels in
      prepared(Labelled(tensor: operand.cast(to: dtype == .bool ? .int32 : dtype), labels: labels))
    }
    // Axes that one operand alone has and the result lacks are summed before anything is multiplied.
    for position in terms.indices {
      let others = terms.indices.filter { $0 != position }.flatMap { terms[$0].labels }
      terms[position] = summed(terms[position], keeping: Set(others + output))
    }
    var result = terms[0]
    for position in terms.indices.dropFirst() {
      let later = Set(terms[(position + 1)...].flatMap(\.labels) + output)
      result = product(result, terms[position], keeping: later, file: file, line: line)
    }
    return result.ordered(output)
  }

  /// Diagonals taken, and axes of size 1 that other operands stretch left out.
  private func prepared(_ term: Labelled) -> Labelled {
    var term = term
    while let pair = repeated(term.labels) { term = diagonal(term, pair) }
    let stretched = term.labels.indices.filter {
      term.tensor.shape.dimensions[$0] == 1 && sizes[term.labels[$0]] != 1
    }
    term.tensor = term.tensor.squeezed(axes: stretched)
    for position in stretched.reversed() { term.labels.remove(at: position) }
    return term
  }

  private func repeated(_ labels: [Label]) -> (Int, Int)? {
    for (position, label) in labels.enumerated() {
      if let first = labels.firstIndex(of: label), first < position { return (first, position) }
    }
    return nil
  }

  /// Both axes last and joined, every (n + 1)-th element is on the diagonal.
  private func diagonal(_ term: Labelled, _ pair: (Int, Int)) -> Labelled {
    let others = term.labels.indices.filter { $0 != pair.0 && $0 != pair.1 }
    let turned = term.tensor.transposed(others + [pair.0, pair.1])
    let n = turned.shape[-1]
    let outer = turned.shape.dimensions.dropLast(2)
    let flat = turned.reshaped(to: Shape(outer + [n * n]))
    return Labelled(
      tensor: n == 0 ? flat : flat[.ellipsis, .stride(by: n + 1)],
      labels: others.map { term.labels[$0] } + [term.labels[pair.0]])
  }

  private func summed(_ term: Labelled, keeping kept: Set<Label>) -> Labelled {
    let gone = term.labels.indices.filter { !kept.contains(term.labels[$0]) }
    if gone.isEmpty { return term }
    return Labelled(tensor: term.tensor.sum(axes: gone), labels: term.labels.filter(kept.contains))
  }

  /// One matrix product for each place of the axes that both have and something later needs.
  private func product(
    _ a: Labelled, _ b: Labelled, keeping later: Set<Label>, file: StaticString, line: UInt
  ) -> Labelled {
    let shared = a.labels.filter(b.labels.contains)
    let batch = shared.filter(later.contains)
    let inner = shared.filter { !later.contains($0) }
    let left = a.labels.filter { !shared.contains($0) }
    let right = b.labels.filter { !shared.contains($0) }
    // An operand that lies the other way round already is read transposed instead of being turned.
    let turnsA = a.labels == batch + inner + left
    let turnsB = b.labels == batch + right + inner
    let (m, k, n, count) = (a.sizes(left), a.sizes(inner), b.sizes(right), a.sizes(batch))
    let lead = batch.isEmpty ? [] : [count]
    let first = a.ordered(batch + (turnsA ? inner + left : left + inner))
      .reshaped(to: Shape(lead + (turnsA ? [k, m] : [m, k])))
    let second = b.ordered(batch + (turnsB ? right + inner : inner + right))
      .reshaped(to: Shape(lead + (turnsB ? [n, k] : [k, n])))
    let matrix = first.matmul(second, transposeSelf: turnsA, transposeOther: turnsB, file: file, line: line)
    let shape = Shape(batch.map(a.size) + left.map(a.size) + right.map(b.size))
    return Labelled(tensor: matrix.reshaped(to: shape), labels: batch + left + right)
  }
}
