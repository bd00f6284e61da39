import Foundation

/// How each place along one axis of a resized image is made from places of the original: a few of them, each by a
/// weight. As TensorFlow's `tf.image.resize` does it, to the rounding.
package struct Resampling: Sendable {
  package enum Method: String, CaseIterable, Sendable {
    case nearest, bilinear, bicubic, area, lanczos3, lanczos5, gaussian, mitchellcubic
  }

  /// For each tap the place it reads for every place of the result, and its weight there.
  package private(set) var taps: [(positions: [Int32], weights: [Float])] = []
  /// Places of the original.
  private let size: Int

  package init(_ method: Method, antialias: Bool, from size: Int, to target: Int) {
    self.size = size
    let scale = Float(size) / Float(target)
    let spans: [(start: Int, weights: [Float])] = (0..<target).map { place in
      switch method {
      case .nearest:
        return (min(Int(((Float(place) + 0.5) * scale).rounded(.down)), size - 1), [1])
      case .area: return Self.area(place, scale, size)
      case .bilinear where !antialias: return Self.line(place, scale, size)
      case .bicubic where !antialias: return Self.cubic(place, scale, size)
      default: return Self.span(place, size, target, method, antialias)
      }
    }
    let count = spans.map(\.weights.count).max() ?? 0
    taps = (0..<count).map { tap in
      let positions = spans.map { Int32(min($0.start + tap, size - 1)) }
      let weights = spans.map { tap < $0.weights.count ? $0.weights[tap] : 0 }
      return (positions, weights)
    }
  }

  /// The images resized along one axis.
  package func callAsFunction(_ images: Tensor, axis: Int) -> Tensor {
    if let matrix {
      let (outer, n, inner) = images.shape.split(at: axis)
      var shape = images.shape
      shape[axis] = matrix.shape[0]
      return matrix.cast(to: images.dtype).matmul(images.reshaped(to: [outer, n, inner])).reshaped(to: shape)
    }
    var shape = [Int](repeating: 1, count: images.rank)
    shape[axis] = taps[0].positions.count
    var result: Tensor?
    for tap in taps {
      var part = images.gathered(Tensor(tap.positions), axis: axis)
      if tap.weights.contains(where: { $0 != 1 }) {
        part = part * Tensor(tap.weights, shape: Shape(shape)).cast(to: images.dtype)
      }
      result = result.map { $0 + part } ?? part
    }
    return result!
  }

  /// float32 [places of the result, places of the original]: the weights, where a product is faster than reading tap by tap;
  /// at most 64 MB. From 8 to 256 places it took 0.2 to 0.5 of the time for two taps, gradients too, and the more places the
  /// more. Many taps would each be an operation of the graph.
  private var matrix: Tensor? {
    let target = taps[0].positions.count
    guard taps.count > 16 || (taps.count > 1 && size <= 256), target * size <= 1 << 24 else { return nil }
    var weights = [Float](repeating: 0, count: target * size)
    for tap in taps {
      for place in 0..<target { weights[place * size + Int(tap.positions[place])] += tap.weights[place] }
    }
    return Tensor(weights, shape: [target, size])
  }

  private static func line(_ place: Int, _ scale: Float, _ size: Int) -> (Int, [Float]) {
    let at = (Float(place) + 0.5) * scale - 0.5
    let floor = at.rounded(.down)
    let share = at - floor
    let (lower, upper) = (max(Int(floor), 0), min(Int(floor) + 1, size - 1))
    return lower == upper ? (lower, [1]) : (lower, [1 - share, share])
  }

  /// Keys' cubic, whose weights TensorFlow takes from a table of 1,024 steps.
  private static func cubic(_ place: Int, _ scale: Float, _ size: Int) -> (Int, [Float]) {
    let at = (Float(place) + 0.5) * scale - 0.5
    let first = Int(at.rounded(.down))
    let step = ((at - at.rounded(.down)) * 1024).rounded(.toNearestOrEven) / 1024
    let all = [keys(1 + step), keys(step), keys(1 - step), keys(2 - step)]
    return normalised((0..<4).map { (first - 1 + $0, all[$0]) }, size)
  }

  private static func keys(_ x: Float) -> Float {
    if x >= 2 { return 0 }
    return x >= 1 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : ((1.5 * x - 2.5) * x) * x + 1
  }

  /// Mitchell and Netravali's cubic with B = C = 1/3.
  private static func mitchell(_ x: Float) -> Float {
    if x >= 2 { return 0 }
    return x >= 1 ? ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9 : ((7 / 6 * x - 2) * x) * x + 8 / 9
  }

  private static func lanczos(_ x: Float, _ radius: Float) -> Float {
    let x = abs(x)
    if x > radius { return 0 }
    // TensorFlow's limit near 0.
    if x <= 1e-3 { return 1 }
    return radius * sin(.pi * x) * sin(.pi * x / radius) / (.pi * .pi * x * x)
  }

  private static func span(
    _ place: Int, _ size: Int, _ target: Int, _ method: Method, _ antialias: Bool
  ) -> (Int, [Float]) {
    // TensorFlow's rounding: it decides whether a place at the very edge of the kernel counts.
    let scale = 1 / (Float(target) / Float(size))
    let stretch = antialias ? max(scale, 1) : 1
    let radius: Float =
      switch method {
      case .lanczos5: 5
      case .lanczos3: 3
      case .bicubic, .mitchellcubic: 2
      case .gaussian: 1.5
      default: 1
      }
    let at = (Float(place) + 0.5) * scale
    let first = max(0, Int((at - radius * stretch - 0.5).rounded(.up)))
    let last = min(size - 1, Int((at + radius * stretch - 0.5).rounded(.down)))
    let weights = (first...max(last, first)).map { source -> (Int, Float) in
      let x = abs((Float(source) + 0.5 - at) / stretch)
      switch method {
      case .lanczos3, .lanczos5: return (source, lanczos(x, radius))
      case .bicubic: return (source, keys(x))
      case .mitchellcubic: return (source, mitchell(x))
      // The deviation is a third of the radius.
      case .gaussian: return (source, x < radius ? exp(-2 * x * x) : 0)
      default: return (source, max(0, 1 - x))
      }
    }
    return normalised(weights, size)
  }

  private static func area(_ place: Int, _ scale: Float, _ size: Int) -> (Int, [Float]) {
    let (start, end) = (Float(place) * scale, Float(place + 1) * scale)
    let (first, last) = (Int(start), min(Int(end.rounded(.up)), size))
    let weights = (first..<max(last, first + 1)).map { source -> (Int, Float) in
      (source, max(0, min(end, Float(source + 1)) - max(start, Float(source))))
    }
    return normalised(weights, size)
  }

  /// Without places beyond the edges, and with a sum of 1.
  private static func normalised(_ weights: [(Int, Float)], _ size: Int) -> (Int, [Float]) {
    let inside = weights.filter { (0..<size).contains($0.0) }
    let sum = inside.reduce(Float(0)) { $0 + $1.1 }
    guard let first = inside.first, sum != 0 else { return (0, [0]) }
    return (first.0, inside.map { $0.1 / sum })
  }
}
