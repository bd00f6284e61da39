import BackpropTensors

/// What the layers for images share: [batch, height, width, channels], or one image without the batch axis.
enum Images {
  /// - Throws: ``ModelError`` for shapes that aren't images, and for channels first.
  static func check(_ shape: Shape, dataFormat: String?, path: String) throws {
    if dataFormat == "channels_first" {
      throw ModelError(
        .argument, at: path, "channels come last here: transpose the images and leave data_format out")
    }
    guard shape.rank == 3 || shape.rank == 4 else {
      throw ModelError(
        .shape, at: path,
        "expected images of [batch, height, width, channels] or [height, width, channels], got \(shape)")
    }
    try checkSize(shape[-3], shape[-2], path: path)
  }

  /// Tables are made of each row and column: as many as JPEG's sizes say at most.
  static func checkSize(_ height: Int, _ width: Int, path: String) throws {
    guard max(height, width) <= 65_535 else {
      throw ModelError(
        .argument, at: path, "images have at most 65535 rows and columns, got \(height) × \(width)")
    }
  }

  /// The same images as a batch of `body`'s results.
  static func batched(_ images: Tensor, _ body: (Tensor) -> Tensor) -> Tensor {
    images.rank == 3 ? body(images.expanded(axis: 0)).squeezed(axes: [0]) : body(images)
  }
}

/// A layer that changes images in training, each in a way that is drawn: what is drawn and what it does are apart, so
/// that one can be tested without the other.
///
/// With a seed it draws from a generator of its own: the same images come out of the same calls after
/// the layer is made, whatever else draws.
public class RandomImageLayer: Layer, @unchecked Sendable {
  private let generator: RandomGenerator?
  let dataFormat: String?

  init(seed: Int?, dataFormat: String?, name: String?, trainable: Bool, dtype: DTypePolicy) {
    generator = seed.map { RandomGenerator(seed: $0) }
    self.dataFormat = dataFormat
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// What happens to images of this shape [batch, height, width, channels]: one tensor or several, by the batch axis.
  func draw(_ shape: Shape, _ random: RandomGenerator) -> [Tensor] {
    programmerError("\(className) doesn't define draw(_:_:)")
  }

  /// Images [batch, height, width, channels] changed by what was drawn.
  func transform(_ images: Tensor, _ drawn: [Tensor]) -> Tensor {
    programmerError("\(className) doesn't define transform(_:_:)")
  }

  /// What comes out outside of training.
  func inference(_ images: Tensor) -> Tensor { images }

  /// - Throws: ``ModelError`` for arguments outside their range.
  func checkOptions() throws {}

  public override func build(_ input: Shape) throws { try checkOptions() }

  public override func check(_ inputs: [Shape]) throws {
    try Images.check(inputs[0], dataFormat: dataFormat, path: path)
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let images = input.dtype.isFloatingPoint ? input : input.cast(to: dtype)
    return Images.batched(images) { images in
      guard context.isTraining else { return inference(images) }
      return transform(images, draw(images.shape, source(context)))
    }
  }

  /// Where what happens is drawn from.
  func source(_ context: CallContext) -> RandomGenerator { generator ?? context.random }
}

/// A range around 0 from one number, or from two: Keras' `factor`.
struct FactorRange {
  let lower: Double
  let upper: Double

  /// - Parameter bounds: what a factor must be in; one number makes ± it, cut to them.
  init(_ factor: OneOrMany<Double>, in bounds: ClosedRange<Double>, _ name: String, path: String) throws {
    let values = factor.values
    guard values.count == (factor.isSingle ? 1 : 2), values.allSatisfy({ bounds.contains($0) }) else {
      throw ModelError(
        .argument, at: path,
        "expected a number or two in \(bounds.lowerBound)...\(bounds.upperBound) for '\(name)', got \(values)"
      )
    }
    if factor.isSingle {
      let size = abs(values[0])
      (lower, upper) = (max(-size, bounds.lowerBound), size)
    } else {
      (lower, upper) = (values.min()!, values.max()!)
    }
  }
}

/// The smallest and the largest value of a pixel.
struct ValueRange {
  let range: ClosedRange<Double>

  init(_ values: [Double], path: String) throws {
    guard values.count == 2, let low = values.min(), let high = values.max() else {
      throw ModelError(.argument, at: path, "expected two numbers for 'value_range', got \(values)")
    }
    range = low...high
  }
}

extension Images {
  /// A box for each image, [batch, 4]: left, right, top, bottom in pixels.
  ///
  /// - Parameters:
  ///   - width: [batch], the share of the image's.
  ///   - height: the same.
  static func box(_ shape: Shape, _ width: Tensor, _ height: Tensor, _ random: RandomGenerator) -> Tensor {
    func edges(_ share: Tensor, _ size: Int) -> [Tensor] {
      let length = share * Double(size)
      let start = random.uniform([shape[0]]) * (Double(size) - length)
      return [start, start + length]
    }
    return Tensor.stack(edges(width, shape[2]) + edges(height, shape[1]), axis: 1)
  }

  /// Which pixels are in their image's box, [batch, height, width, 1].
  static func isInBox(_ shape: Shape, _ box: Tensor) -> Tensor {
    let edges = box.split(4, axis: 1).map { $0.reshaped(to: [-1, 1, 1, 1]) }
    let column = Tensor.range(to: shape[2], dtype: .float32).reshaped(to: [1, 1, shape[2], 1])
    let row = Tensor.range(to: shape[1], dtype: .float32).reshaped(to: [1, shape[1], 1, 1])
    let isBeside = (column .>= edges[0]).and(column .< edges[1])
    return isBeside.and((row .>= edges[2]).and(row .< edges[3]))
  }
}

extension RandomGenerator {
  /// Numbers of the beta distribution with both parameters `alpha`, a scalar: [count].
  ///
  /// The share of one of two gamma variables, by Marsaglia and Tsang's method (2000) for α + 1, whose tries are all drawn
  /// at once: each is taken with a probability above 0.95, so that of twelve none is with one of 10⁻¹⁵.
  func beta(_ count: Int, _ alpha: Tensor) -> Tensor {
    // In logarithms: for a small α both may be too small for a float32.
    (logGamma(count, alpha) - logGamma(count, alpha)).sigmoid()
  }

  private func logGamma(_ count: Int, _ alpha: Tensor) -> Tensor {
    let tries = 12
    let d = alpha + (1 - 1.0 / 3)
    let c = (d * 9).rsqrt()
    let x = normal([tries, count])
    let u = uniform([tries, count]).maximum(1e-30)
    let root = x * c + 1
    let v = root * root * root
    let logV = v.maximum(1e-30).log()
    let isTaken = (v .> 0).and(u.log() .< x.squared() * 0.5 + d - d * v + d * logV)
    let first = isTaken.cast(to: .int32).argMax(axis: 0)
    let taken = logV.takenAlong(axis: 0, at: first.expanded(axis: 0)).squeezed(axes: [0])
    return d.log() + taken + uniform([count]).maximum(1e-30).log() / alpha
  }
}
