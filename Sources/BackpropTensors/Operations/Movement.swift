import CKernels

/// The same elements at other places.
package enum MovementOperation: SampledFamily {
  case reshape(Shape)
  /// Axis i of the result is axis `permutation[i]` of the input.
  case transpose([Int])
  case broadcast(Shape)
  /// Element i along an axis is element `start + i · step` of the input.
  case slice(starts: [Int], sizes: [Int], steps: [Int])
  /// The reverse of a slice: the input's elements at `start + i · step` of a tensor of `shape` filled with `fill`.
  case place(shape: Shape, starts: [Int], steps: [Int], fill: Double)
  case concatenate(axis: Int)

  package var operation: Operation { .movement(self) }

  package enum Kind: CaseIterable { case reshape, transpose, broadcast, slice, place, concatenate }

  package var kind: Kind {
    switch self {
    case .reshape: .reshape
    case .transpose: .transpose
    case .broadcast: .broadcast
    case .slice: .slice
    case .place: .place
    case .concatenate: .concatenate
    }
  }

  package static var samples: [Sample] {
    [
      one(.reshape([4, 3]), [3, 4]), one(.reshape([]), [1, 1]), one(.reshape([2, 0]), [0]),
      one(.transpose([1, 0]), [3, 4]), one(.transpose([2, 0, 1]), [2, 3, 4]), one(.transpose([]), []),
      one(.transpose([4, 1, 3, 0, 2]), [2, 1, 3, 2, 2]), one(.transpose([1, 0]), [70, 33]),
      one(.broadcast([2, 3, 4]), [3, 1]), one(.broadcast([5]), []), one(.broadcast([3, 0]), [1, 0]),
      one(.slice(starts: [1, 0], sizes: [2, 2], steps: [1, 2]), [3, 4]),
      one(.slice(starts: [2, 3], sizes: [3, 2], steps: [-1, -2]), [3, 4]),
      one(.slice(starts: [0], sizes: [0], steps: [1]), [3]),
      one(.place(shape: [4, 6], starts: [1, 1], steps: [1, 2], fill: 0.5), [2, 2]),
      one(.place(shape: [5], starts: [4], steps: [-2], fill: 0), [3]),
      Sample(.movement(.concatenate(axis: 1)), [.init([2, 1]), .init([2, 0]), .init([2, 3])]),
      Sample(.movement(.concatenate(axis: 0)), [.init([2, 3]), .init([1, 3])]),
    ]
  }

  private static func one(_ operation: MovementOperation, _ shape: Shape) -> Sample {
    Sample(.movement(operation), [.init(shape)])
  }

  package var rule: Rule {
    switch self {
    case .reshape(let shape):
      var rule = moving(
        "reshape", onnx: "Reshape",
        result: { types throws(OperationError) in
          guard types[0].shape.elementCount == shape.elementCount else {
            throw OperationError(
              "reshape: \(types[0].shape) has \(types[0].shape.elementCount) elements, \(shape) has \(shape.elementCount)"
            )
          }
          return shape
        }, source: { $0.strides },
        gradient: .constant { [$0.gradient.reshaped(to: $0.inputTypes[0].shape)] })
      rule.isAlias = true
      // The elements lie as they lay: as a copy it is one run.
      rule.value = .reference { inputs, outputs in
        outputs[0].bytes.copyMemory(from: inputs[0].bytes, byteCount: inputs[0].type.byteCount)
      }
      rule.kernel = nil
      return rule
    case .transpose(let permutation):
      return moving(
        "transpose", onnx: "Transpose",
        result: { types throws(OperationError) in
          guard permutation.sorted() == Array(0..<types[0].shape.rank) else {
            throw OperationError(
              "transpose: \(permutation) is no order of the axes of shape \(types[0].shape)")
          }
          return Shape(permutation.map { types[0].shape.dimensions[$0] })
        },
        source: { shape in permutation.map { shape.strides[$0] } },
        gradient: .constant { context in
          var inverse = permutation
          for (position, axis) in permutation.enumerated() { inverse[axis] = position }
          return [context.gradient.transposed(inverse)]
        })
    case .broadcast(let target):
      var rule = moving(
        "broadcast", onnx: "Expand",
        result: { types throws(OperationError) in
          guard Shape.broadcast(types[0].shape, target) == target else {
            throw OperationError("broadcast: shape \(types[0].shape) doesn't stretch to \(target)")
          }
          return target
        },
        source: { $0.broadcastStrides(to: target) },
        gradient: .constant { [$0.gradient.summed(to: $0.inputTypes[0].shape)] })
      rule.element = .opcode(CK_COPY)
      return rule
    case .slice(let starts, let sizes, let steps):
      return moving(
        "slice", onnx: "Slice",
        result: { types throws(OperationError) in
          try checkSteps("slice", outer: types[0].shape, starts: starts, inner: Shape(sizes), steps: steps)
          return Shape(sizes)
        },
        source: { shape in zip(shape.strides, steps).map { $0 * $1 } },
        offset: { shape in
          Shape(sizes).elementCount == 0 ? 0 : zip(shape.strides, starts).reduce(0) { $0 + $1.0 * $1.1 }
        },
        gradient: .constant {
          [
            apply(
              .movement(.place(shape: $0.inputTypes[0].shape, starts: starts, steps: steps, fill: 0)),
              $0.gradient)
          ]
        })
    case .place(let shape, let starts, let steps, let fill): return placing(shape, starts, steps, fill)
    case .concatenate(let axis): return concatenating(axis)
    }
  }
}

extension MovementOperation {
  /// A rule whose result is the input read with other strides.
  private func moving(
    _ name: String, onnx: String,
    result: @escaping @Sendable ([TensorType]) throws(OperationError) -> Shape,
    source: @escaping @Sendable (Shape) -> [Int],
    offset: @escaping @Sendable (Shape) -> Int = { _ in 0 },
    gradient: Gradient
  ) -> Rule {
    let view: @Sendable ([Buffer], [Buffer]) -> StridedCopy = { inputs, outputs in
      let shape = inputs[0].shape
      return StridedCopy(
        from: inputs[0], strides: source(shape), offset: offset(shape), to: outputs[0],
        shape: outputs[0].shape,
        targetStrides: outputs[0].shape.strides, targetOffset: 0)
    }
    var rule = Rule(
      name, infer: { types throws(OperationError) in [TensorType(try result(types), types[0].dtype)] },
      value: .reference { view($0, $1).reference() },
      kernel: { inputs, outputs, _ in view(inputs, outputs).kernel(name) },
      gradient: gradient, onnx: onnx)
    rule.movesOnly = true
    return rule
  }

  private func placing(_ shape: Shape, _ starts: [Int], _ steps: [Int], _ fill: Double) -> Rule {
    let view: @Sendable ([Buffer], [Buffer]) -> (StridedCopy, fill: StridedCopy, keeping: Storage) = {
      inputs, outputs in
      let strides = zip(shape.strides, steps).map { $0 * $1 }
      let offset = inputs[0].count == 0 ? 0 : zip(shape.strides, starts).reduce(0) { $0 + $1.0 * $1.1 }
      let copy = StridedCopy(
        from: inputs[0], strides: inputs[0].shape.strides, offset: 0, to: outputs[0], shape: inputs[0].shape,
        targetStrides: strides, targetOffset: offset)
      let value = Tensor.scalar(fill, dtype: outputs[0].dtype).storage()
      let filling = StridedCopy(
        from: Buffer(value.bytes, TensorType([], outputs[0].dtype)), strides: [0], offset: 0, to: outputs[0],
        shape: [shape.elementCount], targetStrides: [1], targetOffset: 0)
      return (copy, filling, value)
    }
    var rule = Rule(
      "place",
      infer: { types throws(OperationError) in
        try checkSteps("place", outer: shape, starts: starts, inner: types[0].shape, steps: steps)
        return [TensorType(shape, types[0].dtype)]
      },
      value: .reference { inputs, outputs in
        let (copy, fill, value) = view(inputs, outputs)
        withExtendedLifetime(value) { fill.reference() }
        copy.reference()
      },
      kernel: { inputs, outputs, _ in
        let (copy, fill, value) = view(inputs, outputs)
        guard let filling = fill.kernel("fill", keeping: value), let copying = copy.kernel("place") else {
          return nil
        }
        return BoundKernel("place", inOrder: [filling, copying])
      },
      gradient: .constant {
        [
          apply(
            .movement(.slice(starts: starts, sizes: $0.inputTypes[0].shape.dimensions, steps: steps)),
            $0.gradient)
        ]
      })
    rule.movesOnly = true
    return rule
  }

  private func concatenating(_ axis: Int) -> Rule {
    let views: @Sendable ([Buffer], [Buffer]) -> [StridedCopy] = { inputs, outputs in
      let strides = outputs[0].shape.strides
      var start = 0
      return inputs.map { input in
        defer { start += input.shape.dimensions[axis] }
        return StridedCopy(
          from: input, strides: input.shape.strides, offset: 0, to: outputs[0], shape: input.shape,
          targetStrides: strides, targetOffset: start * strides[axis])
      }
    }
    var rule = Rule(
      "concatenate",
      infer: { types throws(OperationError) in
        let dtype = try broadcastDType(types, in: "concatenate")
        var shape = types[0].shape
        guard shape.dimensions.indices.contains(axis) else {
          throw OperationError("concatenate: there is no axis \(axis) in a tensor of shape \(shape)")
        }
        for type in types.dropFirst() {
          var other = type.shape
          guard other.rank == shape.rank else {
            throw OperationError("concatenate: shapes \(types[0].shape) and \(other) differ in rank")
          }
          other.dimensions[axis] = shape.dimensions[axis]
          guard other == shape else {
            throw OperationError(
              "concatenate: shapes \(types[0].shape) and \(type.shape) differ outside axis \(axis)")
          }
          shape.dimensions[axis] += type.shape.dimensions[axis]
        }
        return [TensorType(shape, dtype)]
      },
      value: .reference { inputs, outputs in
        for view in views(inputs, outputs) { view.reference() }
      },
      kernel: { inputs, outputs, _ in
        let kernels = views(inputs, outputs).compactMap { $0.kernel("concatenate") }
        return kernels.count == inputs.count ? BoundKernel("concatenate", inOrder: kernels) : nil
      },
      gradient: .constant { context in
        var start = 0
        return context.inputTypes.enumerated().map { position, type in
          let size = type.shape.dimensions[axis]
          defer { start += size }
          return context.wanted[position]
            ? context.gradient.sliced(axis: axis, from: start, count: size) : nil
        }
      },
      onnx: "Concat")
    rule.movesOnly = true
    return rule
  }
}

private func checkSteps(
  _ name: String, outer: Shape, starts: [Int], inner: Shape, steps: [Int]
) throws(OperationError) {
  guard starts.count == outer.rank, inner.rank == outer.rank, steps.count == outer.rank else {
    throw OperationError("\(name): \(starts.count) axes are given for a tensor of shape \(outer)")
  }
  for axis in 0..<outer.rank where inner.dimensions[axis] > 0 {
    let last = starts[axis] + (inner.dimensions[axis] - 1) * steps[axis]
    guard steps[axis] != 0, (0..<outer.dimensions[axis]).contains(starts[axis]),
      (0..<outer.dimensions[axis]).contains(last)
    else {
      throw OperationError(
        "\(name): from \(starts[axis]) in steps of \(steps[axis]) to \(last) leaves axis \(axis) of shape \(outer)"
      )
    }
  }
}
