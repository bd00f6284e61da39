import COneDNN

/// oneDNN's primitive descriptor: an operation for which an implementation was found.
final class PrimitiveDescriptor {
  let handle: dnnl_primitive_desc_t

  /// `create` is one of the `odn_…_primitive_desc_create` calls, `call` its name.
  init(
    _ call: String, _ request: @autoclosure () -> String,
    create: (inout dnnl_primitive_desc_t?) -> dnnl_status_t
  ) throws(OneDNNError) {
    handle = try created(call, request(), create)
  }

  deinit { dnnl_primitive_desc_destroy(handle) }

  /// The memory descriptor for a role such as `dnnl_query_weights_md`.
  func memory(_ role: dnnl_query_t, index: Int32 = 0) throws(OneDNNError) -> MemoryDescriptor {
    MemoryDescriptor(
      owning: try created("dnnl_primitive_desc_query_md", "memory descriptor \(role.rawValue)") {
        odn_primitive_desc_query_memory(&$0, handle, role, index)
      })
  }
}

/// Compiled code for one operation. It holds no data and may run on several threads at once, each with a scratchpad of
/// its own.
package final class Primitive: Sendable {
  nonisolated(unsafe) let handle: dnnl_primitive_t
  /// What oneDNN calls the implementation it chose, such as `brg:avx512_core`.
  package let implementation: String
  let scratchpad: MemoryDescriptor

  init(_ descriptor: PrimitiveDescriptor) throws(OneDNNError) {
    implementation = String(cString: odn_primitive_desc_implementation(descriptor.handle))
    scratchpad = try descriptor.memory(dnnl_query_scratchpad_md)
    let name = implementation
    handle = try created("dnnl_primitive_create", name) { dnnl_primitive_create(&$0, descriptor.handle) }
  }

  deinit { dnnl_primitive_destroy(handle) }

  /// Bytes of scratch memory an execution needs.
  package var scratchpadSize: Int { scratchpad.size }
}
