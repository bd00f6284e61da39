import COneDNN

/// Element types oneDNN computes with.
package enum DataType: Hashable, Sendable {
  case float32, bfloat16, float16, int32, int8, uint8

  var native: dnnl_data_type_t {
    switch self {
    case .float32: dnnl_f32
    case .bfloat16: dnnl_bf16
    case .float16: dnnl_f16
    case .int32: dnnl_s32
    case .int8: dnnl_s8
    case .uint8: dnnl_u8
    }
  }

  /// Bytes of one element.
  package var size: Int {
    switch self {
    case .float32, .int32: 4
    case .bfloat16, .float16: 2
    case .int8, .uint8: 1
    }
  }
}

/// The shape, element type and strides of an array: a description, no handle.
package struct Layout: Hashable, Sendable, CustomStringConvertible {
  package var dims: [Int]
  package var dataType: DataType
  /// In elements, one for each dimension; nil lets oneDNN choose.
  package var strides: [Int]?

  package init(_ dims: [Int], _ dataType: DataType, strides: [Int]?) {
    self.dims = dims
    self.dataType = dataType
    self.strides = strides
  }

  /// Row-major and contiguous.
  package init(_ dims: [Int], _ dataType: DataType) {
    self.init(dims, dataType, strides: Layout.rowMajorStrides(dims))
  }

  package static func rowMajorStrides(_ dims: [Int]) -> [Int] {
    var strides = dims
    var next = 1
    for axis in dims.indices.reversed() {
      strides[axis] = next
      next *= max(dims[axis], 1)
    }
    return strides
  }

  /// The same elements with the last two axes exchanged; nothing moves.
  var transposed: Layout {
    var result = self
    let last = dims.count - 1
    result.dims.swapAt(last, last - 1)
    result.strides?.swapAt(last, last - 1)
    return result
  }

  package var description: String {
    "\(dataType)\(dims)"
      + (strides.map { $0 == Layout.rowMajorStrides(dims) ? "" : " strides \($0)" } ?? " any")
  }
}

/// oneDNN's memory descriptor.
package final class MemoryDescriptor: Sendable {
  nonisolated(unsafe) let handle: odn_memory_desc

  init(_ layout: Layout) throws(OneDNNError) {
    let dims = layout.dims.map(Int64.init)
    let strides = layout.strides?.map(Int64.init)
    guard strides.map({ $0.count == dims.count }) ?? true else {
      throw OneDNNError(
        call: "odn_memory_desc_create", status: dnnl_invalid_arguments,
        request: "\(layout): \(dims.count) dimensions but \(strides!.count) strides")
    }
    handle = try created("dnnl_memory_desc_create", "\(layout)") {
      odn_memory_desc_create(&$0, Int32(dims.count), dims, layout.dataType.native, strides)
    }
  }

  /// Takes ownership of `handle`.
  init(owning handle: odn_memory_desc) { self.handle = handle }

  deinit { odn_memory_desc_destroy(handle) }

  /// Bytes a memory of this layout takes, padding included.
  package var size: Int { odn_memory_desc_size(handle) }

  static func == (a: MemoryDescriptor, b: MemoryDescriptor) -> Bool {
    odn_memory_desc_equal(a.handle, b.handle) != 0
  }
}

/// A descriptor with the address of the bytes it describes. It doesn't own them.
package final class Memory {
  let handle: dnnl_memory_t

  init(_ descriptor: MemoryDescriptor, at data: UnsafeMutableRawPointer?) throws(OneDNNError) {
    handle = try created("dnnl_memory_create", "\(descriptor.size) bytes") {
      odn_memory_create(&$0, descriptor.handle, Engine.shared.handle, data)
    }
  }

  deinit { dnnl_memory_destroy(handle) }

  func setData(_ data: UnsafeMutableRawPointer?) throws(OneDNNError) {
    try check(dnnl_memory_set_data_handle(handle, data), "dnnl_memory_set_data_handle", "a new address")
  }
}
