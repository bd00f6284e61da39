import COneDNN

/// An element-wise function oneDNN can apply to a result before it is stored.
package enum Eltwise: Hashable, Sendable {
  /// `negativeSlope` 0 is the plain one.
  case relu(negativeSlope: Float = 0)
  case tanh
  case logistic
  case elu(alpha: Float)
  case geluErf
  case geluTanh
  /// x · logistic(x)
  case swish
  /// log(1 + eˣ)
  case softplus
  /// alpha · x + beta
  case linear(alpha: Float, beta: Float)

  /// oneDNN's algorithm with its two parameters.
  var native: (kind: dnnl_alg_kind_t, alpha: Float, beta: Float) {
    switch self {
    case .relu(let slope): (dnnl_eltwise_relu, slope, 0)
    case .tanh: (dnnl_eltwise_tanh, 0, 0)
    case .logistic: (dnnl_eltwise_logistic, 0, 0)
    case .elu(let alpha): (dnnl_eltwise_elu, alpha, 0)
    case .geluErf: (dnnl_eltwise_gelu_erf, 0, 0)
    case .geluTanh: (dnnl_eltwise_gelu_tanh, 0, 0)
    case .swish: (dnnl_eltwise_swish, 1, 0)
    case .softplus: (dnnl_eltwise_soft_relu, 1, 0)
    case .linear(let alpha, let beta): (dnnl_eltwise_linear, alpha, beta)
    }
  }
}

/// What is done to a result before it is stored, in order.
package enum PostOperation: Hashable, Sendable {
  /// Adds `scale` times what the destination held.
  case sum(scale: Float = 1)
  case eltwise(Eltwise)
  /// Combines the result with another array of the result's rank, each dimension the result's or 1.
  case binary(Binary, Layout)

  package enum Binary: Hashable, Sendable {
    case add, multiply

    var native: dnnl_alg_kind_t {
      switch self {
      case .add: dnnl_binary_add
      case .multiply: dnnl_binary_mul
      }
    }
  }
}

/// oneDNN's primitive attributes: post-operations, and a scratchpad that the caller provides.
final class PrimitiveAttributes {
  let handle: dnnl_primitive_attr_t
  /// Descriptors of the operands of binary post-operations: position among the post-operations and layout.
  let operands: [(position: Int, descriptor: MemoryDescriptor)]

  init(postOperations: [PostOperation] = []) throws(OneDNNError) {
    handle = try created("dnnl_primitive_attr_create", "attributes") { dnnl_primitive_attr_create(&$0) }
    // From here on deinit frees `handle`, so nothing that throws may come before all properties are set.
    var operands: [(position: Int, descriptor: MemoryDescriptor)] = []
    do {
      for (position, operation) in postOperations.enumerated() {
        if case .binary(_, let layout) = operation {
          operands.append((position, try MemoryDescriptor(layout)))
        }
      }
    } catch {
      dnnl_primitive_attr_destroy(handle)
      throw error
    }
    self.operands = operands
    try check(
      dnnl_primitive_attr_set_scratchpad_mode(handle, dnnl_scratchpad_mode_user),
      "dnnl_primitive_attr_set_scratchpad_mode", "a scratchpad of the caller's")
    if !postOperations.isEmpty { try append(postOperations) }
  }

  deinit { dnnl_primitive_attr_destroy(handle) }

  private func append(_ operations: [PostOperation]) throws(OneDNNError) {
    let list: dnnl_post_ops_t = try created("dnnl_post_ops_create", "post-operations") {
      dnnl_post_ops_create(&$0)
    }
    defer { dnnl_post_ops_destroy(list) }
    for (position, operation) in operations.enumerated() {
      switch operation {
      case .sum(let scale):
        try check(odn_post_ops_append_sum(list, scale), "dnnl_post_ops_append_sum", "scale \(scale)")
      case .eltwise(let function):
        let native = function.native
        try check(
          odn_post_ops_append_eltwise(list, native.kind, native.alpha, native.beta),
          "dnnl_post_ops_append_eltwise",
          "\(function)")
      case .binary(let kind, let layout):
        let operand = operands.first { $0.position == position }!
        try check(
          odn_post_ops_append_binary(list, kind.native, operand.descriptor.handle),
          "dnnl_post_ops_append_binary",
          "\(kind) with \(layout)")
      }
    }
    try check(
      dnnl_primitive_attr_set_post_ops(handle, list), "dnnl_primitive_attr_set_post_ops", "\(operations)")
  }
}
