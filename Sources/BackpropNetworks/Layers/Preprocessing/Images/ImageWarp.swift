import BackpropTensors

/// Images seen through an affine map: for each place of the result the place of the image that it shows.
///
/// TensorFlow's `ImageProjectiveTransformV3`, which Keras' rotation, zoom and translation are made of. Gradients to the
/// images come from the gathering.
struct ImageWarp {
  /// What is beyond the edges.
  enum Fill: String, Codable, Hashable, Sendable {
    /// d c b a | a b c d | d c b a
    case reflect
    /// a b c d | a b c d | a b c d
    case wrap
    /// The fill value.
    case constant
    /// a a a a | a b c d | d d d d
    case nearest
  }

  enum Interpolation: String, Codable, Hashable, Sendable { case nearest, bilinear }

  let fill: Fill
  let interpolation: Interpolation
  let fillValue: Double

  /// - Parameters:
  ///   - images: [batch, height, width, channels].
  ///   - map: [batch, 6]: a₀ a₁ a₂ b₀ b₁ b₂, for x = a₀ · column + a₁ · row + a₂ and y = b₀ · column + b₁ · row + b₂.
  func callAsFunction(_ images: Tensor, _ map: Tensor) -> Tensor {
    let (batch, height, width) = (images.shape[0], images.shape[1], images.shape[2])
    let column = Tensor.range(to: width, dtype: .float32).reshaped(to: [1, 1, width])
    let row = Tensor.range(to: height, dtype: .float32).reshaped(to: [1, height, 1])
    let parts = map.cast(to: .float32).split(6, axis: 1).map { $0.reshaped(to: [batch, 1, 1]) }
    let x = within(parts[0] * column + parts[1] * row + parts[2], width)
    let y = within(parts[3] * column + parts[4] * row + parts[5], height)
    if interpolation == .nearest { return read(images, roundedAway(y), roundedAway(x)) }
    let (left, top) = (x.floor(), y.floor())
    let (toRight, toBottom) = ((x - left).expanded(axis: -1), (y - top).expanded(axis: -1))
    func mixed(_ row: Tensor) -> Tensor {
      read(images, row, left) * (1 - toRight).cast(to: images.dtype)
        + read(images, row, left + 1) * toRight.cast(to: images.dtype)
    }
    return mixed(top) * (1 - toBottom).cast(to: images.dtype)
      + mixed(top + 1) * toBottom.cast(to: images.dtype)
  }

  /// Halves away from 0.
  private func roundedAway(_ x: Tensor) -> Tensor { x.sign() * (x.abs() + 0.5).floor() }

  /// Coordinates beyond the edges brought back as the fill mode says.
  private func within(_ place: Tensor, _ size: Int) -> Tensor {
    let length = Double(size)
    let last = length - 1
    switch fill {
    case .constant: return place
    case .nearest: return place.clipped(to: 0...last)
    case .wrap:
      if size <= 1 { return place * 0 }
      let below = place + ((-place / last).floor() + 1) * length
      let above = place - (place / last).floor() * length
      let inside = Tensor.select(place .< 0, below, Tensor.select(place .> last, above, place))
      return inside.clipped(to: 0...last)
    case .reflect:
      if size <= 1 { return place * 0 }
      let period = 2 * length
      let raised = Tensor.select(place .< period, place + (-place / period).floor() * period, place)
      let below = Tensor.select(raised .< -length, raised + period, -raised - 1)
      let reduced = place - (place / period).floor() * period
      let above = Tensor.select(reduced .>= length, -reduced + (period - 1), reduced)
      let inside = Tensor.select(place .< 0, below, Tensor.select(place .> last, above, place))
      return inside.clipped(to: 0...last)
    }
  }

  /// The pixels at whole places; the fill value beyond the edges.
  private func read(_ images: Tensor, _ row: Tensor, _ column: Tensor) -> Tensor {
    let (batch, height, width, channels) = (
      images.shape[0], images.shape[1], images.shape[2], images.shape[3]
    )
    let isInside = (row .>= 0).and(row .< Double(height)).and((column .>= 0).and(column .< Double(width)))
    let (r, c) = (
      row.clipped(to: 0...Double(height - 1)).cast(to: .int32),
      column.clipped(to: 0...Double(width - 1)).cast(to: .int32)
    )
    let image = Tensor.range(to: batch, dtype: .int32).reshaped(to: [batch, 1, 1])
    let place = (image * Tensor(Int32(height)) + r) * Tensor(Int32(width)) + c
    let pixels = images.reshaped(to: [batch * height * width, channels]).gathered(place.flattened())
    let found = pixels.reshaped(to: [batch, height, width, channels])
    let filling = Tensor(repeating: fillValue, shape: [], dtype: images.dtype)
    return Tensor.select(isInside.expanded(axis: -1), found, filling)
  }
}
