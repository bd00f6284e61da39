extension Tensor {
  /// The largest of each window of [batch, spatial…, channels], channel by channel.
  ///
  /// ```swift
  /// images.maxPooled(size: [2, 2])      // [n, 28, 28, 3] → [n, 14, 14, 3]
  /// ```
  ///
  /// - Parameters:
  ///   - size: of a window, one number for each of the one to three spatial axes.
  ///   - strides: nil: as `size`.
  public func maxPooled(
    size: [Int], strides: [Int]? = nil, padding: WindowPadding = .valid, file: StaticString = #fileID,
    line: UInt = #line
  ) -> Tensor {
    let windows = poolingWindows("maxPooled", size, strides, padding, file: file, line: line)
    return maxPooled(windows, file: file, line: line)
  }

  /// The mean of each window of [batch, spatial…, channels], channel by channel; padding isn't counted. See
  /// ``maxPooled(size:strides:padding:file:line:)``.
  public func averagePooled(
    size: [Int], strides: [Int]? = nil, padding: WindowPadding = .valid, file: StaticString = #fileID,
    line: UInt = #line
  ) -> Tensor {
    let windows = poolingWindows("averagePooled", size, strides, padding, file: file, line: line)
    return apply(.pooling(.average(windows)), floating, file: file, line: line)
  }

  /// The largest of each of `counts` windows that share the spatial axes of [batch, spatial…, channels] as equally as
  /// can be.
  public func adaptiveMaxPooled(to counts: [Int], file: StaticString = #fileID, line: UInt = #line) -> Tensor
  {
    maxPooled(PoolingWindows(counts.map { .adaptive(count: $0) }), file: file, line: line)
  }

  /// The mean of each of `counts` windows that share the spatial axes of [batch, spatial…, channels] as equally as can
  /// be.
  public func adaptiveAveragePooled(to counts: [Int], file: StaticString = #fileID, line: UInt = #line)
    -> Tensor
  {
    let windows = PoolingWindows(counts.map { .adaptive(count: $0) })
    return apply(.pooling(.average(windows)), floating, file: file, line: line)
  }

  private var floating: Tensor { dtype.isFloatingPoint ? self : cast(to: .float32) }

  /// The largest of relu(x) is the relu of the largest of x, with the same gradients, and there are fewer of them.
  private func maxPooled(_ windows: PoolingWindows, file: StaticString, line: UInt) -> Tensor {
    let operation = Operation.pooling(.max(MaxPooling(windows)))
    if let origin = logits, origin.kind == .relu {
      return apply(operation, [origin.tensor], file: file, line: line)[0].relu()
    }
    return apply(operation, [floating], file: file, line: line)[0]
  }

  private func poolingWindows(
    _ name: String, _ size: [Int], _ strides: [Int]?, _ padding: WindowPadding, file: StaticString, line: UInt
  ) -> PoolingWindows {
    let strides = strides ?? size
    require(
      (1...3).contains(size.count) && rank == size.count + 2 && strides.count == size.count
        && (size + strides).allSatisfy { $0 > 0 },
      "\(name): expected sizes and strides above 0 for the spatial axes of [batch, spatial…, channels], got \(size) and "
        + "\(strides) for shape \(shape)", file: file, line: line)
    let spatial = Array(shape.dimensions[1...size.count])
    return PoolingWindows(size: size, strides: strides, padding: padding, over: spatial)
  }
}
