import BackpropTensors
import Foundation

/// Connectionist temporal classification (Graves et al., 2006): −log of the probability of all ways in which the frames'
/// classes, with blanks (class 0) between and repetitions merged, spell the labels.
///
/// Computed in float64, given as float32. Labels that the frames are too few for give about 707 = −log 1e−307, as in
/// Keras on TensorFlow, and not infinity.
///
/// - Parameters:
///   - labels: [batch, longest], class numbers, filled up with 0: as many count as aren't 0.
///   - logits: [batch, frames, classes]; all frames count.
/// - Returns: [batch]. The gradient is softmax − the probability, given the labels, of each class at each frame.
func ctcLoss(labels: Tensor, logits: Tensor) -> Tensor {
  let (frames, classes) = (logits.shape[1], logits.shape[2])
  let operation = CustomOperation(
    "ctc",
    result: { shapes in [Shape([shapes[1][0]]), shapes[1]] },
    kernel: { inputs, outputs in
      let longest = inputs[0].count / max(outputs[0].count, 1)
      for sample in 0..<outputs[0].count {
        let labels = inputs[0][(sample * longest)..<((sample + 1) * longest)].map { Int($0) }
        let place = (sample * frames * classes)..<((sample + 1) * frames * classes)
        var alignment = Alignment(
          labels: labels, logits: inputs[1][place].map { Double($0) }, frames: frames, classes: classes)
        outputs[0][sample] = Float(
          alignment.loss(gradient: UnsafeMutableBufferPointer(rebasing: outputs[1][place])))
      }
    },
    gradient: { gradients, _, outputs in
      require(gradients[1] == nil, "ctc: the gradient of its gradient isn't known")
      return [nil, gradients[0].map { $0.reshaped(to: [-1, 1, 1]) * outputs[1] }]
    })
  return operation(labels, logits)[0].cast(to: logits.dtype)
}

/// One sample's lattice: states 0…L, of which state i > 0 emits label i, and as many blank states, of which blank i
/// follows label i.
///
/// TensorFlow's form of the lattice, so that what doesn't fit gives its numbers too: state 0 emits nothing, and states
/// that can't be first or last have log-probability log 1e−307 there.
private struct Alignment {
  let labels: [Int]
  let frames: Int
  let classes: Int
  let logProbabilities: [Double]
  private let count: Int
  private let impossible = Foundation.log(1e-307)

  init(labels: [Int], logits: [Double], frames: Int, classes: Int) {
    self.labels = labels
    self.frames = frames
    self.classes = classes
    count = labels.count + 1
    var values = logits
    for frame in 0..<frames {
      let row = (frame * classes)..<((frame + 1) * classes)
      let total = logSum(values[row])
      for place in row { values[place] -= total }
    }
    logProbabilities = values
  }

  /// What a state emits at a frame.
  private func emission(_ state: Int, _ frame: Int) -> Double {
    if state == 0 { return -.infinity }
    let label = state < count ? labels[state - 1] : 0
    return (0..<classes).contains(label) ? logProbabilities[frame * classes + label] : -.infinity
  }

  /// The states that can come right before each state, itself among them.
  private func predecessors() -> [[Int]] {
    var before = (0..<(2 * count)).map { [$0] }
    for label in 0..<count { before[count + label].append(label) }
    for label in 1..<max(count, 1) {
      before[label].append(count + label - 1)
      let isRepetition = label > 1 && labels[label - 1] == labels[label - 2]
      if !isRepetition { before[label].append(label - 1) }
    }
    return before
  }

  /// −log p(labels); writes the gradient to the logits.
  mutating func loss(gradient: UnsafeMutableBufferPointer<Float>) -> Double {
    let states = 2 * count
    let before = predecessors()
    var after = [[Int]](repeating: [], count: states)
    for (state, list) in before.enumerated() { for earlier in list { after[earlier].append(state) } }

    // forward[t]: log-probability of the frames up to t, ending in each state.
    var start = [Double](repeating: impossible, count: states)
    start[0] = 0
    var forward: [[Double]] = []
    for frame in 0..<frames {
      let last = forward.last ?? start
      forward.append(
        (0..<states).map { state in logSum(before[state].map { last[$0] }) + emission(state, frame) })
    }

    // backward: log-probability of the frames after t, from each state.
    let length = labels.count { $0 != 0 }
    var backward = [Double](repeating: impossible, count: states)
    for state in [length, count + length] { backward[state] = 0 }
    for frame in (0..<frames).reversed() {
      write(forward[frame], backward, frame, gradient)
      let emitted = (0..<states).map { backward[$0] + emission($0, frame) }
      backward = (0..<states).map { state in logSum(after[state].map { emitted[$0] }) }
    }
    return -backward[0]
  }

  /// softmax − the share of the paths that are in states which emit each class.
  private func write(
    _ forward: [Double], _ backward: [Double], _ frame: Int, _ gradient: UnsafeMutableBufferPointer<Float>
  ) {
    let paths = zip(forward, backward).map { $0 + $1 }
    let total = logSum(paths)
    var shares = [Double](repeating: 0, count: classes)
    for state in 1..<paths.count {
      let share = exp(paths[state] - total)
      if state >= count {
        shares[0] += share
      } else if (1..<classes).contains(labels[state - 1]) {
        shares[labels[state - 1]] += share
      }
    }
    for label in 0..<classes {
      let place = frame * classes + label
      gradient[place] = Float(exp(logProbabilities[place]) - shares[label])
    }
  }
}

/// log Σ eˣ, −∞ of nothing.
private func logSum(_ values: some Collection<Double>) -> Double {
  guard let largest = values.max(), largest > -.infinity else { return -.infinity }
  var total = 0.0
  for value in values { total += exp(value - largest) }
  return largest + log(total)
}
