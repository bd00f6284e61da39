import CKernels

/// Rows scaled to a common measure, and the cross-entropy that goes with it: operations with kernels of their own over
/// rows along the last axis.
package enum NormalisationOperation: Int, CaseIterable, SampledFamily {
  case softmax, logSoftmax
  /// From y and its gradient to that of the input.
  case softmaxGradient, logSoftmaxGradient
  /// From logits [rows, classes] and labels [rows] to the loss of each row, and the probabilities, kept for the
  /// backward pass.
  case sparseCrossentropy
  /// From probabilities, labels and the losses' gradient to the logits' gradient.
  case sparseCrossentropyGradient

  package var operation: Operation { .normalisation(self) }

  package static var samples: [Sample] {
    let shapes: [Shape] = [[3, 4], [1, 1], [5], [2, 3, 7], [0, 3], [33, 10]]
    let rows = [softmax, logSoftmax].flatMap { kind in
      shapes.map { Sample(.normalisation(kind), [.init($0)]) }
    }
    let gradients = [softmaxGradient, logSoftmaxGradient].flatMap { kind in
      shapes.map { Sample(.normalisation(kind), [.init($0, in: 0...1), .init($0)]) }
    }
    let labels: [Double] = [1, 0, 3]
    let entropy = [
      Sample(.normalisation(.sparseCrossentropy), [.init([3, 4]), .init([3], .int32, elements: labels)]),
      Sample(
        .normalisation(.sparseCrossentropyGradient),
        [.init([3, 4], in: 0...1), .init([3], .int64, elements: labels), .init([3])]),
    ]
    return rows + gradients + entropy
  }

  package var rule: Rule { Self.rules[rawValue] }

  /// Made once: eager code asks for a rule at every step.
  private static let rules: [Rule] = allCases.map(\.newRule)

  private var newRule: Rule {
    switch self {
    case .softmax:
      return rowRule(
        "softmax", onnx: "Softmax", run: ck_softmax_run,
        composed: { x in
          let e = (x - x.max(axes: [-1], keepDims: true).stopGradient()).exp()
          return e / e.sum(axes: [-1], keepDims: true)
        },
        gradient: .ofOutputs(keeping: [0]) {
          [apply(.normalisation(.softmaxGradient), $0.output(0), $0.gradient)]
        })
    case .logSoftmax:
      return rowRule(
        "logSoftmax", onnx: "LogSoftmax", run: ck_log_softmax_run,
        composed: { x in
          let shifted = x - x.max(axes: [-1], keepDims: true).stopGradient()
          return shifted - shifted.exp().sum(axes: [-1], keepDims: true).log()
        },
        gradient: .ofOutputs(keeping: [0]) {
          [apply(.normalisation(.logSoftmaxGradient), $0.output(0), $0.gradient)]
        })
    case .softmaxGradient:
      return rowGradientRule("softmaxGradient", run: ck_softmax_gradient_run) { y, g in
        y * (g - (y * g).sum(axes: [-1], keepDims: true))
      }
    case .logSoftmaxGradient:
      return rowGradientRule("logSoftmaxGradient", run: ck_log_softmax_gradient_run) { y, g in
        g - y.exp() * g.sum(axes: [-1], keepDims: true)
      }
    case .sparseCrossentropy: return sparseCrossentropyRule
    case .sparseCrossentropyGradient: return sparseCrossentropyGradientRule
    }
  }

  private func rowRule(
    _ name: String, onnx: String, run: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void,
    composed: @escaping @Sendable (Tensor) -> Tensor, gradient: Gradient
  ) -> Rule {
    var rule = Rule(
      name, infer: { types throws(OperationError) in [try floatRows(types[0], name)] },
      value: .composed { [composed($0[0])] },
      kernel: { inputs, outputs, _ in
        guard let (source, rows, width) = rowsOfFloats(inputs[0]),
          let (target, _, _) = rowsOfFloats(outputs[0])
        else {
          return nil
        }
        return BoundKernel(name, ck_rows(dst: target, src: source, rows: rows, width: width), run: run)
      },
      gradient: gradient, onnx: onnx)
    rule.flops = { inputs, _ in 8 * inputs[0].shape.elementCount }
    return rule
  }

  private func rowGradientRule(
    _ name: String, run: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void,
    composed: @escaping @Sendable (Tensor, Tensor) -> Tensor
  ) -> Rule {
    Rule(
      name,
      infer: { types throws(OperationError) in
        guard types[0] == types[1] else {
          throw OperationError("\(name): \(types[0]) and \(types[1]) must be alike")
        }
        return [try floatRows(types[0], name)]
      },
      value: .composed { [composed($0[0], $0[1])] },
      kernel: { inputs, outputs, _ in
        guard let (y, rows, width) = rowsOfFloats(inputs[0]), let (g, _, _) = rowsOfFloats(inputs[1]),
          let (target, _, _) = rowsOfFloats(outputs[0])
        else { return nil }
        return BoundKernel(
          name, ck_rows_gradient(dst: target, y: y, g: g, rows: rows, width: width), run: run)
      },
      gradient: .composed)
  }

  private var sparseCrossentropyRule: Rule {
    Rule(
      "sparseCrossentropy",
      infer: { types throws(OperationError) in
        let logits = types[0]
        guard logits.shape.rank == 2, logits.dtype.isFloatingPoint, types[1].shape == [logits.shape[0]],
          types[1].dtype.isInteger
        else {
          throw OperationError(
            "sparseCrossentropy: expected logits of shape [rows, classes] and integer labels of shape [rows], got \(logits) and \(types[1])"
          )
        }
        return [TensorType([logits.shape[0]], logits.dtype), logits]
      },
      value: .composed { inputs in
        let logProbabilities = inputs[0].logSoftmax()
        let loss = (oneHot(inputs[1], like: inputs[0]) * logProbabilities).sum(axes: [-1])
        // A label outside the classes has no column: its row is NaN, as the kernel's.
        let valid = (inputs[1] .>= 0).and(inputs[1] .< Double(inputs[0].shape[-1]))
        let marker = Tensor.select(valid, Tensor.zeros(like: loss), Tensor.scalar(.nan, dtype: loss.dtype))
        return [-loss + marker, logProbabilities.exp() + marker.expanded(axis: -1)]
      },
      kernel: { inputs, outputs, _ in
        guard let (logits, rows, width) = rowsOfFloats(inputs[0]),
          let (loss, _, _) = rowsOfFloats(outputs[0]),
          let (probabilities, _, _) = rowsOfFloats(outputs[1])
        else { return nil }
        return BoundKernel(
          "sparseCrossentropy",
          ck_sparse_crossentropy(
            loss: loss, probabilities: probabilities, logits: logits, labels: inputs[1].bytes,
            label_dtype: inputs[1].dtype.kernelCode, rows: rows, width: width),
          run: ck_sparse_crossentropy_run)
      },
      gradient: .ofOutputs(keeping: [1], inputs: [1]) { context in
        var gradient: Tensor?
        if let g = context.outputGradients[0] {
          gradient = apply(
            .normalisation(.sparseCrossentropyGradient), context.output(1), context.input(1), g)
        }
        if let g = context.outputGradients[1] {
          let through: Tensor = apply(.normalisation(.softmaxGradient), context.output(1), g)
          gradient = gradient.map { $0 + through } ?? through
        }
        return [gradient, nil]
      })
  }

  private var sparseCrossentropyGradientRule: Rule {
    Rule(
      "sparseCrossentropyGradient",
      infer: { types throws(OperationError) in [types[0]] },
      value: .composed { inputs in
        [(inputs[0] - oneHot(inputs[1], like: inputs[0])) * inputs[2].expanded(axis: -1)]
      },
      kernel: { inputs, outputs, _ in
        guard let (probabilities, rows, width) = rowsOfFloats(inputs[0]),
          let (g, _, _) = rowsOfFloats(inputs[2]),
          let (target, _, _) = rowsOfFloats(outputs[0])
        else { return nil }
        return BoundKernel(
          "sparseCrossentropyGradient",
          ck_sparse_crossentropy_gradient(
            dst: target, probabilities: probabilities, g: g, labels: inputs[1].bytes,
            label_dtype: inputs[1].dtype.kernelCode, rows: rows, width: width, g_stride: 1),
          run: ck_sparse_crossentropy_gradient_run)
      },
      gradient: .composed)
  }
}

func floatRows(_ type: TensorType, _ name: String) throws(OperationError) -> TensorType {
  guard type.shape.rank > 0, type.dtype.isFloatingPoint else {
    throw OperationError("\(name): expected floating-point elements with at least one axis, got \(type)")
  }
  return type
}

/// A float32 buffer as rows along its last axis.
func rowsOfFloats(_ buffer: Buffer) -> (UnsafeMutablePointer<Float>, rows: Int64, width: Int64)? {
  guard buffer.dtype == .float32 else { return nil }
  let width = buffer.shape.dimensions.last ?? 1
  let rows = width == 0 ? 0 : buffer.count / width
  return (buffer.bytes.assumingMemoryBound(to: Float.self), Int64(rows), Int64(width))
}

private func oneHot(_ labels: Tensor, like other: Tensor) -> Tensor {
  labels.oneHot(classes: other.shape[-1], dtype: other.dtype)
}

// MARK: Methods

extension Tensor {
  private func alongLast(axis: Int, file: StaticString, line: UInt, _ kind: NormalisationOperation) -> Tensor
  {
    let floats = dtype.isFloatingPoint ? self : cast(to: .float32)
    let position = positions(of: [axis], in: "\(kind)", file: file, line: line)[0]
    if position == rank - 1 { return apply(.normalisation(kind), floats, file: file, line: line) }
    let turned: Tensor = apply(
      .normalisation(kind), floats.swappingAxes(position, -1), file: file, line: line)
    return turned.swappingAxes(position, -1)
  }

  /// eˣ / Σ eˣ along `axis`: positive numbers that add up to 1.
  public func softmax(axis: Int = -1, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let position = axis < 0 ? axis + rank : axis
    return alongLast(axis: axis, file: file, line: line, .softmax).remembering(
      self, as: .softmax(axis: position))
  }

  /// The logarithm of ``softmax(axis:file:line:)``, exact where the softmax is tiny.
  public func logSoftmax(axis: Int = -1, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    alongLast(axis: axis, file: file, line: line, .logSoftmax)
  }

  /// −log softmax(self)[label] for each row of logits [rows, classes]; labels are integers [rows]. A label outside the
  /// classes gives NaN.
  public func sparseCrossentropy(labels: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    apply(.normalisation(.sparseCrossentropy), [self, labels], file: file, line: line)[0]
  }

  /// For each whole number a row of `classes` zeros with a 1 at its place; outside 0..<classes all zeros.
  public func oneHot(classes: Int, dtype: DType = .float32) -> Tensor {
    let columns = Tensor.range(
      to: classes, dtype: self.dtype == .uint8 && classes > 255 ? .int32 : self.dtype)
    return (expanded(axis: -1) .== columns).cast(to: dtype)
  }
}
