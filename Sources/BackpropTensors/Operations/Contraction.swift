/// Sums of products over a shared axis.
package enum ContractionOperation: SampledFamily {
  case matmul(MatmulOptions)

  package var operation: Operation { .contraction(self) }

  package enum Kind: CaseIterable { case matmul }

  package var kind: Kind {
    switch self {
    case .matmul: .matmul
    }
  }

  package static var samples: [Sample] {
    let shapes: [(Shape, Shape)] = [
      ([3, 4], [4, 5]), ([1, 1], [1, 1]), ([2, 3, 4], [4, 5]), ([2, 3, 4], [2, 4, 5]),
      ([1, 3, 4], [2, 4, 5]),
      ([2, 1, 3, 4], [3, 4, 2]), ([3, 0], [0, 2]), ([0, 3], [3, 2]), ([17, 33], [33, 9]),
      ([30, 800], [800, 33]),
    ]
    return shapes.flatMap { a, b in
      [(false, false), (true, false), (false, true), (true, true)].map { left, right in
        let options = MatmulOptions(transposeA: left, transposeB: right)
        return Sample(
          .contraction(.matmul(options)), [.init(left ? swapped(a) : a), .init(right ? swapped(b) : b)])
      }
    } + [
      Sample(.contraction(.matmul(.init(bias: true))), [.init([3, 4]), .init([4, 5]), .init([5])]),
      Sample(
        .contraction(.matmul(.init(bias: true, activation: .relu))),
        [.init([3, 4], in: 0.1...1), .init([4, 5], in: 0.1...1), .init([5], in: 0.1...1)]),
      Sample(
        .contraction(.matmul(.init(transposeB: true, activation: .relu))),
        [.init([2, 3, 4], in: 0.1...1), .init([2, 5, 4], in: 0.1...1)]),
    ]
  }

  package var rule: Rule {
    switch self {
    case .matmul(let options): options.rule
    }
  }
}

private func swapped(_ shape: Shape) -> Shape {
  var shape = shape
  shape.dimensions.swapAt(shape.rank - 1, shape.rank - 2)
  return shape
}

/// activation(a · b + bias): the last two axes are matrices, the others broadcast.
package struct MatmulOptions: Hashable, Sendable {
  /// a is stored as [..., k, m].
  package var transposeA = false
  /// b is stored as [..., n, k].
  package var transposeB = false
  /// A third input of shape [n] is added to each row.
  package var bias = false
  package var activation = Activation.none
  /// The operands are bfloat16, sums and result float32.
  package var isMixed = false

  /// What the kernel does to a result on its way out.
  package enum Activation: Sendable { case none, relu }

  package init(
    transposeA: Bool = false, transposeB: Bool = false, bias: Bool = false, activation: Activation = .none,
    isMixed: Bool = false
  ) {
    self.transposeA = transposeA
    self.transposeB = transposeB
    self.bias = bias
    self.activation = activation
    self.isMixed = isMixed
  }

  /// The plain product that this is before bias and activation.
  private var plain: MatmulOptions {
    MatmulOptions(transposeA: transposeA, transposeB: transposeB, isMixed: isMixed)
  }
  private var isPlain: Bool { !bias && activation == .none }

  var rule: Rule {
    var rule = Rule(
      "matmul", infer: { types throws(OperationError) in [try infer(types)] },
      value: isPlain ? .reference(reference) : .composed { [composed($0)] },
      kernel: { inputs, outputs, scratch in kernel(inputs, outputs[0], scratch) },
      gradient: isPlain ? gradient : .composed,
      onnx: "MatMul")
    rule.flops = { inputs, outputs in
      2 * outputs[0].shape.elementCount * (inputs[0].shape.dimensions.dropLast(transposeA ? 1 : 0).last ?? 1)
    }
    rule.scratch = scratchBytes
    rule.takesHalf = isMixed
    return rule
  }

  private func composed(_ inputs: [Tensor]) -> Tensor {
    var result: Tensor = apply(.contraction(.matmul(plain)), inputs[0], inputs[1])
    if bias { result = result + inputs[2] }
    if activation == .relu { result = result.relu() }
    return result
  }

  // MARK: Shapes

  struct Sizes {
    var m, k, n: Int
    var batch: Shape
  }

  private func infer(_ types: [TensorType]) throws(OperationError) -> TensorType {
    let dtype = try productDType(
      broadcastDType(Array(types[..<2]), in: "matmul"), isMixed: isMixed, in: "matmul")
    guard dtype != .bool else { throw OperationError("matmul: expected numbers, got bool") }
    let sizes = try sizes(types[0].shape, types[1].shape)
    if bias, types[2] != TensorType([sizes.n], dtype) {
      throw OperationError("matmul: expected a bias of shape [\(sizes.n)] and \(dtype), got \(types[2])")
    }
    return TensorType(Shape(sizes.batch.dimensions + [sizes.m, sizes.n]), dtype)
  }

  func sizes(_ a: Shape, _ b: Shape) throws(OperationError) -> Sizes {
    guard a.rank >= 2, b.rank >= 2 else {
      throw OperationError("matmul: expected matrices, got shapes \(a) and \(b)")
    }
    let (m, k) = transposeA ? (a[-1], a[-2]) : (a[-2], a[-1])
    let (inner, n) = transposeB ? (b[-1], b[-2]) : (b[-2], b[-1])
    guard k == inner else {
      let left = "\(a)\(transposeA ? "ᵀ" : "")"
      let right = "\(b)\(transposeB ? "ᵀ" : "")"
      let fits = k == n ? "; try transposing the right operand" : ""
      throw OperationError("matmul: inner sizes differ: \(left) · \(right), \(k) ≠ \(inner)\(fits)")
    }
    guard let batch = Shape.broadcast(Shape(a.dimensions.dropLast(2)), Shape(b.dimensions.dropLast(2))) else {
      throw OperationError("matmul: leading axes of shapes \(a) and \(b) don't broadcast")
    }
    return Sizes(m: m, k: k, n: n, batch: batch)
  }

  // MARK: Gradient

  private var gradient: Gradient {
    .ofInputs(keeping: [0, 1]) { context in
      let g = isMixed ? context.gradient.cast(to: .bfloat16) : context.gradient
      let (a, b) = (context.input(0), context.input(1))
      var gradients: [Tensor?] = [nil, nil]
      if context.wanted[0] {
        let ga =
          transposeA
          ? product(b, g, transposed: (transposeB, true))
          : product(g, b, transposed: (false, !transposeB))
        gradients[0] = ga.summed(to: a.shape)
      }
      if context.wanted[1] {
        gradients[1] = gradientOfRight(g, a, b)
      }
      return gradients
    }
  }

  private func product(_ a: Tensor, _ b: Tensor, transposed: (Bool, Bool)) -> Tensor {
    let options = MatmulOptions(transposeA: transposed.0, transposeB: transposed.1, isMixed: isMixed)
    return apply(.contraction(.matmul(options)), a, b)
  }

  /// A matrix shared by a whole batch gets its gradient in one product over all rows, not one for each.
  private func gradientOfRight(_ g: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
    if b.rank == 2, !transposeA, a.rank > 2 {
      let rows = a.reshaped(to: [-1, a.shape[-1]])
      let gradients = g.reshaped(to: [-1, g.shape[-1]])
      return transposeB
        ? product(gradients, rows, transposed: (true, false))
        : product(rows, gradients, transposed: (true, false))
    }
    let gb =
      transposeB
      ? product(g, a, transposed: (true, transposeA)) : product(a, g, transposed: (!transposeA, false))
    return gb.summed(to: b.shape)
  }

  // MARK: Reference

  private func reference(_ inputs: [Buffer], _ outputs: [Buffer]) {
    switch inputs[0].dtype {
    case .float32: multiply(inputs, outputs[0], Float(0)) { $0 + $1 * $2 }
    case .float64: multiply(inputs, outputs[0], Double(0)) { $0 + $1 * $2 }
    case .int8: multiply(inputs, outputs[0], Int8(0)) { $0 &+ $1 &* $2 }
    case .int16: multiply(inputs, outputs[0], Int16(0)) { $0 &+ $1 &* $2 }
    case .int32: multiply(inputs, outputs[0], Int32(0)) { $0 &+ $1 &* $2 }
    case .int64: multiply(inputs, outputs[0], Int64(0)) { $0 &+ $1 &* $2 }
    case .uint8: multiply(inputs, outputs[0], UInt8(0)) { $0 &+ $1 &* $2 }
    case .bfloat16: withWidened(inputs) { reference($0, outputs) }
    case .bool, .float16: break
    }
  }

  /// Row by row, the inner loop along b's rows so that it runs through memory in order.
  private func multiply<T>(_ inputs: [Buffer], _ output: Buffer, _ zero: T, _ addProduct: (T, T, T) -> T) {
    guard let sizes = try? sizes(inputs[0].shape, inputs[1].shape), output.count > 0 else { return }
    let (m, k, n) = (sizes.m, sizes.k, sizes.n)
    let (a, b, c) = (
      inputs[0].elements(as: T.self), inputs[1].elements(as: T.self), output.elements(as: T.self)
    )
    let strides = inputs.map { Shape($0.shape.dimensions.dropLast(2)).broadcastStrides(to: sizes.batch) }
    let (aRow, aColumn) = transposeA ? (1, m) : (k, 1)
    let (bRow, bColumn) = transposeB ? (1, k) : (n, 1)
    forEachElement(of: sizes.batch, strides: strides) { position, offsets in
      let (aStart, bStart, cStart) = (offsets[0] * m * k, offsets[1] * k * n, position * m * n)
      for row in 0..<m {
        let target = cStart + row * n
        for column in 0..<n { c[target + column] = zero }
        for inner in 0..<k {
          let factor = a[aStart + row * aRow + inner * aColumn]
          let source = bStart + inner * bRow
          for column in 0..<n {
            c[target + column] = addProduct(c[target + column], factor, b[source + column * bColumn])
          }
        }
      }
    }
  }
}

// MARK: Methods

extension Tensor {
  /// The matrix product over the last two axes; leading axes broadcast. A vector on either side counts as a row on the
  /// left, a column on the right, and its axis is gone from the result, as in NumPy's `matmul`.
  ///
  /// - Parameters:
  ///   - transposeSelf: read self's last two axes exchanged; costs nothing.
  ///   - transposeOther: the same for `other`.
  public func matmul(
    _ other: Tensor, transposeSelf: Bool = false, transposeOther: Bool = false,
    file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    require(
      rank > 0 && other.rank > 0, "matmul: a scalar is no matrix: shapes \(shape) and \(other.shape)",
      file: file,
      line: line)
    let (a, b, isMixed) = Tensor.factors(self, other)
    let left = rank == 1 ? a.expanded(axis: 0) : a
    let right = other.rank == 1 ? b.expanded(axis: 1) : b
    let options = MatmulOptions(
      transposeA: transposeSelf && rank > 1, transposeB: transposeOther && other.rank > 1, isMixed: isMixed)
    var result = apply(.contraction(.matmul(options)), left, right, file: file, line: line)
    if other.rank == 1 { result = result.squeezed(axes: [-1]) }
    if rank == 1 { result = result.squeezed(axes: [other.rank == 1 ? -1 : -2]) }
    return result
  }
}
