import CKernels

/// Elements copied from one strided view to another.
struct StridedCopy {
  var source: Buffer
  var strides: [Int]
  var offset: Int
  var target: Buffer
  var shape: Shape
  var targetStrides: [Int]
  var targetOffset: Int

  init(
    from source: Buffer, strides: [Int], offset: Int, to target: Buffer, shape: Shape, targetStrides: [Int],
    targetOffset: Int
  ) {
    self.source = source
    self.strides = strides
    self.offset = offset
    self.target = target
    self.shape = shape
    self.targetStrides = targetStrides
    self.targetOffset = targetOffset
  }

  func reference() {
    let size = source.dtype.byteCount
    forEachElement(of: shape, strides: [strides, targetStrides]) { _, offsets in
      let from = source.bytes + (offset + offsets[0]) * size
      (target.bytes + (targetOffset + offsets[1]) * size).copyMemory(from: from, byteCount: size)
    }
  }

  /// nil: too many axes for the C kernel even after joining those that step alike.
  func kernel(_ name: String, keeping other: AnyObject? = nil) -> BoundKernel? {
    var joined = JoinedAxes(shape: shape, strides: [strides, targetStrides])
    if joined.sizes.isEmpty { joined.sizes = [1]; joined.strides = [[1], [1]] }
    guard joined.sizes.count <= Int(CK_MAX_DIMS) else { return nil }
    let size = source.dtype.byteCount
    var copy = ck_copy()
    copy.dst = target.bytes + targetOffset * size
    copy.src = UnsafeRawPointer(source.bytes + offset * size)
    copy.dst_dtype = target.dtype.kernelCode
    copy.src_dtype = source.dtype.kernelCode
    copy.rank = Int32(joined.sizes.count)
    fill(&copy.dims, joined.sizes)
    fill(&copy.src_strides, joined.strides[0])
    fill(&copy.dst_strides, joined.strides[1])
    return BoundKernel(name, copy, keeping: other, run: ck_copy_run)
  }
}

/// A shape with neighbouring axes joined where every operand steps through them alike, and axes of 1 left out.
struct JoinedAxes {
  var sizes: [Int] = []
  var strides: [[Int]]
  /// Which of the given axes each joined one holds.
  var members: [[Int]] = []

  /// Axes are joined only with others of the same `group`.
  init(shape: Shape, strides given: [[Int]], groups: [Int]? = nil) {
    strides = given.map { _ in [] }
    for axis in 0..<shape.rank where shape.dimensions[axis] != 1 {
      let size = shape.dimensions[axis]
      let sameGroup = members.last.map { groups == nil || groups![$0[0]] == groups![axis] } ?? false
      let joins = sameGroup && given.indices.allSatisfy { strides[$0].last! == given[$0][axis] * size }
      if joins {
        sizes[sizes.count - 1] *= size
        for operand in given.indices { strides[operand][sizes.count - 1] = given[operand][axis] }
        members[sizes.count - 1].append(axis)
      } else {
        sizes.append(size)
        for operand in given.indices { strides[operand].append(given[operand][axis]) }
        members.append([axis])
      }
    }
  }
}

/// Fills a fixed-size C array, imported as a tuple.
func fill<Tuple>(_ tuple: inout Tuple, _ values: [Int]) {
  withUnsafeMutableBytes(of: &tuple) { bytes in
    let places = bytes.bindMemory(to: Int64.self)
    for (position, value) in values.enumerated() { places[position] = Int64(value) }
  }
}

extension BoundKernel {
  /// Several kernels as one.
  package init(_ implementation: String, inOrder kernels: [BoundKernel]) {
    let calls = UnsafeMutablePointer<ck_call>.allocate(capacity: kernels.count)
    calls.initialize(from: kernels.map(\.call), count: kernels.count)
    let owners = CallList(calls, kernels.map(\.owner))
    self.init(
      implementation, CallList.Arguments(calls: calls, count: Int64(kernels.count)), keeping: owners,
      run: { context in
        let arguments = context!.assumingMemoryBound(to: CallList.Arguments.self).pointee
        ck_run(arguments.calls, arguments.count)
      })
  }
}

private final class CallList {
  struct Arguments {
    var calls: UnsafeMutablePointer<ck_call>
    var count: Int64
  }

  let calls: UnsafeMutablePointer<ck_call>
  let owners: [AnyObject?]

  init(_ calls: UnsafeMutablePointer<ck_call>, _ owners: [AnyObject?]) {
    self.calls = calls
    self.owners = owners
  }

  deinit { calls.deallocate() }
}
