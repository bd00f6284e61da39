import BackpropTensors
import Foundation

extension Initializer {
  /// Rows or columns of length `gain` at right angles to each other (Saxe et al., 2014): the Q of a random matrix, made
  /// uniform by the signs of R's diagonal. Axes but the last count as one.
  func orthogonal(_ shape: Shape, _ random: RandomGenerator) -> Tensor {
    require(shape.rank >= 2, "Orthogonal initialises tensors of two axes or more, not shape \(shape)")
    let columns = shape[-1]
    let rows = shape.dimensions.dropLast().reduce(1, *)
    let (tall, wide) = (max(rows, columns), min(rows, columns))
    let basis = orthonormalColumns(random.normal([tall, wide]).doubles, rows: tall, columns: wide)
    let matrix = Tensor(basis, shape: [tall, wide]) * number("gain")
    let turned = rows < columns ? matrix.transposed() : matrix
    return turned.reshaped(to: shape).cast(to: .float32)
  }

  /// Modified Gram–Schmidt, twice: that is the QR factorisation whose R has a positive diagonal.
  private func orthonormalColumns(_ elements: [Double], rows: Int, columns: Int) -> [Double] {
    var vectors = (0..<columns).map { column in (0..<rows).map { elements[$0 * columns + column] } }
    for column in 0..<columns {
      for _ in 0..<2 {
        for before in 0..<column {
          var product = 0.0
          for row in 0..<rows { product += vectors[before][row] * vectors[column][row] }
          for row in 0..<rows { vectors[column][row] -= product * vectors[before][row] }
        }
      }
      let norm = vectors[column].reduce(0) { $0 + $1 * $1 }.squareRoot()
      for row in 0..<rows { vectors[column][row] /= norm }
    }
    var result = [Double](repeating: 0, count: rows * columns)
    for column in 0..<columns {
      for row in 0..<rows { result[row * columns + column] = vectors[column][row] }
    }
    return result
  }

  func shortTimeFourier(_ shape: Shape) -> Tensor {
    require(shape.rank == 3, "STFT initialises kernels of shape [frame, 1, frequencies], not \(shape)")
    let (frame, frequencies) = (shape[0], shape[2])
    let length = Double((frequencies - 1) * 2)
    let window = window(frame)
    let scaling: Double =
      switch (value("window"), value("scaling").text) {
      case (.null, _): 1
      case (_, "density"): window.reduce(0) { $0 + $1 * $1 }.squareRoot()
      case (_, "spectrum"): window.reduce(0) { $0 + abs($1) }
      default: 1
      }
    let isReal = value("side").text != "imag"
    var elements: [Double] = []
    for time in 0..<frame {
      for frequency in 0..<frequencies {
        let angle = -2 * Double(time) * (Double(frequency) / length) * Double.pi
        elements.append((isReal ? cos(angle) : sin(angle)) * window[time] / scaling)
      }
    }
    return Tensor(elements, shape: [frame, 1, frequencies]).broadcast(to: shape)
  }

  /// SciPy's triangle, and its windows that are sums of cosines; its periodic form has one point more, which is left out.
  private func window(_ count: Int) -> [Double] {
    let coefficients: [String: [Double]] = [
      "boxcar": [1], "hann": [0.5, 0.5], "hamming": [0.54, 0.46], "blackman": [0.42, 0.5, 0.08],
    ]
    guard let name = value("window").text else { return [Double](repeating: 1, count: count) }
    if count == 1 { return [1] }
    // Keras hands `periodic` on as SciPy's `fftbins`.
    let period = Double(value("periodic").bool == true ? count : count - 1)
    if name == "bartlett" { return (0..<count).map { 1 - abs(2 * Double($0) / period - 1) } }
    guard let terms = coefficients[name] else {
      let names = (["bartlett"] + coefficients.keys).sorted().joined(separator: ", ")
      programmerError("STFT: unknown window '\(name)'; there are: \(names)")
    }
    return (0..<count).map { point in
      terms.enumerated().reduce(0) { sum, term in
        let sign: Double = term.offset % 2 == 0 ? 1 : -1
        return sum + sign * term.element * cos(2 * Double.pi * Double(term.offset * point) / period)
      }
    }
  }
}
