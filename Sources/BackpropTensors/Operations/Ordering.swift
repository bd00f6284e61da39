import CKernels

/// What depends on the order of elements along an axis.
package enum OrderingOperation: OperationFamily {
  /// The position of the first largest (or smallest) along `axis`, as int32; NaN counts as the extreme.
  case argExtreme(axis: Int, smallest: Bool)

  package var operation: Operation { .ordering(self) }

  package static var samples: [Sample] {
    [
      Sample(.ordering(.argExtreme(axis: 1, smallest: false)), [.init([3, 4])]),
      Sample(.ordering(.argExtreme(axis: 0, smallest: true)), [.init([3, 4])]),
      Sample(.ordering(.argExtreme(axis: 1, smallest: false)), [.init([2, 3, 4])]),
      Sample(.ordering(.argExtreme(axis: 0, smallest: false)), [.init([1])]),
    ]
  }

  package var rule: Rule {
    switch self {
    case .argExtreme(let axis, let smallest): argExtremeRule(axis, smallest)
    }
  }

  private func argExtremeRule(_ axis: Int, _ smallest: Bool) -> Rule {
    Rule(
      smallest ? "argMin" : "argMax",
      infer: { types throws(OperationError) in
        var shape = types[0].shape
        guard shape.dimensions.indices.contains(axis), shape.dimensions[axis] > 0 else {
          throw OperationError("\(smallest ? "argMin" : "argMax"): axis \(axis) of shape \(shape) has no elements")
        }
        shape.dimensions.remove(at: axis)
        return [TensorType(shape, .int32)]
      },
      value: .reference { inputs, outputs in
        let (outer, n, inner) = split(inputs[0].shape, at: axis)
        let target = outputs[0].elements(as: Int32.self)
        for row in 0..<outer {
          for column in 0..<inner {
            var best = 0
            var extreme = Double.nan
            for position in 0..<n {
              let value = loadElement((row * n + position) * inner + column, from: inputs[0].bytes, dtype: inputs[0].dtype)
              if position == 0 || (!extreme.isNaN && (value.isNaN || (smallest ? value < extreme : value > extreme))) {
                (best, extreme) = (position, value)
              }
            }
            target[row * inner + column] = Int32(best)
          }
        }
      },
      kernel: { inputs, outputs, _ in
        guard inputs[0].dtype == .float32 else { return nil }
        let (outer, n, inner) = split(inputs[0].shape, at: axis)
        let arguments = ck_arg_extreme(
          dst: outputs[0].bytes.assumingMemoryBound(to: Int32.self),
          src: UnsafePointer(inputs[0].bytes.assumingMemoryBound(to: Float.self)), outer: Int64(outer), n: Int64(n),
          inner: Int64(inner), smallest: smallest)
        return BoundKernel(smallest ? "argMin" : "argMax", arguments, run: ck_arg_extreme_run)
      },
      onnx: smallest ? "ArgMin" : "ArgMax")
  }
}

/// A shape as [outer, n, inner] around `axis`.
private func split(_ shape: Shape, at axis: Int) -> (outer: Int, n: Int, inner: Int) {
  (
    shape.dimensions[..<axis].reduce(1, *), shape.dimensions[axis], shape.dimensions[(axis + 1)...].reduce(1, *)
  )
}

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
}
