import CKernels

/// Elements chosen by positions that are themselves in a tensor.
package enum IndexingOperation: OperationFamily {
  /// Rows `source[index[i]]` of the first axis, as float32 `scale · x + shift` when `affine` is set.
  case gatherRows(affine: Affine?)
  /// Rows added into zeros of `rows` rows: out[index[i]] += x[i].
  case scatterAddRows(rows: Int)

  package struct Affine: Hashable, Sendable {
    package var scale: Float
    package var shift: Float

    package init(scale: Float, shift: Float) {
      self.scale = scale
      self.shift = shift
    }
  }

  package var operation: Operation { .indexing(self) }

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
    ]
  }

  package var rule: Rule {
    switch self {
    case .gatherRows(let affine): gatherRule(affine)
    case .scatterAddRows(let rows): scatterRule(rows)
    }
  }

  private func gatherRule(_ affine: Affine?) -> Rule {
    var rule = Rule(
      "gather",
      infer: { types throws(OperationError) in
        guard types[0].shape.rank > 0, types[1].dtype == .int32 || types[1].dtype == .int64 else {
          throw OperationError("gather: expected a tensor with an axis and int32 or int64 positions, got \(types[0]) and \(types[1])")
        }
        let shape = Shape(types[1].shape.dimensions + types[0].shape.dimensions.dropFirst())
        return [TensorType(shape, affine == nil ? types[0].dtype : .float32)]
      },
      value: .reference { inputs, outputs in gather(inputs, outputs, affine).run() },
      kernel: { inputs, outputs, _ in gather(inputs, outputs, affine) },
      gradient: .ofInputs(keeping: [1]) {
        guard $0.inputTypes[0].dtype.isFloatingPoint else { return [nil, nil] }
        let gradient = affine.map { [g = $0.gradient] in g * Double($0.scale) } ?? $0.gradient
        let rows: Tensor = apply(.indexing(.scatterAddRows(rows: $0.inputTypes[0].shape[0])), gradient, $0.input(1))
        return [rows, nil]
      },
      onnx: "Gather")
    rule.movesOnly = true
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
      src_rows: Int64(shape[0]), scale: affine?.scale ?? 1, shift: affine?.shift ?? 0, failed: failed.position)
    return BoundKernel("gather", arguments, keeping: failed, run: ck_gather_run)
  }

  private func scatterRule(_ rows: Int) -> Rule {
    Rule(
      "scatterAdd",
      infer: { types throws(OperationError) in
        let indexRank = types[1].shape.rank
        guard types[0].shape.rank >= indexRank, Shape(types[0].shape.dimensions.prefix(indexRank)) == types[1].shape,
          types[1].dtype == .int32 || types[1].dtype == .int64
        else {
          throw OperationError("scatterAdd: expected int32 or int64 positions for the rows of \(types[0]), got \(types[1])")
        }
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
          dst: outputs[0].bytes.assumingMemoryBound(to: Float.self),
          src: UnsafePointer(inputs[0].bytes.assumingMemoryBound(to: Float.self)),
          index: UnsafeRawPointer(inputs[1].bytes), index_dtype: inputs[1].dtype.kernelCode,
          count: Int64(inputs[1].count), row: Int64(row), dst_rows: Int64(rows), zero: true)
        return BoundKernel("scatterAdd", arguments, run: ck_scatter_add_run)
      },
      gradient: .ofInputs(keeping: [1]) { [$0.gradient.gathered($0.input(1)), nil] },
      onnx: "ScatterND")
  }

  private func addRows<T>(_ inputs: [Buffer], _ output: Buffer, _ zero: T, _ add: (T, T) -> T) {
    let (source, target) = (inputs[0].elements(as: T.self), output.elements(as: T.self))
    let row = output.shape.dimensions.dropFirst().reduce(1, *)
    for position in target.indices { target[position] = zero }
    for entry in 0..<inputs[1].count {
      let place = Int(loadElement(entry, from: inputs[1].bytes, dtype: inputs[1].dtype))
      guard (0..<output.shape[0]).contains(place) else { continue }
      for column in 0..<row {
        target[place * row + column] = add(target[place * row + column], source[entry * row + column])
      }
    }
  }
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

// MARK: Methods

extension Tensor {
  /// The rows (along the first axis) at `positions`: shape `positions.shape + shape[1...]`. A position outside gives
  /// zeros.
  public func gathered(_ positions: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let index = positions.dtype == .int64 ? positions : positions.cast(to: .int32)
    return apply(.indexing(.gatherRows(affine: nil)), self, index, file: file, line: line)
  }

  /// The rows at `positions` as float32, each element times `scale` plus `shift`, in one pass.
  package func gatheredRows(_ positions: Tensor, scale: Float, shift: Float) -> Tensor {
    apply(.indexing(.gatherRows(affine: .init(scale: scale, shift: shift))), self, positions)
  }

  /// Zeros of `rows` rows with this tensor's rows added at `positions`, in order; positions outside are left out.
  public func scatterAdded(
    rows: Int, at positions: Tensor, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let index = positions.dtype == .int64 ? positions : positions.cast(to: .int32)
    return apply(.indexing(.scatterAddRows(rows: rows)), self, index, file: file, line: line)
  }
}
