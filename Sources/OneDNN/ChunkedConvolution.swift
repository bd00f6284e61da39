import CKernels
import COneDNN

/// A convolution over a few images at a time, with a kernel of the caller's over the same images in between: after each
/// forward product, or before each product by weights. Its result, or its gradient, is made and used while it is in the
/// second-level cache, and takes the memory of a few images.
package final class ChunkedConvolution: Sendable {
  /// Images of each chunk of each lane; the lanes don't depend on each other.
  let lanes: [[Range<Int>]]
  private let description: Convolution.Description
  private let primitives: [Int: Convolution]
  /// Plain weights to the primitives', or back.
  private let reorder, addingReorder: Reorder?
  private let weightBytes, imageBytes, laneScratch: Int
  package let scratchpadSize: Int

  /// Bytes of the results of one chunk: with what is read beside them they stay in the second-level cache.
  private static let chunkBytes = 384 << 10

  private static let cache = PrimitiveCache<Convolution.Description, ChunkedConvolution>(capacity: 64)

  package static func primitive(for description: Convolution.Description, threads: Int) throws(OneDNNError)
    -> ChunkedConvolution
  {
    try cache.value(for: description, threads: threads) { () throws(OneDNNError) -> ChunkedConvolution in
      try forOneThread { () throws(OneDNNError) -> ChunkedConvolution in
        try ChunkedConvolution(description, threads: threads)
      }
    }
  }

  init(_ description: Convolution.Description, threads: Int) throws(OneDNNError) {
    self.description = description
    imageBytes = description.output.reduce(description.outputChannels * 4, *)
    let size = max(1, Self.chunkBytes / imageBytes)
    lanes = description.images(threads: threads).map { part in
      stride(from: part.lowerBound, to: part.upperBound, by: size).map {
        $0..<min($0 + size, part.upperBound)
      }
    }
    var primitives: [Int: Convolution] = [:]
    for chunk in lanes.joined() where primitives[chunk.count] == nil {
      var few = description
      few.batch = chunk.count
      // The weights as the first size of chunks wants them.
      primitives[chunk.count] = try Convolution(
        few, threads: 1, weights: primitives.values.first?.weights)
    }
    self.primitives = primitives
    let one = primitives.values.first!
    let isForward = description.direction == .forward
    let name = "weights of \(description)"
    reorder = isForward ? one.reorder : try Reorder(from: one.weights, to: one.plainWeights, name)
    addingReorder =
      isForward || lanes.count == 1
      ? nil : try Reorder(from: one.weights, to: one.plainWeights, name, adding: true)
    weightBytes = aligned(one.weights.size)
    let working = primitives.values.flatMap(\.primitives).map(\.scratchpadSize).max() ?? 0
    let chunk = lanes.joined().map(\.count).max() ?? 0
    // Of a lane: the results of a chunk, working memory, and by weights its sum and what is to be added to it.
    laneScratch = aligned(chunk * imageBytes) + aligned(working) + (isForward ? 0 : 2 * weightBytes)
    let reorders = [reorder, addingReorder].compactMap { $0?.scratchpadSize }.max() ?? 0
    scratchpadSize = aligned(reorders) + (isForward ? weightBytes : 0) + lanes.count * laneScratch
  }

  package var implementation: String {
    "\(lanes.count) × \(lanes[0].count) chunks \(primitives.values.first!.primitives[0].implementation)"
  }

  /// Everything bound to addresses. `beside` gives the caller's kernel for some images: the memory is that of their
  /// results, from the first one on.
  package func bind(
    source: UnsafeMutableRawPointer, weights: UnsafeMutableRawPointer, bias: UnsafeMutableRawPointer?,
    scratchpad: UnsafeMutableRawPointer, failure: Execution.Failure,
    beside: (_ images: Range<Int>, _ results: UnsafeMutableRawPointer) -> (call: ck_call, owner: AnyObject?)
  ) throws(OneDNNError) -> ExecutionSequence {
    let isForward = description.direction == .forward
    let reorders = [reorder, addingReorder].compactMap { $0?.scratchpadSize }.max() ?? 0
    var next = scratchpad + aligned(reorders)
    var executions: [Execution] = []
    var primitiveWeights = weights
    if isForward {
      if let reorder {
        primitiveWeights = next
        executions.append(try reorder.execution(from: weights, to: next, scratchpad: scratchpad, failure))
      }
      next += weightBytes
    }
    let sourceBytes = description.input.reduce(description.inputChannels * 4, *)
    let length = lanes.map(\.count).max() ?? 0
    var stages: [Execution.Stage] = []
    var sums: [UnsafeMutableRawPointer] = []
    for lane in lanes {
      let results = next
      let working = results + aligned((lane.map(\.count).max() ?? 0) * imageBytes)
      let sum = next + laneScratch - 2 * weightBytes
      next += laneScratch
      sums.append(sum)
      for (number, images) in lane.enumerated() {
        let other = beside(images, results)
        let call = Execution.Stage(call: other.call, owner: other.owner)
        let primitive = primitives[images.count]!
        let from = source + images.lowerBound * sourceBytes
        if isForward {
          stages.append(
            try primitive.stage(
              0, source: from, weights: primitiveWeights, bias: bias, destination: results,
              scratchpad: working))
          stages.append(call)
        } else {
          let target = number == 0 ? sum : sum + weightBytes
          stages.append(call)
          stages.append(
            try primitive.stage(
              0, source: from, weights: target, bias: nil, destination: results, scratchpad: working))
          stages.append(number == 0 ? .init(call: nil, owner: nil) : addition(to: sum))
        }
      }
      // Lanes are of equal length.
      let perChunk = isForward ? 2 : 3
      for _ in 0..<(length - lane.count) * perChunk { stages.append(.init(call: nil, owner: nil)) }
    }
    executions.append(Execution(stages, lanes: lanes.count, failure: failure))
    if !isForward {
      executions.append(try reorder!.execution(from: sums[0], to: weights, scratchpad: scratchpad, failure))
      for sum in sums.dropFirst() {
        executions.append(
          try addingReorder!.execution(from: sum, to: weights, scratchpad: scratchpad, failure))
      }
    }
    return ExecutionSequence(executions, failure: failure)
  }

  /// Adds what a chunk gave to its lane's sum.
  private func addition(to sum: UnsafeMutableRawPointer) -> Execution.Stage {
    let count = primitives.values.first!.weights.size / MemoryLayout<Float>.size
    let box = AdditionBox(
      odn_addition(
        sum: sum.assumingMemoryBound(to: Float.self),
        addend: UnsafePointer((sum + weightBytes).assumingMemoryBound(to: Float.self)), count: Int64(count)))
    return Execution.Stage(call: ck_call(run: odn_addition_run, context: box.pointer), owner: box)
  }
}

private final class AdditionBox {
  let pointer: UnsafeMutablePointer<odn_addition>

  init(_ addition: odn_addition) {
    pointer = .allocate(capacity: 1)
    pointer.initialize(to: addition)
  }

  deinit { pointer.deallocate() }
}
