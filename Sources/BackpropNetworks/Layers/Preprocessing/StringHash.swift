/// Hashes of bytes that give the same numbers everywhere, those of Keras' `Hashing`.
enum StringHash {
  /// FarmHash's Fingerprint64, which TensorFlow takes for its fast buckets. Source: the specification by code in
  /// FarmHash's `farmhashna` (Google, 2014).
  static func farmFingerprint(_ bytes: [UInt8]) -> UInt64 {
    let s = Bytes(bytes)
    switch bytes.count {
    case 0...16: return s.upTo16()
    case 17...32: return s.upTo32()
    case 33...64: return s.upTo64()
    default: return s.long()
    }
  }

  /// SipHash-2-4 (Aumasson and Bernstein, 2012): nobody who doesn't know the key can make strings meet.
  static func sip(_ bytes: [UInt8], key: (UInt64, UInt64)) -> UInt64 {
    var v: (UInt64, UInt64, UInt64, UInt64) = (
      key.0 ^ 0x736f_6d65_7073_6575, key.1 ^ 0x646f_7261_6e64_6f6d, key.0 ^ 0x6c79_6765_6e65_7261,
      key.1 ^ 0x7465_6462_7974_6573
    )
    func left(_ x: UInt64, _ n: UInt64) -> UInt64 { x << n | x >> (64 - n) }
    func round() {
      v.0 &+= v.1
      v.1 = left(v.1, 13) ^ v.0
      v.0 = left(v.0, 32)
      v.2 &+= v.3
      v.3 = left(v.3, 16) ^ v.2
      v.0 &+= v.3
      v.3 = left(v.3, 21) ^ v.0
      v.2 &+= v.1
      v.1 = left(v.1, 17) ^ v.2
      v.2 = left(v.2, 32)
    }
    let s = Bytes(bytes)
    let whole = bytes.count / 8 * 8
    var words = stride(from: 0, to: whole, by: 8).map { s.word($0) }
    var last = UInt64(bytes.count & 0xff) << 56
    for (place, byte) in bytes[whole...].enumerated() { last |= UInt64(byte) << UInt64(8 * place) }
    words.append(last)
    for word in words {
      v.3 ^= word
      round()
      round()
      v.0 ^= word
    }
    v.2 ^= 0xff
    for _ in 0..<4 { round() }
    return v.0 ^ v.1 ^ v.2 ^ v.3
  }
}

/// The parts of Fingerprint64; names are those of the original.
private struct Bytes {
  private let bytes: [UInt8]
  private let k0: UInt64 = 0xc3a5_c85c_97cb_3127
  private let k1: UInt64 = 0xb492_b66f_be98_f273
  private let k2: UInt64 = 0x9ae1_6a3b_2f90_404f

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private var count: Int { bytes.count }

  /// Eight bytes, the lowest first.
  func word(_ place: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) }
  }

  private func half(_ place: Int) -> UInt64 {
    (0..<4).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) }
  }

  private func right(_ x: UInt64, _ n: UInt64) -> UInt64 { x >> n | x << (64 - n) }
  private func shiftMix(_ x: UInt64) -> UInt64 { x ^ x >> 47 }

  private func hash16(_ u: UInt64, _ v: UInt64, _ mul: UInt64) -> UInt64 {
    let a = shiftMix((u ^ v) &* mul)
    return shiftMix((v ^ a) &* mul) &* mul
  }

  private var mul: UInt64 { k2 &+ UInt64(count) &* 2 }

  func upTo16() -> UInt64 {
    if count >= 8 {
      let a = word(0) &+ k2
      let b = word(count - 8)
      let c = right(b, 37) &* mul &+ a
      let d = (right(a, 25) &+ b) &* mul
      return hash16(c, d, mul)
    }
    if count >= 4 { return hash16(UInt64(count) &+ half(0) << 3, half(count - 4), mul) }
    guard count > 0 else { return k2 }
    let y = UInt64(bytes[0]) &+ UInt64(bytes[count >> 1]) << 8
    let z = UInt64(count) &+ UInt64(bytes[count - 1]) << 2
    return shiftMix(y &* k2 ^ z &* k0) &* k2
  }

  func upTo32() -> UInt64 {
    let a = word(0) &* k1
    let b = word(8)
    let c = word(count - 8) &* mul
    let d = word(count - 16) &* k2
    let first = right(a &+ b, 43) &+ right(c, 30) &+ d
    return hash16(first, a &+ right(b &+ k2, 18) &+ c, mul)
  }

  func upTo64() -> UInt64 {
    let a = word(0) &* k2
    let b = word(8)
    let c = word(count - 8) &* mul
    let d = word(count - 16) &* k2
    let y = right(a &+ b, 43) &+ right(c, 30) &+ d
    let z = hash16(y, a &+ right(b &+ k2, 18) &+ c, mul)
    let e = word(16) &* mul
    let f = word(24)
    let g = (y &+ word(count - 32)) &* mul
    let h = (z &+ word(count - 24)) &* mul
    let first = right(e &+ f, 43) &+ right(g, 30) &+ h
    return hash16(first, e &+ right(f &+ a, 18) &+ g, mul)
  }

  private typealias Pair = (first: UInt64, second: UInt64)

  /// 32 bytes mixed into two words.
  private func weak(_ place: Int, _ a: UInt64, _ b: UInt64) -> Pair {
    let (w, x, y, z) = (word(place), word(place + 8), word(place + 16), word(place + 24))
    var a = a &+ w
    var b = right(b &+ a &+ z, 21)
    let c = a
    a = a &+ x &+ y
    b = b &+ right(a, 44)
    return (a &+ z, b &+ c)
  }

  func long() -> UInt64 {
    let seed: UInt64 = 81
    var x = seed &* k2 &+ word(0)
    var y = seed &* k1 &+ 113
    var z = shiftMix(y &* k2 &+ 113) &* k2
    var v: Pair = (0, 0)
    var w: Pair = (0, 0)

    func mix(_ place: Int, _ mul: UInt64, _ share: UInt64) {
      x = right(x &+ y &+ v.first &+ word(place + 8), 37) &* mul
      y = right(y &+ v.second &+ word(place + 48), 42) &* mul
      x ^= w.second &* share
      y = y &+ v.first &* share &+ word(place + 40)
      z = right(z &+ w.first, 33) &* mul
      v = weak(place, v.second &* mul, x &+ w.first)
      w = weak(place + 32, z &+ w.second, y &+ word(place + 16))
      swap(&z, &x)
    }

    let end = (count - 1) / 64 * 64
    for place in stride(from: 0, to: end, by: 64) { mix(place, k1, 1) }
    // The last 64 bytes, some of them for the second time.
    let mul = k1 &+ (z & 0xff) << 1
    w.first = w.first &+ UInt64((count - 1) & 63)
    v.first = v.first &+ w.first
    w.first = w.first &+ v.first
    mix(count - 64, mul, 9)
    let first = hash16(v.first, w.first, mul) &+ shiftMix(y) &* k0 &+ z
    return hash16(first, hash16(v.second, w.second, mul) &+ x, mul)
  }
}
