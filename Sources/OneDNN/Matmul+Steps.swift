import COneDNN

/// The primitives that each formulation is made of.
extension Matmul {
  /// What to execute, and the bytes of scratch memory it takes.
  static func steps(
    _ description: Description, _ layouts: Description.Layouts, _ formulation: Formulation
  ) throws(OneDNNError) -> ([Step], Int) {
    switch formulation.method {
    case .direct:
      try parts(description, layouts, formulation) { layouts throws(OneDNNError) in
        try product(description, layouts)
      }
    case .gemm:
      try parts(description, layouts, formulation) { layouts throws(OneDNNError) in
        try gemm(description, layouts)
      }
    case .transposed: try transposedProduct(description, layouts)
    }
  }

  /// dst = src · weights, by the implementation that oneDNN prefers or the first whose name holds `wanted`.
  private static func product(
    _ description: Description, _ layouts: Description.Layouts, wanted: String? = nil
  ) throws(OneDNNError) -> ([Step], Int) {
    let source = try MemoryDescriptor(layouts.source)
    let weights = try MemoryDescriptor(layouts.weights)
    let destination = try MemoryDescriptor(layouts.destination)
    var operands = [
      Operand(number: DNNL_ARG_SRC, descriptor: source, role: .source),
      Operand(number: DNNL_ARG_WEIGHTS, descriptor: weights, role: .weights),
      Operand(number: DNNL_ARG_DST, descriptor: destination, role: .destination),
    ]
    var bias: MemoryDescriptor?
    if let layout = layouts.bias {
      let descriptor = try MemoryDescriptor(layout)
      operands.append(Operand(number: DNNL_ARG_BIAS, descriptor: descriptor, role: .bias))
      bias = descriptor
    }
    let attributes = try PrimitiveAttributes(postOperations: description.postOperations)
    for (index, operand) in attributes.operands.enumerated() {
      let number = odn_argument_post_op(Int32(operand.position))
      operands.append(Operand(number: number, descriptor: operand.descriptor, role: .postOperand(index)))
    }
    let descriptor = try PrimitiveDescriptor("dnnl_matmul_primitive_desc_create", "\(description)") {
      odn_matmul_primitive_desc_create(
        &$0, Engine.shared.handle, source.handle, weights.handle, bias?.handle, destination.handle,
        attributes.handle, wanted)
    }
    let primitive = try Primitive(descriptor)
    operands.append(Operand(number: DNNL_ARG_SCRATCHPAD, descriptor: primitive.scratchpad, role: .scratch))
    return ([Step(primitive: primitive, operands: operands)], primitive.scratchpadSize)
  }

  /// The same by oneDNN's gemm, where that takes the description.
  private static func gemm(
    _ description: Description, _ layouts: Description.Layouts
  ) throws(OneDNNError) -> ([Step], Int) {
    if let found = try? product(description, layouts, wanted: "gemm:jit") { return found }
    return try product(description, layouts)
  }

  /// The product in as many parts as the formulation says, each with scratch memory of its own.
  private static func parts(
    _ description: Description, _ layouts: Description.Layouts, _ formulation: Formulation,
    _ make: (Description.Layouts) throws(OneDNNError) -> ([Step], Int)
  ) throws(OneDNNError) -> ([Step], Int) {
    if formulation.parts == 1 { return try make(layouts) }
    var steps: [Step] = []
    var size = 0
    let length = layouts.destination.dims[formulation.axis.of(layouts.destination)]
    for part in 0..<formulation.parts {
      // Matrices are cut at multiples of 16, which is what the kernels compute at a time.
      let unit = formulation.axis == .batch ? 1 : 16
      let begin = length * part / formulation.parts / unit * unit
      let end = part == formulation.parts - 1 ? length : length * (part + 1) / formulation.parts / unit * unit
      guard end > begin else { continue }
      var piece = layouts
      let offsets = piece.cut(formulation.axis, begin..<end)
      var (pieceSteps, pieceSize) = try make(piece)
      for index in pieceSteps[0].operands.indices {
        switch pieceSteps[0].operands[index].role {
        case .source: pieceSteps[0].operands[index].offset = offsets.source
        case .weights: pieceSteps[0].operands[index].offset = offsets.weights
        case .bias: pieceSteps[0].operands[index].offset = offsets.bias
        case .destination: pieceSteps[0].operands[index].offset = offsets.destination
        case .scratch: pieceSteps[0].operands[index].offset = size
        case .postOperand: break
        }
      }
      steps += pieceSteps
      size += aligned(pieceSize)
    }
    return (steps, size)
  }

  /// dstᵀ = weightsᵀ · srcᵀ in the scratchpad, and from there into dst.
  private static func transposedProduct(
    _ description: Description, _ layouts: Description.Layouts
  ) throws(OneDNNError) -> ([Step], Int) {
    let product = Layout([description.n, description.m], description.destinationType)
    let transposed = Description.Layouts(
      source: layouts.weights.transposed, weights: layouts.source.transposed, destination: product)
    var (steps, size) = try Matmul.product(description, transposed)
    let productOffset = aligned(size)
    for index in steps[0].operands.indices {
      switch steps[0].operands[index].role {
      case .source: steps[0].operands[index].role = .weights
      case .weights: steps[0].operands[index].role = .source
      case .destination:
        steps[0].operands[index].role = .scratch
        steps[0].operands[index].offset = productOffset
      default: break
      }
    }
    let reorder = try Reorder(
      from: MemoryDescriptor(product), to: MemoryDescriptor(layouts.destination.transposed), "\(description)")
    size = productOffset + aligned(description.m * description.n * description.destinationType.size)
    let scratchpad = reorder.primitive.scratchpad
    steps.append(
      Step(
        primitive: reorder.primitive,
        operands: [
          Operand(number: DNNL_ARG_FROM, descriptor: reorder.source, role: .scratch, offset: productOffset),
          Operand(number: DNNL_ARG_TO, descriptor: reorder.destination, role: .destination),
          Operand(number: DNNL_ARG_SCRATCHPAD, descriptor: scratchpad, role: .scratch, offset: size),
        ]))
    return (steps, size + reorder.scratchpadSize)
  }

  /// Scratch regions begin on cache lines.
  private static func aligned(_ bytes: Int) -> Int { (bytes + 63) / 64 * 64 }
}

extension Matmul.Description.Layouts {
  /// Keeps a range along one axis of the product; gives each operand's offset in bytes.
  fileprivate mutating func cut(
    _ axis: Formulation.Axis, _ range: Range<Int>
  ) -> (source: Int, weights: Int, bias: Int, destination: Int) {
    let last = destination.dims.count - 1
    switch axis {
    case .rows: return (source.cut(last - 1, range), 0, 0, destination.cut(last - 1, range))
    case .columns:
      return (0, weights.cut(last, range), bias?.cut(last, range) ?? 0, destination.cut(last, range))
    case .batch: return (source.cut(0, range), weights.cut(0, range), 0, destination.cut(0, range))
    }
  }
}

extension Layout {
  /// Keeps a range of one dimension (a dimension of 1 repeats and stays); gives the offset of its begin in bytes.
  fileprivate mutating func cut(_ axis: Int, _ range: Range<Int>) -> Int {
    guard dims[axis] > 1, let strides else { return 0 }
    dims[axis] = range.count
    return range.lowerBound * strides[axis] * dataType.size
  }
}
