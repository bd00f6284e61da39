import BackpropTensors

/// What the layers over images share: inputs are [batch, spatial…, channels] with one to three spatial axes.
extension Layer {
  /// `[batch, height, width, channels]`
  static func imageAxes(_ axes: Int, channels: String = "channels") -> String {
    let spatial = [["steps"], ["height", "width"], ["depth", "height", "width"]][axes - 1]
    return "[batch, \((spatial + [channels]).joined(separator: ", "))]"
  }

  /// Refuses inputs of another number of axes.
  func checkImages(_ inputs: [Shape], axes: Int) throws {
    guard inputs.count == 1, inputs[0].rank == axes + 2 else {
      let got = inputs.map(\.description).joined(separator: " and ")
      let sample = Array(inputs[0].dimensions.dropFirst())
      let isPlane = inputs.count == 1 && sample.count == axes
      let hint = isPlane ? "; for one channel add Reshape(\(sample + [1])) before it" : ""
      throw ModelError(.shape, at: path, "expected inputs of \(Self.imageAxes(axes)), got \(got)\(hint)")
    }
  }

  /// The same, and that there are as many channels as the weights are for.
  func checkImages(_ inputs: [Shape], axes: Int, channels: Int) throws {
    try checkImages(inputs, axes: axes)
    guard inputs[0][-1] != channels else { return }
    let hint = inputs[0][1] == channels ? "; the channels come last: \(Self.imageAxes(axes))" : ""
    throw ModelError(
      .shape, at: path, "expected \(channels) channels on the last axis, got \(inputs[0])\(hint)")
  }

  /// Runs a check that speaks of shapes, and adds the layer's path and the likely cause.
  func checkFit(_ input: Shape, _ body: () throws(OperationError) -> Void) throws {
    do { try body() } catch {
      let looksTurned = input.rank > 2 && input[1] < input[-1] && input[1] <= 4
      let hint = looksTurned ? "; channels first? They come last: \(Self.imageAxes(input.rank - 2))" : ""
      throw ModelError(.shape, at: path, "\(error)\(hint)")
    }
  }

  /// Refuses images that are smaller than the window that moves over them.
  func checkWindows(
    _ input: Shape, size: [Int], strides: [Int], padding: WindowPadding, dilation: [Int]
  ) throws {
    try checkFit(input) { () throws(OperationError) in
      let spatial = Array(input.dimensions.dropFirst().dropLast())
      let amounts = spatial.indices.map { axis in
        padding.amounts(
          input: spatial[axis], window: size[axis], stride: strides[axis], dilation: dilation[axis])
      }
      let options = ConvolutionOptions(
        strides: strides, dilation: dilation, before: amounts.map(\.before), after: amounts.map(\.after))
      _ = try options.results(of: spatial, size: size)
    }
  }

  func checkNotBoth(strides: [Int], dilationRate: [Int]) throws {
    guard strides.max() == 1 || dilationRate.max() == 1 else {
      throw ModelError(
        .argument, at: path, "strides \(strides) and dilationRate \(dilationRate) can't both be above 1")
    }
  }

  func checkChannelsLast(_ format: String?) throws {
    guard let format, format != "channels_last" else { return }
    throw ModelError(
      .argument, at: path,
      "dataFormat '\(format)' isn't supported: images are \(Self.imageAxes(2)); transpose them with Permute or before"
    )
  }

  /// Refuses arguments that don't have one number of at least `least` for each axis.
  func checkAxes(_ arguments: [(name: String, values: [Int])], axes: Int, least: Int = 1) throws {
    for (name, values) in arguments {
      guard values.count == axes else {
        throw ModelError(
          .argument, at: path, "\(name) has one number for each of \(axes) axes, got \(values)")
      }
      guard values.allSatisfy({ $0 >= least }) else {
        throw ModelError(
          .argument, at: path, "\(name) must be \(least == 0 ? "0 or more" : "positive"), got \(values)")
      }
    }
  }

  /// A convolution's result with its bias, through the activation.
  func finished(
    _ result: Tensor, _ bias: Weight?, _ activation: ActivationFunction, _ regularizer: Regularizer?,
    _ context: CallContext
  ) -> Tensor {
    let result = activation(bias.map { result + $0.value } ?? result)
    addActivity(regularizer, of: result, context)
    return result
  }

  /// Adds what an activity regulariser asks for the result: as Keras, over the batch's size.
  func addActivity(_ regularizer: Regularizer?, of result: Tensor, _ context: CallContext) {
    guard let regularizer else { return }
    context.addLoss(regularizer(result) / Double(max(result.shape[0], 1)))
  }
}

extension OneOrMany where Value == Int {
  /// One number for each axis.
  func over(_ axes: Int) -> [Int] { isSingle ? Array(repeating: values[0], count: axes) : values }
}
