import BackpropTensors

/// How numbers between pixels are found: TensorFlow's methods, none of which smooths before making smaller, but `area`,
/// which is the average of what a pixel covers.
public enum ImageInterpolation: String, CaseIterable, Sendable {
  case bilinear, nearest, bicubic, area, lanczos3, lanczos5, gaussian, mitchellcubic
}

/// Brings pictures to one size, as TensorFlow's `image.resize` does (centres of pixels at halves, no smoothing before
/// making smaller), in float32 and with the same operations in the same order.
struct ImageSize: Sendable {
  /// What happens to pictures of other proportions.
  enum Fit: Sendable {
    case stretched
    /// The largest part in the middle that has the proportions (Keras' `smart_resize`).
    case cropped
    /// All of it, in the middle, with zeros around (TensorFlow's `resize_with_pad`).
    case padded
  }

  let height: Int
  let width: Int
  let interpolation: ImageInterpolation
  let fit: Fit

  /// Writes [height, width, channels] numbers in 0...255 to `into`, which must have room for them.
  func resize(_ pixels: Pixels, into target: UnsafeMutablePointer<Float>) {
    let whole = Rectangle(top: 0, left: 0, height: pixels.height, width: pixels.width)
    var place = Rectangle(top: 0, left: 0, height: height, width: width)
    switch fit {
    case .stretched: resize(pixels, whole, into: target, place)
    case .cropped: resize(pixels, cropped(pixels), into: target, place)
    case .padded:
      place = padded(pixels)
      target.update(repeating: 0, count: height * width * pixels.channels)
      if place.height > 0, place.width > 0 { resize(pixels, whole, into: target, place) }
    }
  }

  private struct Rectangle { var top, left, height, width: Int }

  private func cropped(_ pixels: Pixels) -> Rectangle {
    let height = min(pixels.height, max(1, Int(Float(pixels.width * self.height) / Float(self.width))))
    let width = min(pixels.width, max(1, Int(Float(pixels.height * self.width) / Float(self.height))))
    return Rectangle(
      top: (pixels.height - height) / 2, left: (pixels.width - width) / 2, height: height, width: width)
  }

  private func padded(_ pixels: Pixels) -> Rectangle {
    let ratio = max(Float(pixels.height) / Float(height), Float(pixels.width) / Float(width))
    let (exactHeight, exactWidth) = (Float(pixels.height) / ratio, Float(pixels.width) / ratio)
    let top = max(0, Int((Float(height) - exactHeight) / 2))
    let left = max(0, Int((Float(width) - exactWidth) / 2))
    return Rectangle(
      top: top, left: left, height: min(Int(exactHeight), height - top),
      width: min(Int(exactWidth), width - left))
  }

  /// Where a number between two rows or columns comes from.
  private struct Mix {
    let lower: Int
    let upper: Int
    let share: Float
  }

  private func mixes(_ count: Int, from size: Int) -> [Mix] {
    let scale = Float(size) / Float(count)
    return (0..<count).map { index in
      switch interpolation {
      case .bilinear:
        let place = (Float(index) + 0.5) * scale - 0.5
        let below = place.rounded(.down)
        return Mix(
          lower: max(Int(below), 0), upper: min(Int(place.rounded(.up)), size - 1), share: place - below)
      default:
        let nearest = min(Int(((Float(index) + 0.5) * scale).rounded(.down)), size - 1)
        return Mix(lower: nearest, upper: nearest, share: 0)
      }
    }
  }

  private func resize(
    _ pixels: Pixels, _ source: Rectangle, into target: UnsafeMutablePointer<Float>, _ place: Rectangle
  ) {
    let channels = pixels.channels
    guard let start = pixels.bytes.baseAddress else { return }
    guard interpolation == .bilinear || interpolation == .nearest else {
      return resample(pixels, source, into: target, place)
    }
    let columns = mixes(place.width, from: source.width)
    for (y, mix) in mixes(place.height, from: source.height).enumerated() {
      let upperRow = start + ((source.top + mix.lower) * pixels.width + source.left) * channels
      let lowerRow = start + ((source.top + mix.upper) * pixels.width + source.left) * channels
      var out = target + ((place.top + y) * width + place.left) * channels
      for column in columns {
        let (left, right) = (column.lower * channels, column.upper * channels)
        for channel in 0..<channels {
          let topLeft = Float(upperRow[left + channel])
          let top = topLeft + (Float(upperRow[right + channel]) - topLeft) * column.share
          let bottomLeft = Float(lowerRow[left + channel])
          let bottom = bottomLeft + (Float(lowerRow[right + channel]) - bottomLeft) * column.share
          out[channel] = top + (bottom - top) * mix.share
        }
        out += channels
      }
    }
  }
  /// The methods that take more than two rows and columns. As in TensorFlow an axis that keeps its size goes through
  /// them too: some smooth.
  private func resample(
    _ pixels: Pixels, _ source: Rectangle, into target: UnsafeMutablePointer<Float>, _ place: Rectangle
  ) {
    guard let method = Resampling.Method(rawValue: interpolation.rawValue) else { return }
    let channels = pixels.channels
    let rows = Resampling(method, antialias: false, from: source.height, to: place.height).taps
    let columns = Resampling(method, antialias: false, from: source.width, to: place.width).taps
    var mixed = [Float](repeating: 0, count: source.width * channels)
    for y in 0..<place.height {
      for index in mixed.indices { mixed[index] = 0 }
      for tap in rows where tap.weights[y] != 0 {
        let start = ((source.top + Int(tap.positions[y])) * pixels.width + source.left) * channels
        for index in mixed.indices { mixed[index] += tap.weights[y] * Float(pixels.bytes[start + index]) }
      }
      let out = target + ((place.top + y) * width + place.left) * channels
      for x in 0..<place.width {
        for channel in 0..<channels {
          var sum: Float = 0
          for tap in columns where tap.weights[x] != 0 {
            sum += tap.weights[x] * mixed[Int(tap.positions[x]) * channels + channel]
          }
          out[x * channels + channel] = sum
        }
      }
    }
  }
}
