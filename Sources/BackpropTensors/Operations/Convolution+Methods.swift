extension Tensor {
  /// A kernel [spatial…, channels / groups, results] moved over images [batch, spatial…, channels], in one to three
  /// spatial axes. Nothing is turned round: it is a cross-correlation, as in every framework.
  ///
  /// ```swift
  /// images.convolved(with: kernel, padding: .same)      // [n, 32, 32, 3], [3, 3, 3, 16] → [n, 32, 32, 16]
  /// ```
  ///
  /// - Parameters:
  ///   - strides, dilation: one number for each spatial axis; nil: 1.
  ///   - groups: channels and results are cut into so many parts that know nothing of each other.
  public func convolved(
    with kernel: Tensor, strides: [Int]? = nil, padding: WindowPadding = .valid, dilation: [Int]? = nil,
    groups: Int = 1, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let axes = rank - 2
    let ones = Array(repeating: 1, count: Swift.max(axes, 0))
    let (strides, dilation) = (strides ?? ones, dilation ?? ones)
    require(
      (1...3).contains(axes) && kernel.rank == rank && strides.count == axes && dilation.count == axes
        && (strides + dilation + [groups]).allSatisfy { $0 > 0 },
      "convolved: expected images of [batch, spatial…, channels], a kernel of [spatial…, channels, results] and numbers "
        + "above 0 for each spatial axis, got \(shape), \(kernel.shape), strides \(strides), dilation \(dilation), "
        + "\(groups) groups", file: file, line: line)
    let amounts = (0..<axes).map { axis in
      padding.amounts(
        input: shape[axis + 1], window: kernel.shape[axis], stride: strides[axis], dilation: dilation[axis])
    }
    var options = ConvolutionOptions(
      strides: strides, dilation: dilation, before: amounts.map(\.before), after: amounts.map(\.after),
      groups: groups)
    let (images, weights, isMixed) = Tensor.factors(self, kernel)
    options.isMixed = isMixed
    return apply(.convolution(.forward(options)), images, weights, file: file, line: line)
  }

  /// The reverse movement: images [batch, spatial…, results] and a kernel [spatial…, channels, results] to the images
  /// [batch, input…, channels] that such a convolution would come from; the gradient of ``convolved(with:strides:padding:dilation:groups:file:line:)``
  /// by its images.
  package func transposedConvolved(
    with kernel: Tensor, _ options: ConvolutionOptions, input: [Int], file: StaticString = #fileID,
    line: UInt = #line
  ) -> Tensor {
    let (images, weights, isMixed) = Tensor.factors(self, kernel)
    var options = options
    options.isMixed = isMixed
    return apply(.convolution(.images(options, input: input)), images, weights, file: file, line: line)
  }
}
