import CKernels

/// What depends on the order of elements along an axis.
package enum OrderingOperation: SampledFamily {
  /// The position of the first largest (or smallest) along `axis`, as int32; NaN counts as the extreme.
  case argExtreme(axis: Int, smallest: Bool)
  /// The first `count` elements along `axis` when they are put in order, and their positions as int32. Equal elements
  /// keep their order; NaN comes last in both directions.
  case sort(axis: Int, descending: Bool, count: Int)

  package var operation: Operation { .ordering(self) }

  package enum Kind: CaseIterable { case argExtreme, sort }

  package var kind: Kind {
    switch self {
    case .argExtreme: .argExtreme
    case .sort: .sort
    }
  }

  package static var samples: [Sample] {
    [
      Sample(.ordering(.argExtreme(axis: 1, smallest: false)), [.init([3, 4])]),
      Sample(.ordering(.argExtreme(axis: 0, smallest: true)), [.init([3, 4])]),
      Sample(.ordering(.argExtreme(axis: 1, smallest: false)), [.init([2, 3, 4])]),
      Sample(.ordering(.argExtreme(axis: 0, smallest: false)), [.init([1])]),
      Sample(.ordering(.sort(axis: 1, descending: false, count: 4)), [.init([3, 4])]),
      Sample(.ordering(.sort(axis: 0, descending: true, count: 3)), [.init([3, 4])]),
      Sample(.ordering(.sort(axis: 1, descending: true, count: 2)), [.init([2, 5, 3])]),
      Sample(.ordering(.sort(axis: 0, descending: false, count: 0)), [.init([0])]),
      Sample(.ordering(.sort(axis: 3, descending: true, count: 2)), [.init([2, 1, 3, 3, 2])]),
    ]
  }

  package var rule: Rule {
    switch self {
    case .argExtreme(let axis, let smallest): argExtremeRule(axis, smallest)
    case .sort(let axis, let descending, let count): sortRule(axis, descending, count)
    }
  }

  private func argExtremeRule(_ axis: Int, _ smallest: Bool) -> Rule {
    Rule(
      smallest ? "argMin" : "argMax",
      infer: { types throws(OperationError) in
        var shape = types[0].shape
        guard shape.dimensions.indices.contains(axis), shape.dimensions[axis] > 0 else {
          throw OperationError(
            "\(smallest ? "argMin" : "argMax"): axis \(axis) of shape \(shape) has no elements")
        }
        shape.dimensions.remove(at: axis)
        return [TensorType(shape, .int32)]
      },
      value: .reference { inputs, outputs in
        let (outer, n, inner) = inputs[0].shape.split(at: axis)
        let target = outputs[0].elements(as: Int32.self)
        for row in 0..<outer {
          for column in 0..<inner {
            var best = 0
            var extreme = Double.nan
            for position in 0..<n {
              let value = loadElement(
                (row * n + position) * inner + column, from: inputs[0].bytes, dtype: inputs[0].dtype)
              if position == 0
                || (!extreme.isNaN && (value.isNaN || (smallest ? value < extreme : value > extreme)))
              {
                (best, extreme) = (position, value)
              }
            }
            target[row * inner + column] = Int32(best)
          }
        }
      },
      kernel: { inputs, outputs, _ in
        guard inputs[0].dtype == .float32 else { return nil }
        let (outer, n, inner) = inputs[0].shape.split(at: axis)
        let arguments = ck_arg_extreme(
          dst: outputs[0].bytes.assumingMemoryBound(to: Int32.self),
          src: inputs[0].floats, outer: Int64(outer),
          n: Int64(n),
          inner: Int64(inner), smallest: smallest)
        return BoundKernel(smallest ? "argMin" : "argMax", arguments, run: ck_arg_extreme_run)
      },
      onnx: smallest ? "ArgMin" : "ArgMax")
  }
}

// MARK: Sorting

extension OrderingOperation {
  private func sortRule(_ axis: Int, _ descending: Bool, _ count: Int) -> Rule {
    Rule(
      "sort",
      infer: { types throws(OperationError) in
        var shape = types[0].shape
        guard shape.dimensions.indices.contains(axis) else {
          throw OperationError("sort: there is no axis \(axis) in a tensor of shape \(shape)")
        }
        guard (0...shape.dimensions[axis]).contains(count) else {
          throw OperationError("sort: axis \(axis) of shape \(shape) has no \(count) elements")
        }
        shape.dimensions[axis] = count
        return [TensorType(shape, types[0].dtype), TensorType(shape, .int32)]
      },
      value: .reference { inputs, outputs in
        switch inputs[0].dtype {
        case .float32:
          Self.sort(inputs[0], outputs, axis) { (x: Float) in
            SortEntry.key(x.bitPattern, isNaN: x.isNaN, isZero: x == 0, descending)
          }
        case .float64:
          Self.sort(inputs[0], outputs, axis) { (x: Double) in
            SortEntry.key(x.bitPattern, isNaN: x.isNaN, isZero: x == 0, descending)
          }
        case .int8: Self.sort(inputs[0], outputs, axis) { (x: Int8) in SortEntry.key(Int64(x), descending) }
        case .int16: Self.sort(inputs[0], outputs, axis) { (x: Int16) in SortEntry.key(Int64(x), descending) }
        case .int32: Self.sort(inputs[0], outputs, axis) { (x: Int32) in SortEntry.key(Int64(x), descending) }
        case .int64: Self.sort(inputs[0], outputs, axis) { (x: Int64) in SortEntry.key(x, descending) }
        case .uint8, .bool:
          Self.sort(inputs[0], outputs, axis) { (x: UInt8) in SortEntry.key(Int64(x), descending) }
        case .bfloat16, .float16: break
        }
      },
      // Each result is one of the inputs: its gradient goes back to where it came from.
      gradient: .ofOutputs(keeping: [1]) {
        let size = $0.inputTypes[0].shape.dimensions[axis]
        return [$0.gradient.scatterAdded(alongAxis: axis, size: size, at: $0.output(1))]
      },
      onnx: "TopK")
  }

  private static func sort<T>(_ input: Buffer, _ outputs: [Buffer], _ axis: Int, key: (T) -> UInt64) {
    let (outer, n, inner) = input.shape.split(at: axis)
    let count = outputs[0].shape.dimensions[axis]
    let source = input.elements(as: T.self)
    let (values, positions) = (outputs[0].elements(as: T.self), outputs[1].elements(as: Int32.self))
    var entries = [SortEntry](repeating: SortEntry(key: 0, position: 0), count: n)
    for row in 0..<outer {
      for column in 0..<inner {
        let start = row * n * inner + column
        for index in 0..<n {
          entries[index] = SortEntry(key: key(source[start + index * inner]), position: Int32(index))
        }
        entries.sort()
        for rank in 0..<count {
          let place = (row * count + rank) * inner + column
          let position = entries[rank].position
          positions[place] = position
          values[place] = source[start + Int(position) * inner]
        }
      }
    }
  }
}

/// An element to sort, as a number whose order is the elements' order; the position decides between equal ones.
private struct SortEntry: Comparable {
  var key: UInt64
  var position: Int32

  static func < (a: SortEntry, b: SortEntry) -> Bool {
    a.key == b.key ? a.position < b.position : a.key < b.key
  }

  /// IEEE 754 bit patterns count upwards with the number's size: positive ones get the sign bit set, negative ones are
  /// turned over. −0 equals 0; NaN is the largest whatever the direction.
  static func key<Bits: FixedWidthInteger & UnsignedInteger>(
    _ bits: Bits, isNaN: Bool, isZero: Bool, _ descending: Bool
  ) -> UInt64 {
    if isNaN { return .max }
    let sign = Bits(1) << (Bits.bitWidth - 1)
    let ordered = isZero ? sign : bits & sign == 0 ? bits | sign : ~bits
    return UInt64(descending ? ~ordered : ordered)
  }

  static func key(_ number: Int64, _ descending: Bool) -> UInt64 {
    let ordered = UInt64(bitPattern: number) ^ (1 << 63)
    return descending ? ~ordered : ordered
  }
}

extension Shape {
  /// As [outer, n, inner] around `axis`.
  package func split(at axis: Int) -> (outer: Int, n: Int, inner: Int) {
    (dimensions[..<axis].reduce(1, *), dimensions[axis], dimensions[(axis + 1)...].reduce(1, *))
  }
}

// MARK: Methods

extension Tensor {
  private func argExtreme(axis: Int?, smallest: Bool, file: StaticString, line: UInt) -> Tensor {
    guard let axis else { return flattened().argExtreme(axis: 0, smallest: smallest, file: file, line: line) }
    let position = positions(of: [axis], in: smallest ? "argMin" : "argMax", file: file, line: line)[0]
    return apply(.ordering(.argExtreme(axis: position, smallest: smallest)), self, file: file, line: line)
  }

  /// The position of the first largest element along `axis` (of all elements when nil), as int32.
  public func argMax(axis: Int? = nil, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    argExtreme(axis: axis, smallest: false, file: file, line: line)
  }

  /// The position of the first smallest element along `axis` (of all elements when nil), as int32.
  public func argMin(axis: Int? = nil, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    argExtreme(axis: axis, smallest: true, file: file, line: line)
  }

  private func ordered(
    _ name: String, axis: Int, descending: Bool, count: Int?, file: StaticString, line: UInt
  ) -> (values: Tensor, positions: Tensor) {
    let position = positions(of: [axis], in: name, file: file, line: line)[0]
    let size = shape.dimensions[position]
    let operation = OrderingOperation.sort(axis: position, descending: descending, count: count ?? size)
    let results = apply(.ordering(operation), [self], file: file, line: line)
    return (results[0], results[1])
  }

  /// The elements in order along `axis`; NaN comes last, in descending order too.
  ///
  /// - Complexity: O(*n* log *n*) for each line of *n* elements.
  public func sorted(
    axis: Int = -1, descending: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    ordered("sorted", axis: axis, descending: descending, count: nil, file: file, line: line).values
  }

  /// The positions, as int32, that put the elements in order along `axis`; equal elements keep their order.
  public func argSorted(
    axis: Int = -1, descending: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    ordered("argSorted", axis: axis, descending: descending, count: nil, file: file, line: line).positions
  }

  /// The `count` largest elements along `axis`, largest first, and their positions as int32; of equal ones the first
  /// come first.
  public func topK(
    _ count: Int, axis: Int = -1, file: StaticString = #fileID, line: UInt = #line
  ) -> (values: Tensor, positions: Tensor) {
    ordered("topK", axis: axis, descending: true, count: count, file: file, line: line)
  }
}
