import CKernels

/// One of two values, by a truth.
package enum SelectionOperation: CaseIterable, SampledFamily {
  case select

  package var operation: Operation { .selection(self) }

  package static var samples: [Sample] {
    let shapes: [(Shape, Shape, Shape)] = [
      ([3, 4], [3, 4], [3, 4]), ([4], [3, 4], []), ([3, 1], [1, 4], [3, 4]), ([], [], []), ([0], [0], [1]),
    ]
    return shapes.map { condition, a, b in
      Sample(.selection(.select), [.init(condition, .bool, in: 0...1), .init(a), .init(b)])
    }
  }

  package var rule: Rule {
    Rule(
      "select",
      infer: { types throws(OperationError) in
        guard types[0].dtype == .bool else {
          throw OperationError("select: the condition must be bool, got \(types[0])")
        }
        let dtype = try broadcastDType(Array(types[1...]), in: "select")
        return [TensorType(try broadcastShape(types, in: "select"), dtype)]
      },
      value: .reference { inputs, outputs in
        let shape = outputs[0].shape
        let size = outputs[0].dtype.byteCount
        let condition = inputs[0].elements(as: UInt8.self)
        let strides = inputs.map { $0.shape.broadcastStrides(to: shape) }
        forEachElement(of: shape, strides: strides) { position, offsets in
          let chosen = condition[offsets[0]] != 0 ? 1 : 2
          let source = inputs[chosen].bytes + offsets[chosen] * size
          (outputs[0].bytes + position * size).copyMemory(from: source, byteCount: size)
        }
      },
      kernel: BlockProgram.binder(for: operation),
      gradient: Gradient.ofInputs(keeping: [0]) {
        let zero = Tensor.zeros(like: $0.gradient)
        return [
          nil,
          $0.wanted[1] ? Tensor.select($0.input(0), $0.gradient, zero) : nil,
          $0.wanted[2] ? Tensor.select($0.input(0), zero, $0.gradient) : nil,
        ]
      }.summingBroadcasts,
      element: .opcode(CK_SELECT),
      onnx: "Where")
  }
}

extension Tensor {
  /// `a` where `condition` holds, else `b`; all three broadcast. NumPy's `where`.
  public static func select(
    _ condition: Tensor, _ a: Tensor, _ b: Tensor, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let dtype = DType.promoted(a.dtype, b.dtype)
    return apply(
      .selection(.select), condition.cast(to: .bool), a.cast(to: dtype), b.cast(to: dtype), file: file,
      line: line)
  }

  /// These elements where `condition` holds, else `other`.
  public func replacing(where condition: Tensor, with other: Tensor) -> Tensor {
    Tensor.select(condition, other, self)
  }
  public func replacing(where condition: Tensor, with other: Double) -> Tensor {
    Tensor.select(condition, scalarOperand(other), self)
  }
}
