import CKernels

/// Many numbers into one, along some axes.
package struct ReductionOperation: SampledFamily {
  package enum Kind: CaseIterable, Sendable { case sum, product, maximum, minimum }

  package var kind: Kind
  /// Counted from the front, in order.
  package var axes: [Int]
  /// Reduced axes stay, with size 1.
  package var keepDims: Bool

  package init(_ kind: Kind, axes: [Int], keepDims: Bool) {
    self.kind = kind
    self.axes = axes
    self.keepDims = keepDims
  }

  package var operation: Operation { .reduction(self) }

  private func combine<T: Numeric & Comparable>(_ a: T, _ b: T) -> T {
    switch kind {
    case .sum: a + b
    case .product: a * b
    case .maximum: a > b || a != a ? a : b
    case .minimum: a < b || a != a ? a : b
    }
  }

  private func combineWhole<T: FixedWidthInteger>(_ a: T, _ b: T) -> T {
    switch kind {
    case .sum: a &+ b
    case .product: a &* b
    case .maximum: Swift.max(a, b)
    case .minimum: Swift.min(a, b)
    }
  }

  private var facts: (name: String, start: Double?, reduction: ck_reduction, gradient: Gradient, onnx: String)
  {
    let spread = spread
    switch kind {
    case .sum:
      return ("sum", 0, CK_SUM, .constant { [spread($0.gradient, $0.inputTypes[0].shape)] }, "ReduceSum")
    case .product:
      return (
        "product", 1, CK_PRODUCT,
        .ofInputs(keeping: [0]) { [self] in
          [spread($0.gradient, $0.inputTypes[0].shape) * productOfOthers($0.input(0))]
        },
        "ReduceProd"
      )
    case .maximum: return ("max", nil, CK_MAXIMUM, gradientOfExtreme, "ReduceMax")
    case .minimum: return ("min", nil, CK_MINIMUM, gradientOfExtreme, "ReduceMin")
    }
  }

  /// A tensor of the result's shape, stretched back over the reduced axes.
  private var spread: @Sendable (Tensor, Shape) -> Tensor {
    { [self] tensor, shape in tensor.reshaped(to: kept(shape)).broadcast(to: shape) }
  }

  /// The input's shape with the reduced axes at 1.
  private func kept(_ shape: Shape) -> Shape {
    var kept = shape
    for axis in axes { kept.dimensions[axis] = 1 }
    return kept
  }

  /// Shared equally among the elements that are the extreme.
  private var gradientOfExtreme: Gradient {
    let spread = spread
    return .ofOutputs(keeping: [0], inputs: [0]) { [axes] in
      let x = $0.input(0)
      let chosen = (x .== spread($0.output(0), x.shape)).cast(to: x.dtype)
      let share = spread($0.gradient, x.shape) / chosen.sum(axes: axes, keepDims: true)
      return [chosen * share]
    }
  }

  /// For each element the product of all others, right also where elements are 0.
  private func productOfOthers(_ x: Tensor) -> Tensor {
    let isZero = (x .== Tensor.zeros(like: x))
    let zeros = isZero.cast(to: x.dtype)
    let safe = Tensor.select(isZero, Tensor.ones(like: x), x)
    let others = safe.product(axes: axes, keepDims: true) / safe
    let otherZeros = zeros.sum(axes: axes, keepDims: true) - zeros
    return others * (otherZeros .== Tensor.zeros(like: x)).cast(to: x.dtype)
  }

  package static var samples: [Sample] {
    let cases: [(Shape, [Int], Bool)] = [
      ([3, 4], [0], false), ([3, 4], [1], true), ([3, 4], [0, 1], false), ([2, 3, 4], [1], false),
      ([5], [0], true),
      ([2, 3, 4], [0, 2], false), ([2, 1, 3, 2, 2], [0, 3], true), ([], [], false),
    ]
    let empty: [(Shape, [Int], Bool)] = [([0, 3], [0], false), ([0, 3], [1], false)]
    return Kind.allCases.flatMap { kind in
      (cases + (kind == .sum || kind == .product ? empty : [])).map { shape, axes, keepDims in
        Sample(
          .reduction(.init(kind, axes: axes, keepDims: keepDims)),
          [.init(shape, in: kind == .product ? 0.5...2 : -3...3)])
      }
    }
  }

  package var rule: Rule {
    let facts = facts
    var rule = Rule(
      facts.name,
      infer: { types throws(OperationError) in
        [try infer(types[0], facts.name, allowsEmpty: facts.start != nil)]
      },
      value: .reference { reference($0[0], $1[0], start: facts.start) },
      kernel: { inputs, outputs, _ in
        BlockProgram.reduce(inputs[0], outputs[0], axes: axes, reduction: facts.reduction, named: facts.name)
      },
      gradient: facts.gradient,
      onnx: facts.onnx)
    rule.flops = { inputs, _ in inputs[0].shape.elementCount }
    return rule
  }

  private func infer(_ type: TensorType, _ name: String, allowsEmpty: Bool) throws(OperationError)
    -> TensorType
  {
    let isExtreme = kind == .maximum || kind == .minimum
    guard type.dtype != .bool || isExtreme else {
      throw OperationError("\(name): expected numbers, got \(type); cast(to: .int32) first")
    }
    for axis in axes {
      guard type.shape.dimensions.indices.contains(axis) else {
        throw OperationError("\(name): there is no axis \(axis) in a tensor of shape \(type.shape)")
      }
      guard allowsEmpty || type.shape.dimensions[axis] > 0 else {
        throw OperationError(
          "\(name): axis \(axis) of shape \(type.shape) is empty, and nothing has no \(name)")
      }
    }
    let shape =
      keepDims
      ? kept(type.shape)
      : Shape(type.shape.dimensions.indices.filter { !axes.contains($0) }.map { type.shape.dimensions[$0] })
    return TensorType(shape, type.dtype)
  }

  private func reference(_ input: Buffer, _ output: Buffer, start: Double?) {
    switch input.dtype {
    case .float32: reduce(input, output, start: start.map(Float.init), combine)
    case .float64: reduce(input, output, start: start, combine)
    case .int8: reduce(input, output, start: start.map { Int8($0) }, combineWhole)
    case .int16: reduce(input, output, start: start.map { Int16($0) }, combineWhole)
    case .int32: reduce(input, output, start: start.map { Int32($0) }, combineWhole)
    case .int64: reduce(input, output, start: start.map { Int64($0) }, combineWhole)
    case .uint8, .bool: reduce(input, output, start: start.map { UInt8($0) }, combineWhole)
    case .bfloat16, .float16: break
    }
  }

  private func reduce<T>(_ input: Buffer, _ output: Buffer, start: T?, _ combine: (T, T) -> T) {
    let (source, target) = (input.elements(as: T.self), output.elements(as: T.self))
    var strides = kept(input.shape).strides
    for axis in axes { strides[axis] = 0 }
    var started = [Bool](repeating: false, count: target.count)
    if let start {
      for position in target.indices { target[position] = start }
      started = [Bool](repeating: true, count: target.count)
    }
    forEachElement(of: input.shape, strides: [strides]) { position, offsets in
      let place = offsets[0]
      target[place] = started[place] ? combine(target[place], source[position]) : source[position]
      started[place] = true
    }
  }
}

// MARK: Methods

extension Tensor {
  /// The positions of `axes` (all when nil), counted from the front, sorted, each once.
  package func positions(of axes: [Int]?, in name: String, file: StaticString, line: UInt) -> [Int] {
    guard let axes else { return Array(0..<rank) }
    var positions: [Int] = []
    for axis in axes {
      guard let position = shape.position(of: axis) else {
        programmerError(
          "\(name): there is no axis \(axis) in a tensor of shape \(shape)", file: file, line: line)
      }
      require(!positions.contains(position), "\(name): axis \(axis) is given twice", file: file, line: line)
      positions.append(position)
    }
    return positions.sorted()
  }

  private func reduced(
    _ kind: ReductionOperation.Kind, _ axes: [Int]?, _ keepDims: Bool, _ file: StaticString, _ line: UInt
  ) -> Tensor {
    let positions = positions(of: axes, in: "\(kind)", file: file, line: line)
    return apply(.reduction(.init(kind, axes: positions, keepDims: keepDims)), self, file: file, line: line)
  }

  /// Small integers and bool are added as int32, so that counts don't wrap.
  var summable: Tensor {
    switch dtype {
    case .bool, .int8, .int16, .uint8: cast(to: .int32)
    default: self
    }
  }

  /// The sum over `axes`; over all of them when nil. Negative axes count from the end.
  public func sum(
    axes: [Int]? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    summable.reduced(.sum, axes, keepDims, file, line)
  }

  /// The product over `axes`.
  public func product(
    axes: [Int]? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    summable.reduced(.product, axes, keepDims, file, line)
  }

  /// The largest over `axes`; NaN where there is one. Equal ones share the gradient.
  public func max(
    axes: [Int]? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    reduced(.maximum, axes, keepDims, file, line)
  }

  /// The smallest over `axes`; NaN where there is one. Equal ones share the gradient.
  public func min(
    axes: [Int]? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    reduced(.minimum, axes, keepDims, file, line)
  }

  /// The arithmetic mean over `axes`, of integers as float32. Of nothing it is NaN.
  public func mean(
    axes: [Int]? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let floats = dtype.isFloatingPoint ? self : cast(to: .float32)
    let positions = positions(of: axes, in: "mean", file: file, line: line)
    let count = positions.reduce(1) { $0 * shape.dimensions[$1] }
    return floats.sum(axes: positions, keepDims: keepDims) * (1 / Double(count))
  }

  /// The mean of the squared distances from the mean, over `axes` (NumPy's `var`, without Bessel's correction).
  public func variance(
    axes: [Int]? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let floats = dtype.isFloatingPoint ? self : cast(to: .float32)
    let mean = floats.mean(axes: axes, keepDims: true, file: file, line: line)
    return (floats - mean).squared().mean(axes: axes, keepDims: keepDims, file: file, line: line)
  }

  /// √variance
  public func standardDeviation(
    axes: [Int]? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    variance(axes: axes, keepDims: keepDims, file: file, line: line).sqrt()
  }

  /// log Σ eˣ over `axes`, finite for large elements: the largest is taken out first.
  public func logSumExp(
    axes: [Int]? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let floats = dtype.isFloatingPoint ? self : cast(to: .float32)
    let largest = floats.max(axes: axes, keepDims: true, file: file, line: line).stopGradient()
    // Taking an infinite largest out would give ∞ − ∞.
    let shift = Tensor.select(largest.isFinite(), largest, Tensor.zeros(like: largest))
    let total = (floats - shift).exp().sum(axes: axes, keepDims: true).log() + shift
    let positions = positions(of: axes, in: "logSumExp", file: file, line: line)
    return keepDims ? total : total.squeezed(axes: positions)
  }

  /// Whether any element over `axes` is not 0: `bool`.
  public func any(
    axes: [Int]? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let positions = positions(of: axes, in: "any", file: file, line: line)
    if count == 0 { return cast(to: .int32).sum(axes: positions, keepDims: keepDims).cast(to: .bool) }
    return cast(to: .bool).max(axes: positions, keepDims: keepDims)
  }

  /// Whether every element over `axes` is not 0: `bool`.
  public func all(
    axes: [Int]? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let positions = positions(of: axes, in: "all", file: file, line: line)
    if count == 0 { return cast(to: .int32).product(axes: positions, keepDims: keepDims).cast(to: .bool) }
    return cast(to: .bool).min(axes: positions, keepDims: keepDims)
  }
}
