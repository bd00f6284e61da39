import Foundation

/// Numbers as NumPy writes them.
enum ScalarFormat {
  /// One element by itself, with all the digits that it takes to read it back.
  static func text(_ tensor: Tensor, at place: Int) -> String {
    switch tensor.dtype {
    case .bool: return tensor.item() == 0 ? "False" : "True"
    case let dtype where dtype.isInteger: return String(wholes(tensor, at: [place])[0])
    default:
      let number = Decimals(tensor, at: place)
      guard number.value.isFinite else { return special(number.value) }
      let size = Swift.abs(number.value)
      let limit = tensor.dtype == .float64 ? 1e16 : scientificLimit(tensor.dtype)
      if size == 0 || (1e-4..<limit).contains(size) {
        let (whole, fraction) = number.positional(precision: .max)
        return whole + "." + (fraction.isEmpty ? "0" : fraction)
      }
      let (whole, fraction, exponent) = number.scientific(precision: .max)
      return whole + (fraction.isEmpty ? "" : "." + fraction) + "e" + exponentText(exponent, digits: 2)
    }
  }

  /// The elements at `places`, all of one width, in the format that suits them together.
  static func aligned(_ tensor: Tensor, at places: [Int]) -> [String] {
    switch tensor.dtype {
    case .bool:
      let bytes = tensor.scalars(of: Bool.self)
      return places.map { bytes[$0] ? " True" : "False" }
    case let dtype where dtype.isInteger:
      let texts = wholes(tensor, at: places).map { String($0) }
      let width = texts.map(\.count).max() ?? 0
      return texts.map { $0.paddedLeft(to: width) }
    default: return floats(places.map { Decimals(tensor, at: $0) }, tensor.dtype)
    }
  }

  private static func wholes(_ tensor: Tensor, at places: [Int]) -> [Int] {
    let elements = tensor.integers
    return places.map { elements[$0] }
  }

  private static func special(_ value: Double) -> String { value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }

  private static func exponentText(_ exponent: Int, digits: Int) -> String {
    let size = String(Swift.abs(exponent))
    return (exponent < 0 ? "-" : "+") + String(repeating: "0", count: max(0, digits - size.count)) + size
  }

  /// Numbers from here on have more digits before the point than the dtype tells apart.
  private static func scientificLimit(_ dtype: DType) -> Double {
    switch dtype {
    case .bfloat16: 1e2
    case .float16: 1e3
    case .float32: 1e6
    default: 1e8
    }
  }

  /// NumPy's rule (2.3 and later): scientific when the largest reaches the limit, the smallest is below 10⁻⁴, or they are
  /// more than a thousandfold apart; at most eight digits after the point.
  private static func floats(_ numbers: [Decimals], _ dtype: DType) -> [String] {
    let precision = 8
    let finite = numbers.filter(\.value.isFinite)
    let sizes = finite.map { Swift.abs($0.value) }.filter { $0 != 0 }
    let largest = sizes.max() ?? 0
    let smallest = sizes.min() ?? 0
    let isDouble = dtype == .float64
    // In the dtype's own arithmetic: 10⁻⁴ as float32 is less than 10⁻⁴.
    let isTiny = isDouble ? smallest < 1e-4 : Float(smallest) < 1e-4
    let isWide = isDouble ? largest / smallest > 1000 : Float(largest) / Float(smallest) > 1000
    let isScientific = !sizes.isEmpty && (largest >= scientificLimit(dtype) || isTiny || isWide)
    var left: Int
    let right: Int
    let text: (Decimals) -> String
    if isScientific {
      let parts = finite.map { $0.scientific(precision: precision) }
      let digits = parts.map(\.fraction.count).max() ?? 0
      let exponentDigits = max(2, parts.map { String(Swift.abs($0.exponent)).count }.max() ?? 0)
      left = parts.map(\.whole.count).max() ?? 0
      right = digits + exponentDigits + 2
      text = { number in
        let (whole, fraction, exponent) = number.scientific(exactly: digits)
        return "\(whole).\(fraction)e" + exponentText(exponent, digits: exponentDigits)
      }
    } else {
      let parts = finite.map { $0.positional(precision: precision) }
      left = parts.map(\.whole.count).max() ?? 0
      right = parts.map(\.fraction.count).max() ?? 0
      text = { number in
        let (whole, fraction) = number.positional(precision: precision)
        return "\(whole).\(fraction)" + String(repeating: " ", count: right - fraction.count)
      }
    }
    for number in numbers where !number.value.isFinite {
      left = max(left, special(number.value).count - right - 1)
    }
    let width = left + right + 1
    return numbers.map { ($0.value.isFinite ? text($0) : special($0.value)).paddedLeft(to: width) }
  }
}

extension String {
  fileprivate func paddedLeft(to width: Int) -> String {
    String(repeating: " ", count: max(0, width - count)) + self
  }
}

/// A floating-point number with the fewest decimal digits that tell it from its neighbours in its dtype.
private struct Decimals {
  let value: Double
  /// 0.d₁d₂d₃… × 10^point
  private let digits: [UInt8]
  private let point: Int

  init(_ tensor: Tensor, at place: Int) {
    let storage = tensor.storage()
    value = loadElement(place, from: storage.bytes, dtype: tensor.dtype)
    guard value.isFinite else {
      (digits, point) = ([], 0)
      return
    }
    let shortest: String
    switch tensor.dtype {
    case .float64: shortest = value.magnitude.description
    case .float32: shortest = Float(value).magnitude.description
    default: shortest = Self.shortest(value.magnitude, dtype: tensor.dtype)
    }
    (digits, point) = Self.parse(shortest)
  }

  /// The first of one, two, … significant digits that reads back as the same 16 bits.
  private static func shortest(_ value: Double, dtype: DType) -> String {
    let memory = Storage(byteCount: 8)
    for count in 0..<8 {
      let text = String(format: "%.\(count)e", value)
      storeElement(Double(text)!, at: 0, in: memory.bytes, dtype: dtype)
      if loadElement(0, from: memory.bytes, dtype: dtype) == value { return text }
    }
    return value.description
  }

  /// Digits without zeros at either end.
  private static func parse(_ text: String) -> (digits: [UInt8], point: Int) {
    let parts = text.split(separator: "e")
    var point = parts.count > 1 ? Int(parts[1])! : 0
    var digits: [UInt8] = []
    var isFraction = false
    for character in parts[0].utf8 {
      if character == UInt8(ascii: ".") {
        isFraction = true
      } else {
        digits.append(character - UInt8(ascii: "0"))
        if !isFraction { point += 1 }
      }
    }
    while digits.last == 0 { digits.removeLast() }
    while digits.first == 0 {
      digits.removeFirst()
      point -= 1
    }
    return digits.isEmpty ? ([], 1) : (digits, point)
  }

  private var sign: String { value.sign == .minus ? "-" : "" }

  private static func text(_ digits: some Sequence<UInt8>) -> String { digits.map { String($0) }.joined() }

  /// Whole part with its sign, and fraction without zeros at its end. More digits after the point than `precision` are
  /// rounded away: of the number itself, not of its digits.
  func positional(precision: Int) -> (whole: String, fraction: String) {
    var (digits, point) = (digits, point)
    if digits.count - point > precision {
      (digits, point) = Self.parse(String(format: "%.\(precision)f", value.magnitude))
    }
    let padded = [UInt8](repeating: 0, count: max(0, -point)) + digits
    let whole = max(0, point)
    let wholeDigits = padded.prefix(whole) + [UInt8](repeating: 0, count: max(0, whole - padded.count))
    return (
      sign + (whole == 0 || digits.isEmpty ? "0" : Self.text(wholeDigits)), Self.text(padded.dropFirst(whole))
    )
  }

  /// d.ddd × 10^exponent, likewise.
  func scientific(precision: Int) -> (whole: String, fraction: String, exponent: Int) {
    var (digits, point) = (digits, point)
    if digits.count - 1 > precision {
      (digits, point) = Self.parse(String(format: "%.\(precision)e", value.magnitude))
    }
    return (
      sign + Self.text(digits.isEmpty ? [0] : digits.prefix(1)), Self.text(digits.dropFirst()), point - 1
    )
  }

  /// d.ddd × 10^exponent with `count` digits after the point: the number's own, also beyond the fewest that tell it from
  /// its neighbours.
  func scientific(exactly count: Int) -> (whole: String, fraction: String, exponent: Int) {
    var (whole, fraction, exponent) = scientific(precision: count)
    if fraction.count < count {
      let (digits, point) = Self.parse(String(format: "%.\(count)e", value.magnitude))
      (whole, fraction) = (
        sign + Self.text(digits.isEmpty ? [0] : digits.prefix(1)), Self.text(digits.dropFirst())
      )
      fraction += String(repeating: "0", count: count - fraction.count)
      exponent = point - 1
    }
    return (whole, fraction, exponent)
  }
}
