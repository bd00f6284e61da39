/// Running results along an axis.
package enum CumulativeOperation: SampledFamily {
  case sum(Run)
  case product(Run)
  /// From coefficients a and terms g: yᵢ = gᵢ + aᵢ · yᵢ₋₁ along `axis` (yᵢ₊₁ when `reverse`). What the gradient of a
  /// running product is made of, right also where elements are 0.
  case recurrence(axis: Int, reverse: Bool)

  package struct Run: Hashable, Sendable {
    package var axis: Int
    /// Each result leaves its own element out.
    package var exclusive = false
    /// From the end to the front.
    package var reverse = false

    package init(axis: Int, exclusive: Bool = false, reverse: Bool = false) {
      self.axis = axis
      self.exclusive = exclusive
      self.reverse = reverse
    }
  }

  package var operation: Operation { .cumulation(self) }

  package enum Kind: CaseIterable { case sum, product, recurrence }

  package var kind: Kind {
    switch self {
    case .sum: .sum
    case .product: .product
    case .recurrence: .recurrence
    }
  }

  package static var samples: [Sample] {
    let shapes: [(Shape, Int)] = [
      ([4], 0), ([3, 4], 0), ([2, 3, 4], 1), ([2, 0], 1), ([1, 1], 0), ([2, 1, 3, 2, 2], 2),
    ]
    let flags = [(false, false), (true, false), (false, true), (true, true)]
    let running = shapes.flatMap { shape, axis in
      flags.flatMap { exclusive, reverse in
        let run = Run(axis: axis, exclusive: exclusive, reverse: reverse)
        return [
          Sample(.cumulation(.sum(run)), [.init(shape)]),
          Sample(.cumulation(.product(run)), [.init(shape, in: 0.5...2)]),
        ]
      }
    }
    let withZeros = flags.map { exclusive, reverse in
      Sample(
        .cumulation(.product(Run(axis: 0, exclusive: exclusive, reverse: reverse))),
        [.init([5], elements: [2, 0, 3, 0, 1.5])])
    }
    let recurrences = shapes.flatMap { shape, axis in
      [false, true].map {
        Sample(.cumulation(.recurrence(axis: axis, reverse: $0)), [.init(shape, in: -1...1), .init(shape)])
      }
    }
    return running + withZeros + recurrences
  }

  private var name: String {
    switch self {
    case .sum: "cumulativeSum"
    case .product: "cumulativeProduct"
    case .recurrence: "recurrence"
    }
  }

  private var onnx: String? { if case .sum = self { "CumSum" } else { nil } }

  private var axis: Int {
    switch self {
    case .sum(let run), .product(let run): run.axis
    case .recurrence(let axis, _): axis
    }
  }

  package var rule: Rule {
    let (name, axis) = (name, axis)
    return Rule(
      name,
      infer: { types throws(OperationError) in
        guard types[0].shape.dimensions.indices.contains(axis) else {
          throw OperationError("\(name): there is no axis \(axis) in a tensor of shape \(types[0].shape)")
        }
        for type in types where type != types[0] || type.dtype == .bool {
          throw OperationError(
            "\(name): expected numbers of one shape and dtype, got \(types[0]) and \(type)")
        }
        return [types[0]]
      },
      value: .reference(reference),
      gradient: gradient,
      onnx: onnx)
  }

  // MARK: Gradients

  private var gradient: Gradient {
    switch self {
    case .sum(let run):
      let back = Run(axis: run.axis, exclusive: run.exclusive, reverse: !run.reverse)
      return .constant { [apply(.cumulation(.sum(back)), $0.gradient)] }
    case .product(let run):
      return .ofInputs(keeping: [0]) { [Self.productGradient(run, $0.gradient, $0.input(0))] }
    case .recurrence(let axis, let reverse):
      return .ofOutputs(keeping: [0], inputs: [0]) {
        let (a, y) = ($0.input(0), $0.output(0))
        let later: Tensor = apply(
          .cumulation(.recurrence(axis: axis, reverse: !reverse)), a.shifted(axis: axis, forward: reverse),
          $0.gradient)
        return [$0.wanted[0] ? later * y.shifted(axis: axis, forward: !reverse) : nil, later]
      }
    }
  }

  /// The product of what comes before each element, times what its factor does to all results after it.
  private static func productGradient(_ run: Run, _ g: Tensor, _ x: Tensor) -> Tensor {
    let before = Run(axis: run.axis, exclusive: true, reverse: run.reverse)
    let terms = run.exclusive ? g.shifted(axis: run.axis, forward: run.reverse) : g
    let after: Tensor = apply(
      .cumulation(.recurrence(axis: run.axis, reverse: !run.reverse)),
      x.shifted(axis: run.axis, forward: run.reverse),
      terms)
    return apply(.cumulation(.product(before)), x) * after
  }

  // MARK: Reference

  private func reference(_ inputs: [Buffer], _ outputs: [Buffer]) {
    switch inputs[0].dtype {
    case .float32: run(inputs, outputs[0], Float(1), +, *)
    case .float64: run(inputs, outputs[0], Double(1), +, *)
    case .int8: run(inputs, outputs[0], Int8(1), &+, &*)
    case .int16: run(inputs, outputs[0], Int16(1), &+, &*)
    case .int32: run(inputs, outputs[0], Int32(1), &+, &*)
    case .int64: run(inputs, outputs[0], Int64(1), &+, &*)
    case .uint8: run(inputs, outputs[0], UInt8(1), &+, &*)
    case .bool, .bfloat16, .float16: break
    }
  }

  private func run<T: Numeric>(
    _ inputs: [Buffer], _ output: Buffer, _ one: T, _ add: (T, T) -> T, _ multiply: (T, T) -> T
  ) {
    let (first, target) = (inputs[0].elements(as: T.self), output.elements(as: T.self))
    switch self {
    case .sum(let run):
      accumulate(output.shape, run.axis, reverse: run.reverse, from: T.zero) { place, total in
        let sum = add(total, first[place])
        target[place] = run.exclusive ? total : sum
        total = sum
      }
    case .product(let run):
      accumulate(output.shape, run.axis, reverse: run.reverse, from: one) { place, total in
        let product = multiply(total, first[place])
        target[place] = run.exclusive ? total : product
        total = product
      }
    case .recurrence(let axis, let reverse):
      let terms = inputs[1].elements(as: T.self)
      accumulate(output.shape, axis, reverse: reverse, from: T.zero) { place, total in
        total = add(terms[place], multiply(first[place], total))
        target[place] = total
      }
    }
  }
}

/// Calls `step` along each line of `shape` in order, with one running value for each line.
private func accumulate<T>(
  _ shape: Shape, _ axis: Int, reverse: Bool, from start: T, _ step: (_ place: Int, _ total: inout T) -> Void
) {
  let (outer, n, inner) = shape.split(at: axis)
  for row in 0..<outer {
    for column in 0..<inner {
      var total = start
      for index in 0..<n {
        step((row * n + (reverse ? n - 1 - index : index)) * inner + column, &total)
      }
    }
  }
}

// MARK: Methods

extension Tensor {
  /// Everything one place onwards (or back) along `axis`, with 0 where nothing comes from.
  fileprivate func shifted(axis: Int, forward: Bool) -> Tensor {
    let size = shape.dimensions[axis]
    if size == 0 { return self }
    var widths = [(before: Int, after: Int)](repeating: (0, 0), count: rank)
    widths[axis] = forward ? (1, 0) : (0, 1)
    return sliced(axis: axis, from: forward ? 0 : 1, count: size - 1).padded(widths)
  }

  /// Sums of the elements up to each place along `axis`. Small integers and bool are added as int32.
  ///
  /// - Parameters:
  ///   - exclusive: leave the place's own element out, so that the first sum is 0.
  ///   - reverse: from the end to the front.
  public func cumulativeSum(
    axis: Int, exclusive: Bool = false, reverse: Bool = false, file: StaticString = #fileID,
    line: UInt = #line
  ) -> Tensor {
    let position = positions(of: [axis], in: "cumulativeSum", file: file, line: line)[0]
    let run = CumulativeOperation.Run(axis: position, exclusive: exclusive, reverse: reverse)
    return apply(.cumulation(.sum(run)), summable, file: file, line: line)
  }

  /// Products of the elements up to each place along `axis`; `exclusive` and `reverse` as for the sum.
  public func cumulativeProduct(
    axis: Int, exclusive: Bool = false, reverse: Bool = false, file: StaticString = #fileID,
    line: UInt = #line
  ) -> Tensor {
    let position = positions(of: [axis], in: "cumulativeProduct", file: file, line: line)[0]
    let run = CumulativeOperation.Run(axis: position, exclusive: exclusive, reverse: reverse)
    return apply(.cumulation(.product(run)), summable, file: file, line: line)
  }
}
