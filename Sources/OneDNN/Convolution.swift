import COneDNN

/// One of a convolution's three products, with activations in plain channels-last order and weights in whatever layout
/// oneDNN computes with: they are put into it, or taken out of it, once in each execution.
///
/// With plain weights oneDNN falls to gemm, several times slower; forward, by data and by weights mostly want
/// different layouts.
package final class Convolution: Sendable {
  package enum Direction: Hashable, Sendable {
    /// dst from src and weights.
    case forward
    /// src's gradient from dst's and the weights.
    case data
    /// The weights' gradient from src and dst's gradient.
    case weights

    var native: odn_direction {
      switch self {
      case .forward: ODN_FORWARD
      case .data: ODN_BACKWARD_DATA
      case .weights: ODN_BACKWARD_WEIGHTS
      }
    }
  }

  /// What is computed, by value: the key under which the primitives are kept.
  package struct Description: Hashable, Sendable, CustomStringConvertible {
    package var direction = Direction.forward
    package var batch: Int
    /// Spatial sizes, one to three.
    package var input: [Int]
    package var inputChannels: Int
    package var output: [Int]
    package var outputChannels: Int
    /// Weights are [kernel…, inputChannels / groups, outputChannels], row-major.
    package var kernel: [Int]
    package var strides: [Int]
    /// 1 is a dense kernel.
    package var dilation: [Int]
    package var paddingBefore: [Int]
    package var paddingAfter: [Int]
    package var groups = 1
    /// One value for each output channel; forward only.
    package var bias = false
    /// Forward only.
    package var activation: Eltwise?
    /// Of the two arrays that are multiplied; the third, what is computed, is float32.
    package var operandType = DataType.float32
    var sourceType: DataType { direction == .data ? .float32 : operandType }
    var weightsType: DataType { direction == .weights ? .float32 : operandType }
    var destinationType: DataType { direction == .forward ? .float32 : operandType }

    package init(
      batch: Int, input: [Int], inputChannels: Int, output: [Int], outputChannels: Int, kernel: [Int],
      strides: [Int], dilation: [Int], paddingBefore: [Int], paddingAfter: [Int]
    ) {
      self.batch = batch
      self.input = input
      self.inputChannels = inputChannels
      self.output = output
      self.outputChannels = outputChannels
      self.kernel = kernel
      self.strides = strides
      self.dilation = dilation
      self.paddingBefore = paddingBefore
      self.paddingAfter = paddingAfter
    }

    package var description: String {
      "convolution \(operandType) \(direction) \([batch] + input + [inputChannels]) ↔ \([batch] + output + [outputChannels]), "
        + "kernel \(kernel), strides \(strides), dilation \(dilation), padding \(paddingBefore) \(paddingAfter), "
        + "\(groups) groups" + (bias ? ", bias" : "") + (activation.map { ", \($0)" } ?? "")
    }
  }

  package let description: Description
  let parts: [Part]
  /// The primitive of each part.
  let primitives: [Primitive]
  /// As the primitives see src, dst and their weights.
  let sources, destinations: [MemoryDescriptor]
  let weights, plainWeights: MemoryDescriptor
  let bias: MemoryDescriptor?
  /// Between plain weights and the primitives'; nil where these are the same. By weights, the second adds to what is
  /// there.
  let reorder, addingReorder: Reorder?
  let scratch: Scratch

  private static let cache = PrimitiveCache<Description, Convolution>(capacity: 512)

  /// The primitives for a description, cut into parts for `threads` threads of the pool. On any number of threads they
  /// compute the same bits.
  package static func primitive(for description: Description, threads: Int) throws(OneDNNError) -> Convolution
  {
    try cache.value(for: description, threads: threads) { () throws(OneDNNError) -> Convolution in
      try forOneThread { () throws(OneDNNError) -> Convolution in
        try Convolution(description, threads: threads)
      }
    }
  }

  /// - Parameter weights: the layout that the primitives must take; nil: what oneDNN likes best.
  init(_ description: Description, threads: Int, weights wanted: MemoryDescriptor? = nil) throws(OneDNNError)
  {
    self.description = description
    parts = description.parts(threads: threads)
    let any: MemoryDescriptor
    if let wanted {
      any = wanted
    } else {
      any = try MemoryDescriptor(description.weightsLayout(plain: false))
    }
    plainWeights = try MemoryDescriptor(description.weightsLayout(plain: true))
    bias = description.bias ? try MemoryDescriptor(Layout([description.outputChannels], .float32)) : nil
    let attributes = try PrimitiveAttributes(
      postOperations: description.activation.map { [.eltwise($0)] } ?? [])
    var made: [Description: (Primitive, MemoryDescriptor, MemoryDescriptor)] = [:]
    var weights = any
    for part in parts.map(\.description) where made[part] == nil {
      let source = try MemoryDescriptor(
        Layout(channelsLast: part.batch, part.input, part.inputChannels, part.sourceType))
      let destination = try MemoryDescriptor(
        Layout(channelsLast: part.batch, part.output, part.outputChannels, part.destinationType))
      // A second size of parts uses the weights as the first one wants them.
      let descriptor = try part.primitiveDescriptor(
        source: source, weights: weights, bias: bias, destination: destination, attributes: attributes)
      weights = try descriptor.memory(
        description.direction == .weights ? dnnl_query_diff_weights_md : dnnl_query_weights_md)
      made[part] = (try Primitive(descriptor), source, destination)
    }
    self.weights = weights
    primitives = parts.map { made[$0.description]!.0 }
    sources = parts.map { made[$0.description]!.1 }
    destinations = parts.map { made[$0.description]!.2 }
    let isPlain = weights == plainWeights
    switch description.direction {
    case .forward, .data:
      reorder = isPlain ? nil : try Reorder(from: plainWeights, to: weights, "weights of \(description)")
      addingReorder = nil
    case .weights:
      reorder =
        isPlain && parts.count == 1
        ? nil : try Reorder(from: weights, to: plainWeights, "weights of \(description)")
      addingReorder =
        parts.count == 1
        ? nil : try Reorder(from: weights, to: plainWeights, "weights of \(description)", adding: true)
    }
    scratch = Scratch(
      direction: description.direction, weights: reorder == nil ? 0 : weights.size, primitives: primitives,
      reorders: [reorder, addingReorder].compactMap { $0 })
  }

  /// Bytes of scratch memory an execution needs.
  package var scratchpadSize: Int { scratch.size }

  /// What oneDNN chose, such as `4 × brgconv:avx512_core`.
  package var implementation: String {
    (parts.count > 1 ? "\(parts.count) × " : "") + primitives[0].implementation
  }
}

extension Convolution.Description {
  /// [outputs, inputs, kernel…], with the groups in front where there are several.
  func weightsLayout(plain: Bool) -> Layout {
    let inputs = inputChannels / groups
    var strides = Layout.rowMajorStrides(kernel + [inputs, outputChannels])
    let outputStride = strides.removeLast()
    let inputStride = strides.removeLast()
    var dims = [outputChannels / groups, inputs] + kernel
    strides = [outputStride, inputStride] + strides
    if groups > 1 {
      dims.insert(groups, at: 0)
      strides.insert(outputChannels / groups, at: 0)
    }
    return Layout(dims, weightsType, strides: plain ? strides : nil)
  }

  func primitiveDescriptor(
    source: MemoryDescriptor, weights: MemoryDescriptor, bias: MemoryDescriptor?,
    destination: MemoryDescriptor, attributes: PrimitiveAttributes
  ) throws(OneDNNError) -> PrimitiveDescriptor {
    let hint = try hint(source, weights, destination)
    let numbers = [strides, dilation.map { $0 - 1 }, paddingBefore, paddingAfter].map { $0.map(Int64.init) }
    return try PrimitiveDescriptor("dnnl_convolution_primitive_desc_create", "\(self)") { handle in
      numbers[0].withUnsafeBufferPointer { strides in
        numbers[1].withUnsafeBufferPointer { dilation in
          numbers[2].withUnsafeBufferPointer { before in
            numbers[3].withUnsafeBufferPointer { after in
              var windows = odn_windows(
                strides: strides.baseAddress, dilation: dilation.baseAddress,
                padding_before: before.baseAddress, padding_after: after.baseAddress)
              return odn_convolution_primitive_desc_create(
                &handle, Engine.shared.handle, direction.native, source.handle, weights.handle, bias?.handle,
                destination.handle, hint.source.handle, hint.weights.handle, hint.destination.handle,
                &windows,
                attributes.handle)
            }
          }
        }
      }
    }
  }

  /// The forward convolution that oneDNN wants to see before it makes a gradient's. That of bfloat16 operands differs in
  /// its types: there is none from float32 to bfloat16.
  private func hint(
    _ source: MemoryDescriptor, _ weights: MemoryDescriptor, _ destination: MemoryDescriptor
  ) throws(OneDNNError) -> (
    source: MemoryDescriptor, weights: MemoryDescriptor, destination: MemoryDescriptor
  ) {
    if direction == .forward || operandType == .float32 { return (source, weights, destination) }
    var forward = self
    forward.direction = .forward
    return (
      try MemoryDescriptor(Layout(channelsLast: batch, input, inputChannels, operandType)),
      try MemoryDescriptor(forward.weightsLayout(plain: false)),
      try MemoryDescriptor(Layout(channelsLast: batch, output, outputChannels, .float32))
    )
  }
}

/// Regions of scratch memory begin on cache lines.
func aligned(_ bytes: Int) -> Int { (bytes + 63) / 64 * 64 }

extension Layout {
  /// [batch, channels, spatial…] as oneDNN counts them, channels next to each other in memory.
  init(channelsLast batch: Int, _ spatial: [Int], _ channels: Int, _ type: DataType) {
    let rowMajor = Layout.rowMajorStrides([batch] + spatial + [channels])
    self.init(
      [batch, channels] + spatial, type, strides: [rowMajor[0], 1] + rowMajor[1...spatial.count])
  }
}

extension Convolution {
  /// Where in the scratch memory each thing lies.
  struct Scratch {
    /// Weights in the primitives' layout; by weights, one sum for each part.
    private(set) var weights: [Int] = []
    /// Working memory of each part.
    private(set) var parts: [Int] = []
    /// Working memory of the reorders, which run one after the other.
    private(set) var reorder = 0
    private(set) var size = 0

    init(direction: Direction, weights bytes: Int, primitives: [Primitive], reorders: [Reorder]) {
      let copies = bytes == 0 ? 0 : direction == .weights ? primitives.count : 1
      for _ in 0..<copies { weights.append(take(bytes)) }
      for primitive in primitives { parts.append(take(primitive.scratchpadSize)) }
      reorder = take(reorders.map(\.scratchpadSize).max() ?? 0)
    }

    private mutating func take(_ bytes: Int) -> Int {
      let offset = size
      size += aligned(bytes)
      return offset
    }
  }
}
