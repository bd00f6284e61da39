import Foundation

/// The area under a curve through what was counted at each threshold, as Keras adds it up.
struct AreaUnderCurve: Sendable {
  /// `ROC`, `PR` or `PRGAIN` (Flach and Kull, 2015).
  let curve: String
  /// `interpolation`, `minoring` or `majoring`.
  let summation: String
  let thresholds: Int
  /// How much each column's area counts in the mean.
  let columnWeights: [Double]?

  /// - Parameter counts: true positives, false positives, true negatives, false negatives: [thresholds, columns].
  func callAsFunction(_ counts: [[Double]]) -> Double {
    let columns = max(counts[0].count / thresholds, 1)
    let areas = (0..<columns).map { column in
      let points = (0..<thresholds).map { threshold -> Point in
        let place = threshold * columns + column
        return Point(tp: counts[0][place], fp: counts[1][place], tn: counts[2][place], fn: counts[3][place])
      }
      let isInterpolatedPR = curve == "PR" && summation == "interpolation"
      return zip(points, points.dropFirst()).reduce(0) {
        $0 + (isInterpolatedPR ? Self.interpolatedPR($1.0, $1.1) : strip($1.0, $1.1))
      }
    }
    guard let columnWeights else { return areas.reduce(0, +) / Double(columns) }
    let total = zip(areas, columnWeights).reduce(0) { $0 + $1.0 * $1.1 }
    return share(total, of: columnWeights.reduce(0, +))
  }

  private struct Point {
    let tp, fp, tn, fn: Double

    func coordinates(_ curve: String) -> (x: Double, y: Double) {
      let recall = share(tp, of: tp + fn)
      switch curve {
      case "ROC": return (share(fp, of: fp + tn), recall)
      case "PR": return (recall, share(tp, of: tp + fp))
      default:
        if tp == 0 { return (0, 1) }
        let scale = share(tp + fn, of: tn + fp)
        return (max(1 - scale * fn / tp, 0), 1 - scale * fp / tp)
      }
    }
  }

  /// Between two neighbouring thresholds.
  private func strip(_ a: Point, _ b: Point) -> Double {
    let (a, b) = (a.coordinates(curve), b.coordinates(curve))
    let height =
      switch summation {
      case "minoring": min(a.y, b.y)
      case "majoring": max(a.y, b.y)
      default: (a.y + b.y) / 2
      }
    return (a.x - b.x) * height
  }

  /// Precision isn't linear between two thresholds, true positives are (Davis and Goadrich, 2006).
  private static func interpolatedPR(_ a: Point, _ b: Point) -> Double {
    let gained = a.tp - b.tp
    let (all, fewer) = (a.tp + a.fp, b.tp + b.fp)
    let slope = share(gained, of: max(all - fewer, 0))
    let intercept = b.tp - slope * fewer
    let ratio = all > 0 && fewer > 0 ? all / fewer : 1
    return share(slope * (gained + intercept * log(ratio)), of: max(b.tp + b.fn, 0))
  }
}
