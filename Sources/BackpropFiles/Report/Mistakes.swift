import BackpropNetworks
import BackpropTensors

/// What a classifier gets wrong.
struct Mistakes {
  struct Mistake {
    let row: Int
    let label: Int
    let said: Int
    /// Of what it said.
    let probability: Double
    fileprivate let badness: Double
  }

  /// Rows by label, columns by what was said.
  let matrix: [[Int]]
  /// The most confident first.
  let worst: [Mistake]

  /// nil where the model isn't a classifier with class numbers as labels.
  init?(_ model: Model, _ data: LabelledData) throws {
    guard data.labels.sampleShape.elementCount == 1, data.labels.count > 0 else { return nil }
    let outputs = try model.predict(data.inputs, batchSize: 256)
    let labels = data.labels.tensor.doubles
    guard outputs.rank == 2, labels.allSatisfy({ $0 >= 0 && $0 == $0.rounded() && $0 < 100_000 }) else {
      return nil
    }
    let width = outputs.shape[1]
    let classes = max(width, 2)
    guard labels.allSatisfy({ $0 < Double(classes) }), classes <= 1000 else { return nil }
    let numbers = outputs.cast(to: .float32).floats
    var matrix = [[Int]](repeating: [Int](repeating: 0, count: classes), count: classes)
    var found: [Mistake] = []
    for (row, label) in labels.map({ Int($0) }).enumerated() {
      var scores = Array(numbers[row * width..<(row + 1) * width]).map(Double.init)
      if width == 1 { scores = [1 - scores[0], scores[0]] }
      let said = scores.indices.max { scores[$0] < scores[$1] } ?? 0
      matrix[label][said] += 1
      guard said != label else { continue }
      found.append(
        Mistake(
          row: row, label: label, said: said, probability: scores[said], badness: scores[said] - scores[label]
        ))
    }
    self.matrix = matrix
    worst = Array(found.sorted { $0.badness > $1.badness }.prefix(24))
  }
}

/// A sample as a picture.
enum Picture {
  /// A sample of shape [height, width], with 1, 3 or 4 channels, or a list of as many numbers as a square of pixels has;
  /// between its smallest and its largest number. nil for others.
  static func of(_ sample: Tensor) -> Tensor? {
    let sizes = sample.shape.dimensions
    let side = Int(Double(sample.count).squareRoot())
    let shape: Shape
    switch sizes.count {
    case 3 where [1, 3, 4].contains(sizes[2]) && sizes[0] > 3 && sizes[1] > 3: shape = sample.shape
    case 2 where sizes[0] > 3 && sizes[1] > 3: shape = sample.shape
    case 1 where side * side == sample.count && side >= 6: shape = [side, side]
    default: return nil
    }
    let numbers = sample.cast(to: .float32).reshaped(to: shape)
    let (low, high) = (numbers.min().item(), numbers.max().item())
    guard low.isFinite, high.isFinite else { return nil }
    return (numbers - low) / Double(high > low ? high - low : 1)
  }
}
