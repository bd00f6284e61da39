import CKernels

/// The same numbers in another dtype.
package enum ConversionOperation: SampledFamily {
  case cast(DType)

  package var operation: Operation { .conversion(self) }

  package enum Kind: CaseIterable { case cast }

  package var kind: Kind {
    switch self {
    case .cast: .cast
    }
  }

  private var target: DType {
    switch self {
    case .cast(let dtype): dtype
    }
  }

  package static var samples: [Sample] {
    let shapes: [Shape] = [[3, 4], [], [0]]
    return DType.allCases.flatMap { dtype in
      shapes.map { Sample(.conversion(.cast(dtype)), [.init($0, in: -3...100)]) }
    }
  }

  package var rule: Rule {
    let target = target
    var rule = Rule(
      "cast to \(target)",
      infer: { types throws(OperationError) in [TensorType(types[0].shape, target)] },
      value: .reference { inputs, outputs in Self.copy(inputs[0], outputs[0]) },
      gradient: target.isFloatingPoint
        ? .constant {
          [$0.inputTypes[0].dtype.isFloatingPoint ? $0.gradient.cast(to: $0.inputTypes[0].dtype) : nil]
        }
        : .none,
      element: .conversion,
      onnx: "Cast")
    rule.movesOnly = true
    return rule
  }

  static func copy(_ source: Buffer, _ target: Buffer) {
    var arguments = ck_copy()
    arguments.dst = target.bytes
    arguments.src = UnsafeRawPointer(source.bytes)
    arguments.dst_dtype = target.dtype.kernelCode
    arguments.src_dtype = source.dtype.kernelCode
    arguments.rank = 1
    arguments.dims.0 = Int64(source.count)
    arguments.src_strides.0 = 1
    arguments.dst_strides.0 = 1
    ck_copy_run(&arguments)
  }
}

extension Tensor {
  /// The same numbers as `dtype`: floats become integers towards zero (NaN 0, too large the nearest), anything but 0
  /// becomes true, and bfloat16 and float16 are rounded to the nearest even.
  public func cast(to dtype: DType) -> Tensor {
    dtype == self.dtype ? self : apply(.conversion(.cast(dtype)), self)
  }
}
