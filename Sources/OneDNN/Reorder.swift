import COneDNN

/// Copies an array into another layout or element type.
package final class Reorder: Sendable {
  package let primitive: Primitive
  let source: MemoryDescriptor
  let destination: MemoryDescriptor

  package struct Description: Hashable, Sendable, CustomStringConvertible {
    package var source: Layout
    package var destination: Layout

    package init(source: Layout, destination: Layout) {
      self.source = source
      self.destination = destination
    }

    package var description: String { "reorder \(source) → \(destination)" }
  }

  private static let cache = PrimitiveCache<Description, Reorder>(capacity: 256)

  package static func primitive(for description: Description) throws(OneDNNError) -> Reorder {
    try cache.value(for: description, threads: 1) { () throws(OneDNNError) -> Reorder in
      try forOneThread { () throws(OneDNNError) -> Reorder in
        try Reorder(
          from: MemoryDescriptor(description.source), to: MemoryDescriptor(description.destination),
          "\(description)")
      }
    }
  }

  /// From and to any layouts, those oneDNN chose for another primitive included. With `adding` the destination's former
  /// values are added.
  init(
    from source: MemoryDescriptor, to destination: MemoryDescriptor, _ request: @autoclosure () -> String,
    adding: Bool = false
  ) throws(OneDNNError) {
    self.source = source
    self.destination = destination
    let attributes = try PrimitiveAttributes(postOperations: adding ? [.sum()] : [])
    let descriptor = try PrimitiveDescriptor("dnnl_reorder_primitive_desc_create", request()) {
      odn_reorder_primitive_desc_create(
        &$0, Engine.shared.handle, source.handle, destination.handle, attributes.handle)
    }
    primitive = try Primitive(descriptor)
  }

  package var scratchpadSize: Int { primitive.scratchpadSize }
  package var implementation: String { primitive.implementation }

  func stage(from source: Memory, to destination: Memory, scratchpad: UnsafeMutableRawPointer?)
    throws(OneDNNError) -> Execution.Stage
  {
    Execution.Stage(
      primitive: primitive,
      arguments: [
        (DNNL_ARG_FROM, source), (DNNL_ARG_TO, destination),
        (DNNL_ARG_SCRATCHPAD, try Memory(primitive.scratchpad, at: scratchpad)),
      ])
  }

  /// Binds the reorder to addresses. `scratchpad` has `scratchpadSize` bytes and may be nil when that is 0.
  package func bind(
    source: UnsafeMutableRawPointer, destination: UnsafeMutableRawPointer,
    scratchpad: UnsafeMutableRawPointer? = nil, failure: Execution.Failure = .init()
  ) throws(OneDNNError) -> Execution {
    let stage = try stage(
      from: Memory(self.source, at: source), to: Memory(self.destination, at: destination),
      scratchpad: scratchpad)
    return Execution([stage], failure: failure)
  }
}
