/// The first element that is NaN or infinite, with its position along the first axis.
package func firstNotFinite(_ tensor: Tensor) -> (row: Int, value: String)? {
  guard tensor.dtype.isFloatingPoint, tensor.count > 0 else { return nil }
  let row = max(tensor.count / max(tensor.shape.dimensions.first ?? 1, 1), 1)
  guard let position = firstNotFinitePosition(tensor) else { return nil }
  return tensor.withUnsafeBytes { bytes in
    let value = loadElement(position, from: bytes.baseAddress!, dtype: tensor.dtype)
    // Not every NaN prints alike: its sign bit says nothing.
    return (position / row, value.isNaN ? "nan" : "\(value)")
  }
}

/// The position of the first element that is NaN or infinite.
package func firstNotFinitePosition(_ tensor: Tensor) -> Int? {
  switch tensor.dtype {
  case .float32:
    // An exponent of all ones says so; whole blocks are looked at as integers, which the compiler makes vectors of.
    return tensor.withUnsafeBytes {
      firstWithExponent(0x7f80_0000 as UInt32, in: $0.bindMemory(to: UInt32.self))
    }
  case .float64:
    return tensor.withUnsafeBytes {
      firstWithExponent(0x7ff0_0000_0000_0000 as UInt64, in: $0.bindMemory(to: UInt64.self))
    }
  case .float16:
    return tensor.withUnsafeBytes { firstWithExponent(0x7c00 as UInt16, in: $0.bindMemory(to: UInt16.self)) }
  case .bfloat16:
    return tensor.withUnsafeBytes { firstWithExponent(0x7f80 as UInt16, in: $0.bindMemory(to: UInt16.self)) }
  case .int8, .int16, .int32, .int64, .uint8, .bool: return nil
  }
}

@inline(__always)
private func firstWithExponent<Bits: FixedWidthInteger>(_ exponent: Bits, in bits: UnsafeBufferPointer<Bits>)
  -> Int?
{
  let block = 4096
  var start = 0
  while start < bits.count {
    let end = min(start + block, bits.count)
    var isBad: Bits = 0
    for position in start..<end { isBad |= (bits[position] & exponent) == exponent ? 1 : 0 }
    if isBad != 0 { return (start..<end).first { bits[$0] & exponent == exponent } }
    start = end
  }
  return nil
}
