/// A position of its own for each element: NumPy's `take_along_axis`, and the sums that are its gradient.
extension IndexingOperation {
  static var samplesAlongAxis: [Sample] {
    let cases: [(Shape, Shape, Int, DType)] = [
      ([3], [5], 0, .int32), ([3, 4], [3, 2], 1, .int64), ([3, 4], [2, 4], 0, .int32),
      ([2, 3, 2], [2, 3, 2], 1, .int32),
      ([3, 0], [3, 0], 0, .int32), ([2, 1, 3, 2, 2], [2, 1, 4, 2, 2], 2, .int64),
    ]
    return cases.flatMap { source, positions, axis, dtype in
      // Every position of the axis, some of them several times.
      let size = source.dimensions[axis]
      let elements = (0..<positions.elementCount).map { Double(($0 * 7 + $0 / 3) % size) }
      let index = Sample.Input(positions, dtype, elements: elements)
      return [
        Sample(.indexing(.takeAlong(axis: axis)), [.init(source), index]),
        Sample(.indexing(.scatterAddAlong(axis: axis, size: size)), [.init(positions), index]),
      ]
    }
  }

  func takeRule(_ axis: Int) -> Rule {
    var rule = Rule(
      "takeAlongAxis",
      infer: { types throws(OperationError) in
        try checkPositions(types[1], in: "takeAlongAxis")
        var shape = types[0].shape
        guard shape.dimensions.indices.contains(axis), types[1].shape.rank == shape.rank else {
          throw OperationError(
            "takeAlongAxis: axis \(axis) of \(types[0]) needs positions of as many axes, got \(types[1])")
        }
        shape.dimensions[axis] = types[1].shape.dimensions[axis]
        guard shape == types[1].shape else {
          throw OperationError(
            "takeAlongAxis: shapes \(types[0].shape) and \(types[1].shape) differ outside axis \(axis)")
        }
        return [TensorType(shape, types[0].dtype)]
      },
      value: .reference { inputs, outputs in
        switch inputs[0].dtype.byteCount {
        case 1: take(inputs, outputs[0], axis, UInt8(0))
        case 2: take(inputs, outputs[0], axis, UInt16(0))
        case 4: take(inputs, outputs[0], axis, UInt32(0))
        default: take(inputs, outputs[0], axis, UInt64(0))
        }
      },
      gradient: .ofInputs(keeping: [1]) {
        [
          $0.gradient.scatterAdded(
            alongAxis: axis, size: $0.inputTypes[0].shape.dimensions[axis], at: $0.input(1)), nil,
        ]
      },
      onnx: "GatherElements")
    rule.movesOnly = true
    rule.check = { checkPositions($0[1], within: $0[0].shape.dimensions[axis], in: "takeAlongAxis") }
    return rule
  }

  func scatterAlongRule(_ axis: Int, _ size: Int) -> Rule {
    var rule = Rule(
      "scatterAddAlongAxis",
      infer: { types throws(OperationError) in
        try checkPositions(types[1], in: "scatterAddAlongAxis")
        var shape = types[0].shape
        guard shape.dimensions.indices.contains(axis), types[1].shape == shape, types[0].dtype != .bool else {
          throw OperationError(
            "scatterAddAlongAxis: expected numbers and as many positions along axis \(axis), got \(types[0]) and \(types[1])"
          )
        }
        shape.dimensions[axis] = size
        return [TensorType(shape, types[0].dtype)]
      },
      value: .reference { inputs, outputs in
        switch inputs[0].dtype {
        case .float32: add(inputs, outputs[0], axis, Float(0), +)
        case .float64: add(inputs, outputs[0], axis, Double(0), +)
        case .int8: add(inputs, outputs[0], axis, Int8(0), &+)
        case .int16: add(inputs, outputs[0], axis, Int16(0), &+)
        case .int32: add(inputs, outputs[0], axis, Int32(0), &+)
        case .int64: add(inputs, outputs[0], axis, Int64(0), &+)
        case .uint8: add(inputs, outputs[0], axis, UInt8(0), &+)
        case .bool, .bfloat16, .float16: break
        }
      },
      gradient: .ofInputs(keeping: [1]) {
        [apply(.indexing(.takeAlong(axis: axis)), $0.gradient, $0.input(1)), nil]
      },
      onnx: "ScatterElements")
    rule.check = { checkPositions($0[1], within: size, in: "scatterAddAlongAxis") }
    return rule
  }
}

private func take<T>(_ inputs: [Buffer], _ output: Buffer, _ axis: Int, _ zero: T) {
  let (source, target) = (inputs[0].elements(as: T.self), output.elements(as: T.self))
  forEachPosition(inputs[1], axis, size: inputs[0].shape.dimensions[axis]) { entry, place in
    target[entry] = place.map { source[$0] } ?? zero
  }
}

private func add<T>(_ inputs: [Buffer], _ output: Buffer, _ axis: Int, _ zero: T, _ add: (T, T) -> T) {
  let (source, target) = (inputs[0].elements(as: T.self), output.elements(as: T.self))
  for place in target.indices { target[place] = zero }
  forEachPosition(inputs[1], axis, size: output.shape.dimensions[axis]) { entry, place in
    if let place { target[place] = add(target[place], source[entry]) }
  }
}

/// Calls `body` with each entry of `index` and the place it points to in a tensor of `size` along `axis`; nil when it is
/// outside.
@inline(__always)
private func forEachPosition(
  _ index: Buffer, _ axis: Int, size: Int, _ body: (_ entry: Int, _ place: Int?) -> Void
) {
  let (outer, n, inner) = index.shape.split(at: axis)
  let positions = Positions(index)
  var entry = 0
  for row in 0..<outer {
    for _ in 0..<n {
      for column in 0..<inner {
        let position = positions[entry]
        body(entry, (0..<size).contains(position) ? (row * size + position) * inner + column : nil)
        entry += 1
      }
    }
  }
}
