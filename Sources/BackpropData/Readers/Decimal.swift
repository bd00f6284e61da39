/// Powers of ten that float64 holds exactly.
private let powersOfTen: [Double] = (0...22).map { exponent in
  (0..<exponent).reduce(1) { power, _ in power * 10 }
}

/// Reads a decimal number such as `42`, `-0.5`, `6.02e23`, `nan` or `-inf`, spaces and tabs around it allowed; nil for
/// anything else. Correctly rounded to float64.
@inline(__always)
func decimal(_ text: UnsafeBufferPointer<UInt8>) -> Double? {
  // One to three digits: all that pictures are made of.
  if (1...3).contains(text.count) {
    var value = 0
    for byte in text {
      let digit = Int(byte) - 0x30
      if digit < 0 || digit > 9 { return generalDecimal(text) }
      value = value * 10 + digit
    }
    return Double(value)
  }
  return generalDecimal(text)
}

@inline(never)
private func generalDecimal(_ text: UnsafeBufferPointer<UInt8>) -> Double? {
  func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
  var index = 0
  var end = text.count
  while index < end, isSpace(text[index]) { index += 1 }
  while end > index, isSpace(text[end - 1]) { end -= 1 }
  let trimmed = index..<end

  var isNegative = false
  if index < end, text[index] == 0x2D || text[index] == 0x2B {
    isNegative = text[index] == 0x2D
    index += 1
  }

  // All digits as one integer, and how often to divide it by ten.
  var mantissa: UInt64 = 0
  var digits = 0
  var decimals = 0
  var seenPoint = false
  var isExact = true
  scan: while index < end {
    switch text[index] {
    case let byte where byte &- 0x30 < 10:
      digits += 1
      if mantissa < (1 << 53) / 10 {
        mantissa = mantissa * 10 + UInt64(byte - 0x30)
        if seenPoint { decimals += 1 }
      } else {
        isExact = false
      }
    case 0x2E where !seenPoint: seenPoint = true
    default: break scan
    }
    index += 1
  }
  guard digits > 0 else { return isWord(text[index..<end]) ? standardDecimal(text[trimmed]) : nil }

  var exponent = 0
  if index < end, text[index] | 0x20 == 0x65 {
    index += 1
    var isNegative = false
    if index < end, text[index] == 0x2D || text[index] == 0x2B {
      isNegative = text[index] == 0x2D
      index += 1
    }
    let start = index
    while index < end, text[index] &- 0x30 < 10 {
      exponent = min(exponent * 10 + Int(text[index] - 0x30), 100_000)
      index += 1
    }
    guard index > start else { return nil }
    if isNegative { exponent = -exponent }
  }
  guard index == end else { return nil }

  // Both factors exact, so one rounding (Clinger 1990); everything else goes the standard library's way.
  let power = exponent - decimals
  guard isExact, abs(power) <= 22 else { return standardDecimal(text[trimmed]) }
  let magnitude = power < 0 ? Double(mantissa) / powersOfTen[-power] : Double(mantissa) * powersOfTen[power]
  return isNegative ? -magnitude : magnitude
}

/// nan, inf and infinity, in capitals or not.
private func isWord(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
  ["nan", "inf", "infinity"].contains(String(decoding: text, as: UTF8.self).lowercased())
}

private func standardDecimal(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Double? {
  Double(String(decoding: text, as: UTF8.self))
}
