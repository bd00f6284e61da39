import CKernels

/// The largest or the mean of each window of [batch, spatial…, channels], channel by channel.
package enum PoolingOperation: SampledFamily {
  /// The largest of each window, and its number in the window, kept for the backward pass.
  case max(MaxPooling)
  /// From the result's gradient and the numbers of the largest to the gradient of an input of these spatial sizes.
  case maxGradient(PoolingWindows, input: [Int])
  /// The elements of a tensor like the input at the places of the largest: the gradient of ``maxGradient``.
  case maxGather(PoolingWindows)
  /// The mean of each window, padding left out.
  case average(PoolingWindows)
  /// From the result's gradient to that of an input of these spatial sizes.
  case averageGradient(PoolingWindows, input: [Int])

  package var operation: Operation { .pooling(self) }

  package enum Kind: CaseIterable { case max, maxGradient, maxGather, average, averageGradient }

  package var kind: Kind {
    switch self {
    case .max: .max
    case .maxGradient: .maxGradient
    case .maxGather: .maxGather
    case .average: .average
    case .averageGradient: .averageGradient
    }
  }

  package static var samples: [Sample] {
    func sliding(_ size: Int, _ stride: Int, _ before: Int = 0, _ after: Int = 0) -> PoolingWindows.Axis {
      .sliding(size: size, stride: stride, before: before, after: after)
    }
    let cases: [([PoolingWindows.Axis], Shape)] = [
      ([sliding(2, 2)], [2, 7, 3]), ([sliding(3, 1, 1, 1)], [2, 5, 1]),
      ([sliding(2, 2), sliding(2, 2)], [3, 4, 6, 5]), ([sliding(3, 2, 0, 1), sliding(2, 1)], [2, 6, 5, 17]),
      ([sliding(2, 3), sliding(3, 3)], [2, 8, 7, 33]),
      ([sliding(2, 2), sliding(1, 1), sliding(3, 2, 1, 1)], [1, 4, 2, 5, 3]),
      ([.adaptive(count: 3)], [2, 7, 2]), ([.adaptive(count: 2), .adaptive(count: 3)], [2, 5, 4, 3]),
      ([.adaptive(count: 1), .adaptive(count: 1)], [1, 17, 19, 2]), ([sliding(2, 2)], [0, 4, 3]),
    ]
    return cases.flatMap { axes, shape -> [Sample] in
      let windows = PoolingWindows(axes)
      let spatial = Array(shape.dimensions[1...axes.count])
      let ranges = windows.ranges(over: spatial)
      let result = Shape([shape[0]] + ranges.map(\.count) + [shape[-1]])
      // Valid in every window, the smallest included.
      let smallest = ranges.reduce(1) { volume, list in volume * list.map(\.count).min()! }
      let positions = (0..<result.elementCount).map { Double($0 * 7 % smallest) }
      let chosen = Sample.Input(result, windows.positionType(over: spatial), elements: positions)
      return [
        Sample(.pooling(.max(.init(windows))), [.init(shape)]),
        Sample(.pooling(.maxGradient(windows, input: spatial)), [.init(result), chosen]),
        Sample(.pooling(.maxGather(windows)), [.init(shape), chosen]),
        Sample(.pooling(.average(windows)), [.init(shape)]),
        Sample(.pooling(.averageGradient(windows, input: spatial)), [.init(result)]),
      ]
    } + [
      Sample(
        .pooling(.max(.init(PoolingWindows([sliding(2, 2)]), relu: true))), [.init([2, 6, 3], in: 0.1...1)])
    ]
  }

  package var rule: Rule {
    switch self {
    case .max(let pooling): pooling.rule
    case .maxGradient(let windows, let input): windows.maxGradientRule(input)
    case .maxGather(let windows): windows.maxGatherRule
    case .average(let windows): windows.averageRule
    case .averageGradient(let windows, let input): windows.averageGradientRule(input)
    }
  }
}

/// relu?(the largest of each window).
package struct MaxPooling: Hashable, Sendable {
  package var windows: PoolingWindows
  package var relu = false
  /// Whether the second result, which only the backward pass reads, is made.
  package var keepsPositions = true

  package init(_ windows: PoolingWindows, relu: Bool = false) {
    self.windows = windows
    self.relu = relu
  }

  fileprivate var rule: Rule {
    let windows = windows
    var rule = Rule(
      "maxPool",
      infer: { types throws(OperationError) in
        let spatial = try windows.spatial(types[0], in: "maxPool")
        let shape = try windows.pooled(types[0].shape, in: "maxPool")
        let values = TensorType(shape, types[0].dtype)
        return keepsPositions ? [values, TensorType(shape, windows.positionType(over: spatial))] : [values]
      },
      value: relu ? .composed { composed($0) } : .reference { windows.largest($0[0], $1) },
      kernel: { inputs, outputs, _ in kernel(inputs, outputs) },
      gradient: relu
        ? .composed
        : .ofOutputs(keeping: [1]) { context in
          let spatial = Array(context.inputTypes[0].shape.dimensions.dropFirst().dropLast())
          let operation = PoolingOperation.maxGradient(windows, input: spatial)
          return [apply(.pooling(operation), context.gradient, context.output(1))]
        },
      onnx: "MaxPool")
    rule.flops = { inputs, outputs in windows.work(inputs[0], outputs[0]) }
    return rule
  }

  private func composed(_ inputs: [Tensor]) -> [Tensor] {
    var plain = self
    plain.relu = false
    var results = apply(.pooling(.max(plain)), inputs)
    results[0] = results[0].relu()
    return results
  }

  func kernel(_ inputs: [Buffer], _ outputs: [Buffer]) -> BoundKernel? {
    guard inputs[0].dtype == .float32, let table = WindowTable(windows, input: inputs[0].type) else {
      return nil
    }
    let positions = keepsPositions ? outputs[1] : nil
    let arguments = ck_max_pool(
      windows: table.windows, src: inputs[0].floats, dst: outputs[0].mutableFloats,
      positions: positions?.bytes,
      narrow: positions?.dtype == .uint8, relu: relu)
    return BoundKernel("maxPool", arguments, keeping: table, run: ck_max_pool_run)
  }
}

// MARK: Rules

extension PoolingWindows {
  /// Bytes where they can count the cells of every window.
  func positionType(over spatial: [Int]) -> DType { largestVolume(over: spatial) <= 256 ? .uint8 : .int32 }

  func pooled(_ shape: Shape, in name: String) throws(OperationError) -> Shape {
    let spatial = Array(shape.dimensions[1...axes.count])
    return Shape([shape[0]] + (try counts(over: spatial, in: name)) + [shape[-1]])
  }

  fileprivate func work(_ input: TensorType, _ output: TensorType) -> Int {
    let cells = largestVolume(over: Array(input.shape.dimensions[1...axes.count]))
    return Swift.max(output.shape.elementCount * cells, input.shape.elementCount)
  }

  /// The type of an input of `spatial` sizes whose pooled shape is that of `type`.
  private func unpooled(_ type: TensorType, _ input: [Int], in name: String) throws(OperationError)
    -> TensorType
  {
    let spatial = try spatial(type, in: name)
    let expected = try counts(over: input, in: name)
    guard spatial == expected else {
      throw OperationError(
        "\(name): expected gradients of \(expected) windows for an input of \(input), got \(type)")
    }
    return TensorType(Shape([type.shape[0]] + input + [type.shape[-1]]), type.dtype)
  }

  fileprivate func maxGradientRule(_ input: [Int]) -> Rule {
    var rule = Rule(
      "maxPoolGradient",
      infer: { types throws(OperationError) in
        let result = try unpooled(types[0], input, in: "maxPoolGradient")
        try checkPositions(types[1], like: types[0], over: input, in: "maxPoolGradient")
        return [result]
      },
      value: .reference { inputs, outputs in spreadLargest(inputs, outputs[0]) },
      kernel: { inputs, outputs, _ in
        guard inputs[0].dtype == .float32, let table = WindowTable(self, input: outputs[0].type) else {
          return nil
        }
        let arguments = ck_max_pool_gradient(
          windows: table.windows, g: inputs[0].floats, positions: UnsafeRawPointer(inputs[1].bytes),
          dst: outputs[0].mutableFloats, narrow: inputs[1].dtype == .uint8)
        return BoundKernel("maxPoolGradient", arguments, keeping: table, run: ck_max_pool_gradient_run)
      },
      gradient: .ofInputs(keeping: [1]) {
        [apply(.pooling(.maxGather(self)), $0.gradient, $0.input(1)), nil]
      })
    rule.flops = { inputs, outputs in work(outputs[0], inputs[0]) }
    return rule
  }

  fileprivate var maxGatherRule: Rule {
    Rule(
      "maxPoolGather",
      infer: { types throws(OperationError) in
        let spatial = try spatial(types[0], in: "maxPoolGather")
        let result = TensorType(try pooled(types[0].shape, in: "maxPoolGather"), types[0].dtype)
        try checkPositions(types[1], like: result, over: spatial, in: "maxPoolGather")
        return [result]
      },
      value: .reference { inputs, outputs in gatherLargest(inputs, outputs[0]) },
      gradient: .ofInputs(keeping: [1]) {
        let spatial = Array($0.inputTypes[0].shape.dimensions.dropFirst().dropLast())
        return [apply(.pooling(.maxGradient(self, input: spatial)), $0.gradient, $0.input(1)), nil]
      })
  }

  private func checkPositions(
    _ positions: TensorType, like pooled: TensorType, over spatial: [Int], in name: String
  ) throws(OperationError) {
    let expected = TensorType(pooled.shape, positionType(over: spatial))
    guard positions == expected else {
      throw OperationError("\(name): expected positions of \(expected), got \(positions)")
    }
  }

  fileprivate var averageRule: Rule {
    var rule = Rule(
      "averagePool",
      infer: { types throws(OperationError) in
        _ = try spatial(types[0], in: "averagePool")
        return [TensorType(try pooled(types[0].shape, in: "averagePool"), types[0].dtype)]
      },
      value: .reference { average($0[0], $1[0], spreads: false) },
      kernel: { inputs, outputs, _ in
        averageKernel(inputs[0], outputs[0], like: inputs[0], "averagePool", ck_average_pool_run)
      },
      gradient: .constant {
        let spatial = Array($0.inputTypes[0].shape.dimensions.dropFirst().dropLast())
        return [apply(.pooling(.averageGradient(self, input: spatial)), $0.gradient)]
      },
      onnx: "AveragePool")
    rule.flops = { inputs, outputs in work(inputs[0], outputs[0]) }
    return rule
  }

  fileprivate func averageGradientRule(_ input: [Int]) -> Rule {
    var rule = Rule(
      "averagePoolGradient",
      infer: { types throws(OperationError) in [try unpooled(types[0], input, in: "averagePoolGradient")] },
      value: .reference { average($0[0], $1[0], spreads: true) },
      kernel: { inputs, outputs, _ in
        averageKernel(
          inputs[0], outputs[0], like: outputs[0], "averagePoolGradient", ck_average_pool_gradient_run)
      },
      gradient: .constant { [apply(.pooling(.average(self)), $0.gradient)] })
    rule.flops = { inputs, outputs in work(outputs[0], inputs[0]) }
    return rule
  }

  private func averageKernel(
    _ source: Buffer, _ target: Buffer, like input: Buffer, _ name: String,
    _ run: @convention(c) (UnsafeMutableRawPointer?) -> Void
  ) -> BoundKernel? {
    guard source.dtype == .float32, let table = WindowTable(self, input: input.type) else { return nil }
    let arguments = ck_average_pool(windows: table.windows, src: source.floats, dst: target.mutableFloats)
    return BoundKernel(name, arguments, keeping: table, run: run)
  }
}
