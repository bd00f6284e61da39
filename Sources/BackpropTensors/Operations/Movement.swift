import CKernels

/// The same elements at other places.
package enum MovementOperation: OperationFamily {
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
      Sample(.movement(.concatenate(axis: 1)), [.init([2, 1]), .init([2, 3]), .init([2, 0])]),
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
        "reshape", onnx: "Reshape", result: { types throws(OperationError) in
          guard types[0].shape.elementCount == shape.elementCount else {
            throw OperationError(
              "reshape: \(types[0].shape) has \(types[0].shape.elementCount) elements, \(shape) has \(shape.elementCount)")
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
            throw OperationError("transpose: \(permutation) is no order of the axes of shape \(types[0].shape)")
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
        offset: { shape in Shape(sizes).elementCount == 0 ? 0 : zip(shape.strides, starts).reduce(0) { $0 + $1.0 * $1.1 } },
        gradient: .constant {
          [apply(.movement(.place(shape: $0.inputTypes[0].shape, starts: starts, steps: steps, fill: 0)), $0.gradient)]
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
        from: inputs[0], strides: source(shape), offset: offset(shape), to: outputs[0], shape: outputs[0].shape,
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
    let view: @Sendable ([Buffer], [Buffer]) -> (StridedCopy, fill: StridedCopy, keeping: Storage) = { inputs, outputs in
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
        guard let filling = fill.kernel("fill", keeping: value), let copying = copy.kernel("place") else { return nil }
        return BoundKernel("place", inOrder: [filling, copying])
      },
      gradient: .constant {
        [apply(.movement(.slice(starts: starts, sizes: $0.inputTypes[0].shape.dimensions, steps: steps)), $0.gradient)]
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
            throw OperationError("concatenate: shapes \(types[0].shape) and \(type.shape) differ outside axis \(axis)")
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
          return context.wanted[position] ? context.gradient.sliced(axis: axis, from: start, count: size) : nil
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
        "\(name): from \(starts[axis]) in steps of \(steps[axis]) to \(last) leaves axis \(axis) of shape \(outer)")
    }
  }
}

/// Elements copied from one strided view to another.
struct StridedCopy {
  var source: Buffer
  var strides: [Int]
  var offset: Int
  var target: Buffer
  var shape: Shape
  var targetStrides: [Int]
  var targetOffset: Int

  init(
    from source: Buffer, strides: [Int], offset: Int, to target: Buffer, shape: Shape, targetStrides: [Int],
    targetOffset: Int
  ) {
    self.source = source
    self.strides = strides
    self.offset = offset
    self.target = target
    self.shape = shape
    self.targetStrides = targetStrides
    self.targetOffset = targetOffset
  }

  func reference() {
    let size = source.dtype.byteCount
    forEachElement(of: shape, strides: [strides, targetStrides]) { _, offsets in
      let from = source.bytes + (offset + offsets[0]) * size
      (target.bytes + (targetOffset + offsets[1]) * size).copyMemory(from: from, byteCount: size)
    }
  }

  /// nil: too many axes for the C kernel even after joining those that step alike.
  func kernel(_ name: String, keeping other: AnyObject? = nil) -> BoundKernel? {
    var joined = JoinedAxes(shape: shape, strides: [strides, targetStrides])
    if joined.sizes.isEmpty { joined.sizes = [1]; joined.strides = [[1], [1]] }
    guard joined.sizes.count <= Int(CK_MAX_DIMS) else { return nil }
    let size = source.dtype.byteCount
    var copy = ck_copy()
    copy.dst = target.bytes + targetOffset * size
    copy.src = UnsafeRawPointer(source.bytes + offset * size)
    copy.dst_dtype = target.dtype.kernelCode
    copy.src_dtype = source.dtype.kernelCode
    copy.rank = Int32(joined.sizes.count)
    fill(&copy.dims, joined.sizes)
    fill(&copy.src_strides, joined.strides[0])
    fill(&copy.dst_strides, joined.strides[1])
    return BoundKernel(name, copy, keeping: other, run: ck_copy_run)
  }
}

/// A shape with neighbouring axes joined where every operand steps through them alike, and axes of 1 left out.
struct JoinedAxes {
  var sizes: [Int] = []
  var strides: [[Int]]
  /// Which of the given axes each joined one holds.
  var members: [[Int]] = []

  /// Axes are joined only with others of the same `group`.
  init(shape: Shape, strides given: [[Int]], groups: [Int]? = nil) {
    strides = given.map { _ in [] }
    for axis in 0..<shape.rank where shape.dimensions[axis] != 1 {
      let size = shape.dimensions[axis]
      let sameGroup = members.last.map { groups == nil || groups![$0[0]] == groups![axis] } ?? false
      let joins = sameGroup && given.indices.allSatisfy { strides[$0].last! == given[$0][axis] * size }
      if joins {
        sizes[sizes.count - 1] *= size
        for operand in given.indices { strides[operand][sizes.count - 1] = given[operand][axis] }
        members[sizes.count - 1].append(axis)
      } else {
        sizes.append(size)
        for operand in given.indices { strides[operand].append(given[operand][axis]) }
        members.append([axis])
      }
    }
  }
}

/// Fills a fixed-size C array, imported as a tuple.
func fill<Tuple>(_ tuple: inout Tuple, _ values: [Int]) {
  withUnsafeMutableBytes(of: &tuple) { bytes in
    let places = bytes.bindMemory(to: Int64.self)
    for (position, value) in values.enumerated() { places[position] = Int64(value) }
  }
}

extension BoundKernel {
  /// Several kernels as one.
  package init(_ implementation: String, inOrder kernels: [BoundKernel]) {
    let calls = UnsafeMutablePointer<ck_call>.allocate(capacity: kernels.count)
    calls.initialize(from: kernels.map(\.call), count: kernels.count)
    let owners = CallList(calls, kernels.map(\.owner))
    self.init(
      implementation, CallList.Arguments(calls: calls, count: Int64(kernels.count)), keeping: owners,
      run: { context in
        let arguments = context!.assumingMemoryBound(to: CallList.Arguments.self).pointee
        ck_run(arguments.calls, arguments.count)
      })
  }
}

private final class CallList {
  struct Arguments {
    var calls: UnsafeMutablePointer<ck_call>
    var count: Int64
  }

  let calls: UnsafeMutablePointer<ck_call>
  let owners: [AnyObject?]

  init(_ calls: UnsafeMutablePointer<ck_call>, _ owners: [AnyObject?]) {
    self.calls = calls
    self.owners = owners
  }

  deinit { calls.deallocate() }
}

// MARK: Methods

extension Tensor {
  /// The same elements in another shape; one size may be −1 and is computed. Shares the memory.
  public func reshaped(to shape: Shape, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    var target = shape
    if let free = shape.dimensions.firstIndex(of: -1) {
      let known = shape.dimensions.enumerated().reduce(1) { $1.offset == free ? $0 : $0 * $1.element }
      require(
        known != 0 && count % known == 0, "reshape: \(self.shape) has \(count) elements, which don't fill \(shape)",
        file: file, line: line)
      target.dimensions[free] = count / known
    }
    return target == self.shape ? self : apply(.movement(.reshape(target)), self, file: file, line: line)
  }

  /// All elements as a vector.
  public func flattened() -> Tensor { reshaped(to: [count]) }

  /// A new axis of size 1 at `axis`.
  public func expanded(axis: Int, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let position = axis < 0 ? axis + rank + 1 : axis
    require(
      (0...rank).contains(position), "expanded: there is no place \(axis) in shape \(shape)", file: file, line: line)
    var sizes = shape.dimensions
    sizes.insert(1, at: position)
    return reshaped(to: Shape(sizes))
  }

  /// Without the given axes, which must have size 1; without all such axes when nil.
  public func squeezed(axes: [Int]? = nil, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let gone = axes.map { positions(of: $0, in: "squeezed", file: file, line: line) }
      ?? shape.dimensions.indices.filter { shape.dimensions[$0] == 1 }
    for axis in gone {
      require(
        shape.dimensions[axis] == 1, "squeezed: axis \(axis) of shape \(shape) isn't 1", file: file, line: line)
    }
    return reshaped(to: Shape(shape.dimensions.indices.filter { !gone.contains($0) }.map { shape.dimensions[$0] }))
  }

  /// The axes in another order; reversed when nil.
  public func transposed(_ order: [Int]? = nil, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let order = (order ?? Array((0..<rank).reversed())).map { $0 < 0 ? $0 + rank : $0 }
    if order == Array(0..<rank) { return self }
    return apply(.movement(.transpose(order)), self, file: file, line: line)
  }

  /// Two axes exchanged.
  public func swappingAxes(_ a: Int, _ b: Int, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    var order = Array(0..<rank)
    let places = (positions(of: [a], in: "swappingAxes", file: file, line: line)[0], positions(of: [b], in: "swappingAxes", file: file, line: line)[0])
    order.swapAt(places.0, places.1)
    return transposed(order, file: file, line: line)
  }

  /// Repeated along new leading axes and axes of size 1 until the shape is `shape`.
  public func broadcast(to shape: Shape, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    shape == self.shape ? self : apply(.movement(.broadcast(shape)), self, file: file, line: line)
  }

  /// `count` elements along `axis`, from `start` on.
  public func sliced(axis: Int, from start: Int, count: Int, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let position = positions(of: [axis], in: "sliced", file: file, line: line)[0]
    var starts = [Int](repeating: 0, count: rank)
    var sizes = shape.dimensions
    starts[position] = start
    sizes[position] = count
    let steps = [Int](repeating: 1, count: rank)
    return apply(.movement(.slice(starts: starts, sizes: sizes, steps: steps)), self, file: file, line: line)
  }

  /// `value` before and after the elements: `widths` has one pair for each axis.
  public func padded(
    _ widths: [(before: Int, after: Int)], value: Double = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    require(
      widths.count == rank && widths.allSatisfy { $0.before >= 0 && $0.after >= 0 },
      "padded: expected \(rank) pairs of widths of 0 or more for shape \(shape), got \(widths)", file: file, line: line)
    let padded = Shape(zip(shape.dimensions, widths).map { $0 + $1.before + $1.after })
    let steps = [Int](repeating: 1, count: rank)
    return apply(
      .movement(.place(shape: padded, starts: widths.map(\.before), steps: steps, fill: value)), self, file: file, line: line)
  }

  /// The elements in reverse order along `axes`.
  public func flipped(axes: [Int]? = nil, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    var starts = [Int](repeating: 0, count: rank)
    var steps = [Int](repeating: 1, count: rank)
    for axis in positions(of: axes, in: "flipped", file: file, line: line) where shape.dimensions[axis] > 0 {
      starts[axis] = shape.dimensions[axis] - 1
      steps[axis] = -1
    }
    return apply(.movement(.slice(starts: starts, sizes: shape.dimensions, steps: steps)), self, file: file, line: line)
  }

  /// The whole tensor repeated `repeats[i]` times along axis i.
  public func tiled(_ repeats: [Int], file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    require(
      repeats.count == rank && repeats.allSatisfy { $0 >= 0 },
      "tiled: expected \(rank) counts for shape \(shape), got \(repeats)", file: file, line: line)
    var spread: [Int] = []
    var single: [Int] = []
    for (size, count) in zip(shape.dimensions, repeats) {
      single += [1, size]
      spread += [count, size]
    }
    let target = Shape(zip(shape.dimensions, repeats).map { $0 * $1 })
    return reshaped(to: Shape(single)).broadcast(to: Shape(spread)).reshaped(to: target)
  }

  /// Tensors one after the other along an axis they all have.
  public static func concatenate(
    _ tensors: [Tensor], axis: Int = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    require(!tensors.isEmpty, "concatenate: there are no tensors", file: file, line: line)
    let dtype = tensors.dropFirst().reduce(tensors[0].dtype) { DType.promoted($0, $1.dtype) }
    let position = tensors[0].positions(of: [axis], in: "concatenate", file: file, line: line)[0]
    if tensors.count == 1 { return tensors[0] }
    return apply(.movement(.concatenate(axis: position)), tensors.map { $0.cast(to: dtype) }, file: file, line: line)[0]
  }

  /// Tensors of one shape, along a new axis.
  public static func stack(
    _ tensors: [Tensor], axis: Int = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    concatenate(tensors.map { $0.expanded(axis: axis, file: file, line: line) }, axis: axis, file: file, line: line)
  }

  /// `count` equal parts along `axis`.
  public func split(_ count: Int, axis: Int = 0, file: StaticString = #fileID, line: UInt = #line) -> [Tensor] {
    let position = positions(of: [axis], in: "split", file: file, line: line)[0]
    let size = shape.dimensions[position]
    require(
      count > 0 && size % count == 0, "split: axis \(axis) of shape \(shape) has no \(count) equal parts", file: file,
      line: line)
    let part = size / count
    return (0..<count).map { sliced(axis: position, from: $0 * part, count: part) }
  }
}
