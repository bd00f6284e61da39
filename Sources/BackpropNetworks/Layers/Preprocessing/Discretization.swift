import BackpropTensors
import Synchronization

/// The number of the interval that a value is in, between boundaries that are given or found by ``adapt(_:)`` so that
/// each interval holds as many. Keras' `Discretization`.
///
/// ```swift
/// Discretization(boundaries: [0, 1])(Tensor([-0.5, 0, 3]))      // [0, 1, 2]
/// ```
public final class Discretization: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var binBoundaries: [Double]?
    public var numBins: Int?
    /// How exactly boundaries are found: a smaller one keeps more of the data while it counts.
    public var epsilon: Double
    public var outputMode: CategoryOutput
  }

  private let state: Mutex<(configuration: Configuration, summary: QuantileSummary)>
  /// With the boundaries that were found.
  public var configuration: Configuration { state.withLock { $0.configuration } }

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    state = Mutex((configuration, QuantileSummary()))
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  public convenience init(
    boundaries: [Double], output: CategoryOutput = .int, name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        binBoundaries: boundaries, numBins: nil, epsilon: 0.01, outputMode: output), name: name)
  }

  /// - Parameter binCount: how many intervals ``adapt(_:)`` makes.
  public convenience init(
    binCount: Int, epsilon: Double = 0.01, output: CategoryOutput = .int, name: String? = nil
  ) {
    self.init(
      configuration: Configuration(
        binBoundaries: nil, numBins: binCount, epsilon: epsilon, outputMode: output),
      name: name)
  }

  /// Neither boundaries nor a number of bins, so that files' keys alone say which.
  static var example: Discretization {
    Discretization(
      configuration: Configuration(binBoundaries: nil, numBins: nil, epsilon: 0.01, outputMode: .int))
  }

  private func checkOptions() throws {
    let configuration = configuration
    if configuration.outputMode == .tfIDF {
      throw ModelError(
        .argument, at: path, "expected the output mode int, one_hot, multi_hot or count, got tf_idf")
    }
    if let bins = configuration.numBins, bins < 1 {
      throw ModelError(.argument, at: path, "needs at least 1 bin, got \(bins)")
    }
    if configuration.numBins == nil, configuration.binBoundaries == nil {
      throw ModelError(.argument, at: path, "needs boundaries, or a number of bins and adapt(_:)")
    }
    let boundaries = configuration.binBoundaries ?? []
    for (a, b) in zip(boundaries, boundaries.dropFirst()) where !(a <= b) {
      throw ModelError(.argument, at: path, "boundaries must rise, got \(a) before \(b)")
    }
    if !(configuration.epsilon > 0 && configuration.epsilon < 1) {
      throw ModelError(.argument, at: path, "epsilon must be between 0 and 1, got \(configuration.epsilon)")
    }
  }

  /// Finds boundaries between which all of `data` falls in equal shares.
  ///
  /// - Throws: ``ModelError`` where boundaries were given.
  public func adapt(_ data: Tensor) throws {
    try adapt([data])
  }

  /// The same for data in batches.
  public func adapt(_ batches: [Tensor]) throws {
    try checkOptions()
    let configuration = configuration
    guard let bins = configuration.numBins else {
      throw ModelError(.order, at: path, "was given boundaries: there is nothing to adapt")
    }
    var summary = QuantileSummary()
    for batch in batches { summary.add(batch.floats, epsilon: configuration.epsilon) }
    let boundaries = summary.boundaries(bins).map { Double($0) }
    state.withLock { state in
      state.summary = summary
      state.configuration.binBoundaries = boundaries
    }
  }

  package override class var savesTrainable: Bool { false }

  public override func build(_ input: Shape) throws {
    try checkOptions()
    if configuration.binBoundaries == nil {
      throw ModelError(.order, at: path, "has no boundaries yet; call adapt(_:) first")
    }
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    let configuration = configuration
    let boundaries = configuration.binBoundaries ?? []
    let values = input.dtype.isFloatingPoint ? input : input.cast(to: .float32)
    let limits = Tensor(boundaries.map { Float($0) }).cast(to: values.dtype)
    let bins = values.countNotAbove(sorted: limits)
    let isInt = configuration.outputMode == .int
    return bins.encoded(
      configuration.outputMode, depth: boundaries.count + 1, dtype: isInt ? .int32 : dtype)
  }
}

extension Tensor {
  /// For each element how many of `sorted` (a vector that rises) aren't above it: a search by halves, as int32.
  func countNotAbove(sorted: Tensor) -> Tensor {
    let size = sorted.count
    guard size > 0 else { return Tensor.zeros(shape, dtype: .int32) }
    // One number until the first comparison.
    var found = Tensor(Int32(0))
    var step = 1
    while step * 2 <= size { step *= 2 }
    while step > 0 {
      let probe = found + Tensor(Int32(step))
      let place = probe.minimum(Tensor(Int32(size))) - Tensor(Int32(1))
      let isNotAbove = (sorted.gathered(place) .<= self).and(probe .<= Double(size))
      found = Tensor.select(isNotAbove, probe, found)
      step /= 2
    }
    return found
  }
}

/// A sketch of a distribution: values in order, and how many each stands for. As Keras makes it.
struct QuantileSummary: Sendable {
  private var values: [Float] = []
  private var weights: [Float] = []

  mutating func add(_ data: [Float], epsilon: Double) {
    let sorted = data.sorted()
    let step = max(Double(sorted.count) * epsilon, 1)
    let stride = Int(step)
    var merged = zip(values, weights).map { ($0, $1) }
    var position = Int(step - 1)
    var new: [(Float, Float)] = []
    while position < sorted.count {
      new.append((sorted[position], Float(step)))
      position += stride
    }
    // Keras puts what is new in front, so that of equal values it comes first.
    merged = (new + merged).enumerated().sorted { ($0.element.0, $0.offset) < ($1.element.0, $1.offset) }.map(
      \.element)
    (values, weights) = (merged.map(\.0), merged.map(\.1))
    compress(epsilon)
  }

  private mutating func compress(_ epsilon: Double) {
    guard Double(values.count) * epsilon >= 1 else { return }
    var total: Float = 0
    let sums = weights.map { weight -> Float in
      total += weight
      return total
    }
    let shares = sums.map { Double($0 / total) }
    let count = Int((1 / epsilon).rounded(.up))
    let places = (0..<count).map { epsilon + Double($0) * epsilon }
    let newSums = places.map { interpolated($0, shares, sums.map { Double($0) }) }
    values = places.map { Float(interpolated($0, shares, values.map { Double($0) })) }
    weights = zip(newSums, [0] + newSums).map { Float($0 - $1) }
  }

  /// What is at `x` on the line through the points; the ends beyond them.
  private func interpolated(_ x: Double, _ xs: [Double], _ ys: [Double]) -> Double {
    if x <= xs[0] { return ys[0] }
    guard let next = xs.firstIndex(where: { $0 > x }) else { return ys[ys.count - 1] }
    let last = next - 1
    return ys[last] + (ys[next] - ys[last]) / (xs[next] - xs[last]) * (x - xs[last])
  }

  func boundaries(_ bins: Int) -> [Float] {
    var copy = self
    copy.compress(1 / Double(bins))
    return Array(copy.values.dropLast())
  }
}
