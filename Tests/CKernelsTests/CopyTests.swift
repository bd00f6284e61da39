import CKernels
import Foundation
import Testing

private let dtypes: [(ck_dtype, String)] = [
  (CK_F32, "f32"), (CK_F64, "f64"), (CK_BF16, "bf16"), (CK_F16, "f16"), (CK_I8, "i8"), (CK_I16, "i16"),
  (CK_I32, "i32"), (CK_I64, "i64"), (CK_U8, "u8"), (CK_BOOL, "bool"),
]

/// bfloat16 from float32 by hand: the nearer of the two neighbours, the even one at a tie.
private func bfloat16(_ x: Float) -> UInt16 {
  if x.isNaN { return 0x7fc0 }
  let low = UInt16(x.bitPattern >> 16), rest = x.bitPattern & 0xffff
  return rest > 0x8000 || (rest == 0x8000 && low & 1 == 1) ? low + 1 : low
}
private func float(bfloat16 bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

/// An element: what it holds, exactly.
private enum Value: Equatable {
  case real(Double), integer(Int64)
  var double: Double {
    switch self {
    case .real(let x): x
    case .integer(let i): Double(i)
    }
  }
}

private func read(_ raw: UnsafeRawPointer, _ dtype: ck_dtype, _ i: Int) -> Value {
  func load<T>(_ type: T.Type) -> T {
    raw.loadUnaligned(fromByteOffset: i * MemoryLayout<T>.stride, as: type)
  }
  switch dtype {
  case CK_F32: return .real(Double(load(Float.self)))
  case CK_F64: return .real(load(Double.self))
  case CK_BF16: return .real(Double(float(bfloat16: load(UInt16.self))))
  case CK_F16: return .real(half(load(UInt16.self)))
  case CK_I8: return .integer(Int64(load(Int8.self)))
  case CK_I16: return .integer(Int64(load(Int16.self)))
  case CK_I32: return .integer(Int64(load(Int32.self)))
  case CK_I64: return .integer(load(Int64.self))
  default: return .integer(Int64(load(UInt8.self)))
  }
}

/// binary16 by its definition.
private func half(_ bits: UInt16) -> Double {
  let sign = bits & 0x8000 == 0 ? 1.0 : -1.0, exponent = Int(bits >> 10 & 31), fraction = Double(bits & 1023)
  if exponent == 31 { return fraction == 0 ? sign * .infinity : .nan }
  return exponent == 0
    ? sign * fraction * pow(2, -24) : sign * (1 + fraction / 1024) * pow(2, Double(exponent - 15))
}

/// The binary16 nearest to x, by search among the candidates (values are monotonic in their bits).
private func nearestHalf(_ x: Float) -> Double {
  if x.isNaN { return .nan }
  let magnitude = Double(abs(x)), sign = x.sign == .minus ? -1.0 : 1.0
  if magnitude >= 65_520 { return sign * .infinity }
  var low = 0, high = 0x7bff
  while low < high {
    let middle = (low + high + 1) / 2
    if half(UInt16(middle)) <= magnitude { low = middle } else { high = middle - 1 }
  }
  let below = half(UInt16(low)), above = low == 0x7bff ? 65_536 : half(UInt16(low + 1))
  let nearer =
    magnitude - below < above - magnitude || (magnitude - below == above - magnitude && low & 1 == 0)
  return sign * (nearer ? below : above)
}

private func saturated(_ x: Double, _ low: Int64, _ high: Int64) -> Int64 {
  x.isNaN ? 0 : x <= Double(low) ? low : x >= Double(high) ? high : Int64(x)
}

/// What a conversion must give.
private func converted(_ value: Value, to dtype: ck_dtype) -> Value {
  switch dtype {
  case CK_F64: return .real(value.double)
  case CK_F32: return .real(Double(narrowed(value)))
  case CK_BF16: return .real(Double(float(bfloat16: bfloat16(narrowed(value)))))
  case CK_F16: return .real(nearestHalf(narrowed(value)))
  case CK_BOOL: return .integer(value.double != 0 ? 1 : 0)
  default: break
  }
  switch value {
  case .real(let x):
    switch dtype {
    case CK_I8: return .integer(saturated(x, -128, 127))
    case CK_I16: return .integer(saturated(x, -32768, 32767))
    case CK_I32: return .integer(saturated(x, Int64(Int32.min), Int64(Int32.max)))
    case CK_U8: return .integer(saturated(x, 0, 255))
    default: return .integer(saturated(x, .min, .max))
    }
  case .integer(let i):
    switch dtype {
    case CK_I8: return .integer(Int64(Int8(truncatingIfNeeded: i)))
    case CK_I16: return .integer(Int64(Int16(truncatingIfNeeded: i)))
    case CK_I32: return .integer(Int64(Int32(truncatingIfNeeded: i)))
    case CK_U8: return .integer(Int64(UInt8(truncatingIfNeeded: i)))
    default: return value
    }
  }
}
private func narrowed(_ value: Value) -> Float {
  switch value {
  case .real(let x): Float(x)
  case .integer(let i): Float(i)
  }
}

/// Bytes of 203 elements that try a type's limits.
private func samples(_ dtype: ck_dtype) -> [UInt8] {
  func bytes<T>(_ values: [T]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }
  var reals: [Double] = [
    0, -0.0, 1, -1, 0.5, -1.5, 2.5, 127, 128, -128.9, 255, 256, 300, -1e3, 32768, 65504, 65519.99, 65520, 7e4,
    2_147_483_648, -3e9, 1e20, -1e20, .infinity, -.infinity, .nan, 6e-8, 3e-8, 2.9e-8, 6.1e-5, 1e-40,
    1.00390625,
    1.001953125, 1.005859375, 0.1,
  ]
  var numbers = Numbers(seed: 21)
  while reals.count < 203 { reals.append(Double(numbers.next()) * pow(2, Double(numbers.next() * 20))) }
  let integers = (0..<203).map { i in Int64(truncatingIfNeeded: i &* i &* 0x1234_5678_9abc &- 7 &* i) }
  switch dtype {
  case CK_F32: return bytes(reals.map(Float.init))
  case CK_F64: return bytes(reals)
  case CK_BF16: return bytes(reals.map { bfloat16(Float($0)) })
  case CK_F16: return bytes((0..<203).map { UInt16($0 * 322) })
  case CK_I8: return bytes(integers.map { Int8(truncatingIfNeeded: $0) })
  case CK_I16: return bytes(integers.map { Int16(truncatingIfNeeded: $0) })
  case CK_I32: return bytes(integers.map { Int32(truncatingIfNeeded: $0) })
  case CK_I64: return bytes(integers)
  case CK_U8: return bytes(integers.map { UInt8(truncatingIfNeeded: $0) })
  default: return bytes(integers.map { UInt8($0 & 1) })
  }
}

private func copy<T, U>(
  _ dst: Memory<T>, _ dstType: ck_dtype, _ dstStrides: [Int], from src: Memory<U>, _ srcType: ck_dtype,
  _ srcStrides: [Int], at first: Int = 0, dims: [Int]
) {
  var arguments = ck_copy()
  arguments.dst = UnsafeMutableRawPointer(dst.pointer)
  arguments.src = UnsafeRawPointer(src.pointer + first)
  arguments.dst_dtype = Int32(bitPattern: dstType.rawValue)
  arguments.src_dtype = Int32(bitPattern: srcType.rawValue)
  arguments.rank = Int32(dims.count)
  arguments.dims = six(dims)
  arguments.src_strides = six(srcStrides)
  arguments.dst_strides = six(dstStrides)
  ck_copy_run(&arguments)
  keep(dst, src)
}

extension Kernels {
  @Suite struct Copies {
    @Test("every type to every type", arguments: dtypes.indices) func casts(_ index: Int) {
      let (source, sourceName) = dtypes[index]
      let src = Memory(samples(source))
      forEachInstructionSet { set in
        for (destination, name) in dtypes {
          for step in [1, 2] {
            let dst = Memory<UInt8>(repeating: 0xEE, count: 203 * 8)
            let count = 203 / step
            copy(dst, destination, [1], from: src, source, [step], dims: [count])
            #expect(dst.isIntact)
            for i in 0..<count {
              let given = read(src.pointer, source, i * step), found = read(dst.pointer, destination, i)
              let expected = converted(given, to: destination)
              if found != expected && !(found.double.isNaN && expected.double.isNaN) {
                Issue.record("\(sourceName) \(given) to \(name) on \(set): \(found), not \(expected)")
                return
              }
            }
          }
        }
      }
    }

    @Test(
      "permuted dimensions",
      arguments: [
        ([3, 5], [1, 0]), ([64, 64], [1, 0]), ([65, 33], [1, 0]), ([7, 9, 11], [2, 1, 0]),
        ([4, 16, 24], [0, 2, 1]),
        ([17, 8, 5], [1, 2, 0]), ([300, 400], [1, 0]), ([2, 3, 4, 5, 6], [4, 2, 0, 3, 1]), ([6], [0]),
      ])
    func permutations(dims: [Int], order: [Int]) {
      let strides = rowMajor(dims), outDims = order.map { dims[$0] }, outStrides = order.map { strides[$0] }
      let count = dims.reduce(1, *), all = positions(outDims)
      forEachInstructionSet { set in
        let words = Memory((0..<count).map { Int32($0) }), bytes = Memory((0..<count).map { UInt8($0 & 255) })
        let doubles = Memory((0..<count).map { Double($0) })
        let (one, two) = onOneAndTwoThreads {
          let w = Memory<Int32>(repeating: -1, count: count), b = Memory<UInt8>(repeating: 1, count: count)
          let d = Memory<Double>(repeating: -1, count: count), f = Memory<Float>(repeating: -1, count: count)
          copy(w, CK_I32, rowMajor(outDims), from: words, CK_I32, outStrides, dims: outDims)
          copy(b, CK_U8, rowMajor(outDims), from: bytes, CK_U8, outStrides, dims: outDims)
          copy(d, CK_F64, rowMajor(outDims), from: doubles, CK_F64, outStrides, dims: outDims)
          copy(f, CK_F32, rowMajor(outDims), from: words, CK_I32, outStrides, dims: outDims)
          #expect(w.isIntact && b.isIntact && d.isIntact && f.isIntact)
          return (w.values, b.values, d.values, f.values)
        }
        let expected = all.map { offset($0, outStrides) }
        #expect(one == two)
        #expect(one.0 == expected.map(Int32.init), "\(set)")
        #expect(one.1 == expected.map { UInt8($0 & 255) })
        #expect(one.2 == expected.map(Double.init) && one.3 == expected.map(Float.init))
      }
    }

    @Test("reversed, repeated, spread out, big") func strides() {
      let count = 1000
      let x = Memory((0..<count).map(Float.init)), y = Memory<Float>(repeating: 0, count: count)
      copy(y, CK_F32, [1], from: x, CK_F32, [-1], at: count - 1, dims: [count])
      #expect(y.values == x.values.reversed())
      copy(y, CK_F32, [100, 1], from: x, CK_F32, [0, 1], dims: [10, 100])
      #expect(y.values == (0..<count).map { Float($0 % 100) })
      copy(y, CK_F32, [1, 10], from: x, CK_F32, [100, 1], dims: [10, 100])
      let columns = (0..<count).map { i in Float(i % 10 * 100 + i / 10) }
      #expect(y.values == columns)
      let big = Memory((0..<300_000).map { Int64($0) }), copied = Memory<Int64>(repeating: 0, count: 300_000)
      copy(copied, CK_I64, [1], from: big, CK_I64, [1], dims: [300_000])
      #expect(copied.values == big.values && copied.isIntact)
      copy(copied, CK_I64, [1], from: big, CK_I64, [1], dims: [0])
    }
  }
}
