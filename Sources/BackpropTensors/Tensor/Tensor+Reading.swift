import CKernels

extension Tensor {
  /// The elements in row-major order, converted to `Element`'s dtype when they have another.
  ///
  /// Inside `compiled` there are none: the program stops with a message that says so.
  public func scalars<Element: TensorElement>(
    of type: Element.Type = Element.self, file: StaticString = #fileID, line: UInt = #line
  ) -> [Element] {
    let converted = dtype == Element.dtype ? self : cast(to: Element.dtype)
    let storage = converted.storage(file: file, line: line)
    return withExtendedLifetime(storage) {
      Array(
        UnsafeBufferPointer(
          start: storage.bytes.assumingMemoryBound(to: Element.self), count: shape.elementCount))
    }
  }

  /// The elements as float32.
  public var floats: [Float] { scalars(of: Float.self) }
  /// The elements as float64.
  public var doubles: [Double] { scalars(of: Double.self) }
  /// The elements as whole numbers; floats are cut towards zero.
  public var integers: [Int] { scalars(of: Int.self) }

  /// The one element of a tensor that has one.
  public func item(file: StaticString = #fileID, line: UInt = #line) -> Double {
    require(
      shape.elementCount == 1, "item() reads a tensor of one element; this one has shape \(shape)",
      file: file,
      line: line)
    return loadElement(0, from: storage(file: file, line: line).bytes, dtype: dtype)
  }

  /// Calls `body` with the elements' bytes, which are valid only during the call.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    let storage = storage()
    return try withExtendedLifetime(storage) {
      try body(UnsafeRawBufferPointer(start: storage.bytes, count: shape.elementCount * dtype.byteCount))
    }
  }
}

/// Element `index` of a buffer as a Double; exact but for int64 beyond 2^53.
package func loadElement(_ index: Int, from bytes: UnsafeRawPointer, dtype: DType) -> Double {
  let position = bytes + index * dtype.byteCount
  switch dtype {
  case .float32: return Double(position.load(as: Float.self))
  case .float64: return position.load(as: Double.self)
  case .bfloat16: return Double(Float(bitPattern: UInt32(position.load(as: UInt16.self)) << 16))
  case .float16: return Double(float(half: position.load(as: UInt16.self)))
  case .int8: return Double(position.load(as: Int8.self))
  case .int16: return Double(position.load(as: Int16.self))
  case .int32: return Double(position.load(as: Int32.self))
  case .int64: return Double(position.load(as: Int64.self))
  case .uint8: return Double(position.load(as: UInt8.self))
  case .bool: return position.load(as: UInt8.self) == 0 ? 0 : 1
  }
}

/// Stores `value`, converted as ``Tensor/cast(to:)`` does: floats to integers towards zero and to the nearest that fits.
package func storeElement(_ value: Double, at index: Int, in bytes: UnsafeMutableRawPointer, dtype: DType) {
  let position = bytes + index * dtype.byteCount
  switch dtype {
  case .float32: position.storeBytes(of: Float(value), as: Float.self)
  case .float64: position.storeBytes(of: value, as: Double.self)
  case .bfloat16, .float16:
    var value = value
    var copy = ck_copy()
    withUnsafePointer(to: &value) { source in
      copy.dst = position
      copy.src = UnsafeRawPointer(source)
      copy.dst_dtype = dtype.kernelCode
      copy.src_dtype = DType.float64.kernelCode
      copy.rank = 1
      copy.dims.0 = 1
      copy.src_strides.0 = 1
      copy.dst_strides.0 = 1
      ck_copy_run(&copy)
    }
  case .int8: position.storeBytes(of: saturated(value), as: Int8.self)
  case .int16: position.storeBytes(of: saturated(value), as: Int16.self)
  case .int32: position.storeBytes(of: saturated(value), as: Int32.self)
  case .int64: position.storeBytes(of: saturated(value), as: Int64.self)
  case .uint8: position.storeBytes(of: saturated(value), as: UInt8.self)
  case .bool: position.storeBytes(of: value == 0 ? 0 : 1, as: UInt8.self)
  }
}

private func saturated<Integer: FixedWidthInteger>(_ value: Double) -> Integer {
  if value.isNaN { return 0 }
  return Integer(exactly: value.rounded(.towardZero)) ?? (value < 0 ? .min : .max)
}

/// IEEE 754 binary16 to float32. `Float16` itself doesn't exist on every platform.
private func float(half bits: UInt16) -> Float {
  let sign: Float = bits & 0x8000 == 0 ? 1 : -1
  let exponent = Int(bits >> 10) & 0x1f
  let fraction = Float(bits & 0x3ff)
  switch exponent {
  case 0: return sign * fraction * 0x1p-24
  case 31: return fraction == 0 ? sign * .infinity : .nan
  default: return sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
  }
}
