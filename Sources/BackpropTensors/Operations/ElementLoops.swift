/// Calls `body` with the position in the result and in each operand, for every element of `shape` in row-major order.
/// `strides` are one array for each operand, in elements.
@inline(__always)
package func forEachElement(
  of shape: Shape, strides: [[Int]], _ body: (_ position: Int, _ offsets: UnsafePointer<Int>) -> Void
) {
  let count = shape.elementCount
  guard count > 0 else { return }
  let rank = shape.rank
  var index = [Int](repeating: 0, count: rank)
  var offsets = [Int](repeating: 0, count: max(strides.count, 1))
  for position in 0..<count {
    offsets.withUnsafeBufferPointer { body(position, $0.baseAddress!) }
    var axis = rank - 1
    while axis >= 0 {
      index[axis] += 1
      for operand in strides.indices { offsets[operand] += strides[operand][axis] }
      if index[axis] < shape.dimensions[axis] { break }
      for operand in strides.indices { offsets[operand] -= strides[operand][axis] * shape.dimensions[axis] }
      index[axis] = 0
      axis -= 1
    }
  }
}

/// `output = function(input)`, element by element.
package func mapElements<A, R>(_ inputs: [Buffer], _ outputs: [Buffer], _ function: (A) -> R) {
  let source = inputs[0].elements(as: A.self)
  let target = outputs[0].elements(as: R.self)
  for position in 0..<target.count { target[position] = function(source[position]) }
}

/// `output = function(a, b)` with NumPy's broadcasting.
package func mapElements<A, R>(_ inputs: [Buffer], _ outputs: [Buffer], _ function: (A, A) -> R) {
  let (a, b) = (inputs[0].elements(as: A.self), inputs[1].elements(as: A.self))
  let target = outputs[0].elements(as: R.self)
  if inputs[0].shape == inputs[1].shape {
    for position in 0..<target.count { target[position] = function(a[position], b[position]) }
    return
  }
  let shape = outputs[0].shape
  let strides = inputs.map { $0.shape.broadcastStrides(to: shape) }
  forEachElement(of: shape, strides: strides) { position, offsets in
    target[position] = function(a[offsets[0]], b[offsets[1]])
  }
}

extension Tensor {
  /// Summed down to `shape`, which was broadcast to this tensor's: the gradient of broadcasting.
  package func summed(to shape: Shape) -> Tensor {
    if self.shape == shape { return self }
    let added = rank - shape.rank
    var axes = Array(0..<added)
    for axis in 0..<shape.rank where shape.dimensions[axis] == 1 && self.shape.dimensions[axis + added] != 1 {
      axes.append(axis + added)
    }
    let summed = axes.isEmpty ? self : sum(axes: axes, keepDims: true)
    return summed.reshaped(to: shape)
  }
}
