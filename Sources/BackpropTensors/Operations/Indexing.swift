import CKernels

/// Elements chosen by positions that are themselves in a tensor.
package enum IndexingOperation: SampledFamily {
  /// Rows `source[index[i]]` of the first axis, as float32 `scale · x + shift` when `affine` is set.
  case gatherRows(affine: Affine?)
  /// Rows added into zeros of `rows` rows: out[index[i]] += x[i].
  case scatterAddRows(rows: Int)
  /// Rows put in the place of others: out[index[i]] = x[i] in order of i, else the first input.
  case replaceRows
  /// out[…, i, …] = x[…, index[…, i, …], …]: a position of its own for each element.
  case takeAlong(axis: Int)
  /// The reverse, into zeros of `size` along the axis: out[…, index[…, i, …], …] += x[…, i, …].
  case scatterAddAlong(axis: Int, size: Int)

  package struct Affine: Hashable, Sendable {
    package var scale: Float
    package var shift: Float

    package init(scale: Float, shift: Float) {
      self.scale = scale
      self.shift = shift
    }
  }

  package var operation: Operation { .indexing(self) }

  package enum Kind: CaseIterable { case gatherRows, scatterAddRows, replaceRows, takeAlong, scatterAddAlong }

  package var kind: Kind {
    switch self {
    case .gatherRows: .gatherRows
    case .scatterAddRows: .scatterAddRows
    case .replaceRows: .replaceRows
    case .takeAlong: .takeAlong
    case .scatterAddAlong: .scatterAddAlong
    }
  }

  package static var samples: [Sample] {
    let index: [Double] = [2, 0, 2, 1]
    return [
      Sample(.indexing(.gatherRows(affine: nil)), [.init([3, 4]), .init([4], .int32, elements: index)]),
      Sample(.indexing(.gatherRows(affine: nil)), [.init([3]), .init([2, 2], .int64, elements: index)]),
      Sample(.indexing(.gatherRows(affine: nil)), [.init([3, 2, 2]), .init([0], .int32, elements: [])]),
      Sample(
        .indexing(.gatherRows(affine: .init(scale: 0.5, shift: 1))),
        [.init([3, 4], .uint8, in: 0...255), .init([4], .int32, elements: index)]),
      Sample(.indexing(.scatterAddRows(rows: 5)), [.init([4, 3]), .init([4], .int32, elements: index)]),
      Sample(.indexing(.scatterAddRows(rows: 3)), [.init([2, 2]), .init([2, 2], .int64, elements: index)]),
      Sample(.indexing(.replaceRows), [.init([4, 3]), .init([4, 3]), .init([4], .int32, elements: index)]),
      Sample(
        .indexing(.replaceRows), [.init([3]), .init([2, 1]), .init([2, 1], .int64, elements: [2, 0])]),
    ] + samplesAlongAxis
  }

  package var rule: Rule {
    switch self {
    case .gatherRows(let affine): gatherRule(affine)
    case .scatterAddRows(let rows): scatterRule(rows)
    case .replaceRows: replaceRule
    case .takeAlong(let axis): takeRule(axis)
    case .scatterAddAlong(let axis, let size): scatterAlongRule(axis, size)
    }
  }

  private func gatherRule(_ affine: Affine?) -> Rule {
    var rule = Rule(
      "gather",
      infer: { types throws(OperationError) in
        guard types[0].shape.rank > 0 else {
          throw OperationError("gather: expected a tensor with an axis, got \(types[0])")
        }
        try checkPositions(types[1], in: "gather")
        let shape = Shape(types[1].shape.dimensions + types[0].shape.dimensions.dropFirst())
        return [TensorType(shape, affine == nil ? types[0].dtype : .float32)]
      },
      value: .reference { inputs, outputs in gather(inputs, outputs, affine).run() },
      kernel: { inputs, outputs, _ in gather(inputs, outputs, affine) },
      gradient: .ofInputs(keeping: [1]) {
        guard $0.inputTypes[0].dtype.isFloatingPoint else { return [nil, nil] }
        let gradient = affine.map { [g = $0.gradient] in g * Double($0.scale) } ?? $0.gradient
        let rows: Tensor = apply(
          .indexing(.scatterAddRows(rows: $0.inputTypes[0].shape[0])), gradient, $0.input(1))
        return [rows, nil]
      },
      onnx: "Gather")
    rule.movesOnly = true
    rule.bytes = { inputs, outputs in
      outputs[0].byteCount + inputs[1].byteCount
        + outputs[0].shape.elementCount * inputs[0].dtype.byteCount
    }
    rule.check = { checkPositions($0[1], within: $0[0].shape.dimensions[0], in: "gather") }
    return rule
  }

  private func gather(_ inputs: [Buffer], _ outputs: [Buffer], _ affine: Affine?) -> BoundKernel {
    let shape = inputs[0].shape
    let row = shape.dimensions.dropFirst().reduce(1, *)
    let failed = FailedPosition()
    let arguments = ck_gather(
      dst: outputs[0].bytes, src: UnsafeRawPointer(inputs[0].bytes), index: UnsafeRawPointer(inputs[1].bytes),
      dst_dtype: outputs[0].dtype.kernelCode, src_dtype: inputs[0].dtype.kernelCode,
      index_dtype: inputs[1].dtype.kernelCode, count: Int64(inputs[1].count), row: Int64(row),
      src_rows: Int64(shape[0]), scale: affine?.scale ?? 1, shift: affine?.shift ?? 0,
      in_parts: outputs[0].inParts,
      failed: failed.position)
    return BoundKernel("gather", arguments, keeping: failed, run: ck_gather_run)
  }

  private func scatterRule(_ rows: Int) -> Rule {
    var rule = Rule(
      "scatterAdd",
      infer: { types throws(OperationError) in
        let indexRank = types[1].shape.rank
        guard types[0].shape.rank >= indexRank,
          Shape(types[0].shape.dimensions.prefix(indexRank)) == types[1].shape
        else {
          throw OperationError(
            "scatterAdd: expected one position for each row of \(types[0]), got \(types[1])")
        }
        try checkPositions(types[1], in: "scatterAdd")
        return [TensorType(Shape([rows] + types[0].shape.dimensions.dropFirst(indexRank)), types[0].dtype)]
      },
      value: .reference { inputs, outputs in
        switch inputs[0].dtype {
        case .float32: addRows(inputs, outputs[0], Float(0), +)
        case .float64: addRows(inputs, outputs[0], Double(0), +)
        case .int32: addRows(inputs, outputs[0], Int32(0), &+)
        case .int64: addRows(inputs, outputs[0], Int64(0), &+)
        case .int16: addRows(inputs, outputs[0], Int16(0), &+)
        case .int8: addRows(inputs, outputs[0], Int8(0), &+)
        case .uint8, .bool: addRows(inputs, outputs[0], UInt8(0), &+)
        case .bfloat16, .float16: break
        }
      },
      kernel: { inputs, outputs, _ in
        guard inputs[0].dtype == .float32 else { return nil }
        let row = outputs[0].shape.dimensions.dropFirst().reduce(1, *)
        let arguments = ck_scatter_add(
          dst: outputs[0].mutableFloats,
          src: inputs[0].floats,
          index: UnsafeRawPointer(inputs[1].bytes), index_dtype: inputs[1].dtype.kernelCode,
          count: Int64(inputs[1].count), row: Int64(row), dst_rows: Int64(rows), zero: true)
        return BoundKernel("scatterAdd", arguments, run: ck_scatter_add_run)
      },
      gradient: .ofInputs(keeping: [1]) { [$0.gradient.gathered($0.input(1)), nil] },
      onnx: "ScatterND")
    rule.check = { checkPositions($0[1], within: rows, in: "scatterAdd") }
    return rule
  }

  private func addRows<T>(_ inputs: [Buffer], _ output: Buffer, _ zero: T, _ add: (T, T) -> T) {
    let (source, target) = (inputs[0].elements(as: T.self), output.elements(as: T.self))
    let row = output.shape.dimensions.dropFirst().reduce(1, *)
    for position in target.indices { target[position] = zero }
    let rows = output.shape.dimensions[0]
    let positions = Positions(inputs[1])
    for entry in 0..<inputs[1].count {
      let place = positions[entry]
      guard (0..<rows).contains(place) else { continue }
      for column in 0..<row {
        target[place * row + column] = add(target[place * row + column], source[entry * row + column])
      }
    }
  }
}

// MARK: Replacing

extension IndexingOperation {
  private var replaceRule: Rule {
    var rule = Rule(
      "replaceRows",
      infer: { types throws(OperationError) in
        let (old, new, positions) = (types[0], types[1], types[2])
        guard old.shape.rank > 0, old.dtype == new.dtype,
          new.shape.dimensions == positions.shape.dimensions + old.shape.dimensions.dropFirst()
        else {
          throw OperationError(
            "replaceRows: rows of \(old) at positions of shape \(positions.shape) can't be replaced by \(new)"
          )
        }
        try checkPositions(positions, in: "replaceRows")
        return [old]
      },
      value: .reference { inputs, outputs in
        let rows = outputs[0].shape.dimensions[0]
        outputs[0].bytes.copyMemory(from: inputs[0].bytes, byteCount: inputs[0].type.byteCount)
        let bytes = rows == 0 ? 0 : outputs[0].type.byteCount / rows
        let positions = Positions(inputs[2])
        for entry in 0..<inputs[2].count where (0..<rows).contains(positions[entry]) {
          (outputs[0].bytes + positions[entry] * bytes).copyMemory(
            from: inputs[1].bytes + entry * bytes, byteCount: bytes)
        }
      },
      gradient: .ofInputs(keeping: [2]) { context in
        let (g, positions) = (context.gradient, context.input(2))
        let zeros = Tensor.zeros(context.inputTypes[1].shape, dtype: g.dtype)
        return [
          context.wanted[0] ? g.replacingRows(at: positions, with: zeros) : nil,
          context.wanted[1] ? Self.gradientOfReplacements(g, positions) : nil, nil,
        ]
      },
      onnx: "ScatterND")
    rule.movesOnly = true
    rule.check = { checkPositions($0[2], within: $0[0].shape.dimensions[0], in: "replaceRows") }
    return rule
  }

  /// Of several rows for one place only the last is in the result.
  private static func gradientOfReplacements(_ g: Tensor, _ positions: Tensor) -> Tensor {
    let entries = Tensor.range(to: positions.count).reshaped(to: positions.shape)
    let last = Tensor.zeros([g.shape[0]], dtype: .int32).replacingRows(at: positions, with: entries).gathered(
      positions)
    let rows = g.gathered(positions)
    let remains = (last .== entries).reshaped(
      to: Shape(positions.shape.dimensions + Array(repeating: 1, count: g.rank - 1)))
    return rows * remains.cast(to: g.dtype)
  }
}

// MARK: Positions

/// int32 or int64 elements as Int.
struct Positions {
  private let bytes: UnsafeRawPointer
  private let isWide: Bool

  init(_ buffer: Buffer) {
    bytes = UnsafeRawPointer(buffer.bytes)
    isWide = buffer.dtype == .int64
  }

  subscript(_ index: Int) -> Int {
    isWide
      ? Int(bytes.load(fromByteOffset: index * 8, as: Int64.self))
      : Int(bytes.load(fromByteOffset: index * 4, as: Int32.self))
  }
}

func checkPositions(_ type: TensorType, in name: String) throws(OperationError) {
  guard type.dtype == .int32 || type.dtype == .int64 else {
    throw OperationError("\(name): expected int32 or int64 positions, got \(type)")
  }
}

/// What is wrong with the first position that isn't in `0..<size`.
func checkPositions(_ buffer: Buffer, within size: Int, in name: String) -> String? {
  let positions = Positions(buffer)
  for index in 0..<buffer.count where !(0..<size).contains(positions[index]) {
    return "\(name): position \(positions[index]) (number \(index)) is outside 0..<\(size)"
  }
  return nil
}

/// Where the C kernel reports a position that is out of range.
private final class FailedPosition {
  let position: UnsafeMutablePointer<Int64>

  init() {
    position = .allocate(capacity: 1)
    position.initialize(to: -1)
  }

  deinit { position.deallocate() }
}
