import COneDNN

/// The primitives that each formulation is made of.
extension Matmul {
  /// What to execute, in how many parts, and the bytes of scratch memory it takes.
  static func steps(
    _ description: Description, _ layouts: Description.Layouts, _ formulation: Formulation
  ) throws(OneDNNError) -> (steps: [Step], parts: Int, scratchpadSize: Int) {
    if formulation.parts > 1, let result = try? parts(description, layouts, formulation) { return result }
    let (steps, size) = try part(description, layouts, formulation.method)
    return (steps, 1, size)
  }

  /// The product in as many parts as the formulation says, each with scratch memory of its own.
  ///
  /// Throws where oneDNN takes the parts, whose rows lie apart in memory, by none but its reference implementation.
  private static func parts(
    _ description: Description, _ layouts: Description.Layouts, _ formulation: Formulation
  ) throws(OneDNNError) -> (steps: [Step], parts: Int, scratchpadSize: Int) {
    var steps: [Step] = []
    var parts = 0
    var size = 0
    for range in formulation.ranges(of: layouts.destination) {
      var piece = layouts
      let offsets = piece.cut(formulation.axis.index(in: layouts.destination), range)
      let (pieceSteps, pieceSize) = try part(description, piece, formulation.method)
      if pieceSteps[0].primitive.implementation.hasPrefix("ref") {
        throw OneDNNError(
          call: "dnnl_matmul_primitive_desc_create", status: dnnl_unimplemented,
          request: "a part of \(description)")
      }
      for var step in pieceSteps {
        for index in step.operands.indices {
          let role = step.operands[index].role
          step.operands[index].offset += role == .scratch ? size : offsets.offset(of: role)
        }
        steps.append(step)
      }
      parts += 1
      size += aligned(pieceSize)
    }
    return (steps, parts, size)
  }

  private static func part(
    _ description: Description, _ layouts: Description.Layouts, _ method: Formulation.Method
  ) throws(OneDNNError) -> ([Step], Int) {
    switch method {
    case .direct: return try product(description, layouts)
    case .gemm:
      if let found = try? product(description, layouts, wanted: "gemm:jit") { return found }
      return try product(description, layouts)
    case .transposed:
      let destination = layouts.destination.transposed
      let transposed = Description.Layouts(
        source: layouts.weights.transposed, weights: layouts.source.transposed, destination: destination)
      var (steps, size) = try copiedProduct(description, transposed)
      for index in steps[0].operands.indices {
        switch steps[0].operands[index].role {
        case .source: steps[0].operands[index].role = .weights
        case .weights: steps[0].operands[index].role = .source
        default: break
        }
      }
      return (steps, size)
    case .copied: return try copiedProduct(description, layouts)
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
    let attributes = try PrimitiveAttributes(postOperations: layouts.postOperations)
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

  /// The product in the scratchpad, without gaps, and from there into dst.
  private static func copiedProduct(
    _ description: Description, _ layouts: Description.Layouts
  ) throws(OneDNNError) -> ([Step], Int) {
    let destination = layouts.destination
    var dense = layouts
    dense.destination = Layout(destination.dims, destination.dataType)
    var (steps, size) = try product(description, dense)
    let productOffset = aligned(size)
    for index in steps[0].operands.indices where steps[0].operands[index].role == .destination {
      steps[0].operands[index].role = .scratch
      steps[0].operands[index].offset = productOffset
    }
    let reorder = try Reorder(
      from: MemoryDescriptor(dense.destination), to: MemoryDescriptor(destination), "\(description)")
    size = productOffset + aligned(reorder.source.size)
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
}
